"""The model card of a bundle: README.md with a YAML header, from a template."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from ganlm_core.bundle.manifest import Manifest
from ganlm_core.metrics.formatting import format_metric

_TEMPLATE = Path(__file__).parent / "templates" / "card.md.j2"


def render(
    manifest: Manifest,
    evaluation: Mapping[str, Any],
    samples: Sequence[str],
    parameters: Mapping[str, int],
    unused: Sequence[str] = (),
) -> str:
    """The card, without the ``unused`` kinds of components. ``parameters`` counts those of each network."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    columns, rows = evaluation_table(evaluation)
    sources = {manifest.components[kind].distribution for kind in manifest.networks}
    distributions = sorted({"ganlm"} | {source for source in sources if not source.endswith(".py")})
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        manifest=manifest,
        parts={kind: part for kind, part in manifest.components.items() if kind not in unused},
        columns=columns,
        rows=rows,
        alone={name: _cell(name, value) for name, value in evaluation.items() if not isinstance(value, Mapping)},
        samples=samples,
        parameters=parameters,
        distributions=distributions,
    )


def evaluation_table(evaluation: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Titles of the columns, and rows of a metric's name and its cells; a dash where a column lacks one.

    The columns are the maps of metrics in ``evaluation``: ``before``, ``after``, ``real``.
    """
    groups = {name: value for name, value in evaluation.items() if isinstance(value, Mapping)}
    metrics = list(dict.fromkeys(metric for group in groups.values() for metric in group))
    return list(groups), [
        [metric, *(_cell(metric, group.get(metric)) for group in groups.values())] for metric in metrics
    ]


def _cell(name: str, value: Any) -> str:
    return format_metric(name, value) if isinstance(value, float | None) else str(value)
