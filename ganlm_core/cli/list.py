"""``ganlm list``: components, tokenizers, optimisers and trained models by name."""

import click

from ganlm_core.bundle import zoo
from ganlm_core.cli.context import current_host
from ganlm_core.cli.describe import CHOOSABLE, WEIGHTS, summarize, summarize_weights
from ganlm_core.cli.options import form_options
from ganlm_core.cli.output import echo_data, echo_json, echo_table
from ganlm_core.cli.types import Word
from ganlm_core.config.run_config import catalog
from ganlm_core.errors import UnknownName
from ganlm_core.evaluation.tables import Table

LISTED = (*CHOOSABLE, WEIGHTS)
COLUMNS = ("kind", "name", "summary", "source")


@click.command(
    "list", help=f"List the names of one KIND, or of all kinds.\n\nKinds: {', '.join(LISTED)} (trained models)."
)
@click.argument("kind", required=False, type=Word(LISTED))
@form_options
def list_(kind: str | None, form: str) -> None:
    if kind is not None and kind not in LISTED:
        raise UnknownName("kind", kind, LISTED, hint=f"the kinds are {', '.join(LISTED)}")
    host = current_host()
    entries = [summarize(host, of, name) for of in CHOOSABLE if kind in (None, of) for name in catalog(host, of)]
    if kind in (None, WEIGHTS):
        entries += map(summarize_weights, zoo.entries())
    rows = [[entry[column] for column in COLUMNS] for entry in entries]
    if form == "json":
        echo_json(entries)
    elif form != "table":
        echo_data(Table(COLUMNS, rows).text(form))
    else:
        echo_table(COLUMNS, rows)
