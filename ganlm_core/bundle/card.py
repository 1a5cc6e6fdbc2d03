"""The model card of a bundle: README.md with a YAML header, from a template.

Text from plugins and data is escaped, so that every renderer shows it unchanged.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from ganlm_core.bundle.manifest import Manifest
from ganlm_core.data.text import one_line
from ganlm_core.metrics.formatting import format_metric
from ganlm_core.system.printable import printable

_TEMPLATE = Path(__file__).parent / "templates" / "card.md.j2"
_MARKDOWN = re.compile(r"[\\`*\[\]<>|~&$]|(?<!\w)_|_(?!\w)|:(?=//)|(?<=www)\.", re.IGNORECASE)
"""Text that Markdown or HTML could read as markup inside a line, bare links included."""


def render(
    manifest: Manifest,
    method: str,
    evaluation: Mapping[str, Any],
    samples: Sequence[str],
    parameters: Mapping[str, int],
    unused: Sequence[str] = (),
) -> str:
    """Return the card, without the ``unused`` kinds of components.

    ``method`` names the training method; ``parameters`` are the numbers of parameters of the networks.
    """
    columns, rows = evaluation_table(evaluation)
    sources = {manifest.components[kind].distribution for kind in manifest.networks}
    return _template().render(
        manifest=manifest,
        method=method,
        title=_title(manifest),
        components={kind: component for kind, component in manifest.components.items() if kind not in unused},
        columns=columns,
        rows=rows,
        alone={name: _cell(name, value) for name, value in evaluation.items() if not isinstance(value, Mapping)},
        samples=[printable(one_line(sample)) for sample in samples],
        parameters=parameters,
        distributions=sorted({"ganlm"} | {source for source in sources if not source.endswith(".py")}),
    )


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True, finalize=_escaped
    )
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))


def _title(manifest: Manifest) -> str:
    corpus = manifest.corpus["name"] if manifest.corpus else manifest.source.name
    return printable(one_line(f"{manifest.components['generator'].name} on {corpus}"))


def _escaped(value: Any) -> Any:
    """Return text as one line of Markdown that shows it unchanged. Other values, and text that the template marks as
    safe, are returned as they are.
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return _MARKDOWN.sub(r"\\\g<0>", printable(one_line(value)))


def evaluation_table(evaluation: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return the titles of the columns, and rows of a metric's name and its cells. A dash stands for a missing value.

    The columns are the tables of metrics in ``evaluation``: ``before``, ``after``, ``real``.
    """
    groups = {name: value for name, value in evaluation.items() if isinstance(value, Mapping)}
    metrics = list(dict.fromkeys(metric for group in groups.values() for metric in group))
    return list(groups), [
        [metric, *(_cell(metric, group.get(metric)) for group in groups.values())] for metric in metrics
    ]


def _cell(name: str, value: Any) -> str:
    return format_metric(name, value) if isinstance(value, float | None) else str(value)
