"""``ganlm list``: every component, tokenizer and optimiser by name."""

from typing import Any

import click

from ganlm_core.bundle import zoo
from ganlm_core.cli.context import current_host
from ganlm_core.cli.output import echo_json, echo_table, json_option
from ganlm_core.components import KINDS
from ganlm_core.config.run_config import catalog
from ganlm_core.errors import UnknownName
from ganlm_core.evaluation.scores import TITLES
from ganlm_core.metrics.formatting import format_metric
from ganlm_core.plugins.host import Host

CHOOSABLE = (*KINDS, "tokenizer", "optimizer")
WEIGHTS = "weights"


@click.command("list")
@click.argument("kind", required=False)
@json_option
def list_(kind: str | None, as_json: bool) -> None:
    """What there is to choose from, of one KIND or of all: generator, discriminator, algorithm, loss, penalty,
    estimator, corpus, metric, encoder, tokenizer, optimizer; and weights, the trained pairs of the zoo."""
    kinds = (*CHOOSABLE, WEIGHTS)
    if kind is not None and kind not in kinds:
        raise UnknownName("kind", kind, kinds, hint=f"the kinds are {', '.join(kinds)}")
    host = current_host()
    entries = [summary(host, of, name) for of in CHOOSABLE if kind in (None, of) for name in catalog(host, of)]
    if kind in (None, WEIGHTS):
        entries += map(_weights, zoo.entries())
    if as_json:
        echo_json(entries)
    else:
        columns = ("kind", "name", "summary", "source")
        echo_table(columns, [[entry[column] for column in columns] for entry in entries])


def summary(host: Host, kind: str, name: str) -> dict[str, Any]:
    """One entry, as JSON shows it. Tokenizers and optimisers belong to the core and have a name only."""
    entry = {"kind": kind, "name": name, "summary": "", "source": ""}
    if kind not in KINDS:
        return entry
    spec, (distribution, version) = host.spec(kind, name), host.origin(kind, name)
    return entry | {
        "summary": spec.summary,
        "source": spec.source,
        "distribution": distribution,
        "version": version,
    }


def _weights(entry: zoo.Entry) -> dict[str, Any]:
    """A bundle of the zoo: its size, its score and a sentence."""
    scores = [
        f"{title} {format_metric(name, entry.metrics[name])}" for name, title in TITLES.items() if name in entry.metrics
    ]
    about = ", ".join([f"{entry.size / 1e6:.1f} MB", *scores])
    return {
        "kind": WEIGHTS,
        "name": f"{zoo.PREFIX}{entry.name}",
        "summary": f"{about}: {entry.sample}",
        "source": "",
        "size": entry.size,
        "metrics": entry.metrics,
        "sample": entry.sample,
    }
