"""What a run ends with, as tables show it. No torch."""

from collections.abc import Iterable, Mapping
from typing import Any

from ganlm_core.measures import METRICS, REFERENCES

MEASURES = {measure.name: measure for metric in METRICS for measure in metric.measures}

TITLES = {name: MEASURES[name].title for name in ("valid", "distinct", "copied", "process_nll", "test_nll")}
"""The metrics that every run ends with, in the order of the tables; a plugin's come after them."""

SUBJECTS = {"before": "before GAN training", "after": "after training", **REFERENCES}
"""The rows of one run."""

_SHARES = {name for name, measure in MEASURES.items() if measure.share} | {"discriminator_accuracy"}


def ordered(metrics: Iterable[str]) -> list[str]:
    """Metrics in the order of the tables: those of TITLES, then the others by name."""
    found = set(metrics)
    return [*(name for name in TITLES if name in found), *sorted(found - TITLES.keys())]


def metric_cell(name: str, value: float | None) -> str:
    """A metric as text: shares in per cent, a dash for what does not exist."""
    if value is None:
        return "-"
    return f"{value:.1%}" if name in _SHARES else f"{value:.2f}"


def metric_cells(values: Mapping[str, float]) -> list[str]:
    """The metrics of TITLES in their order."""
    return [metric_cell(name, values.get(name)) for name in TITLES]


def results(evaluation: Mapping[str, Any]) -> list[list[str]]:
    """What a run ends with: the line of titles, and a row for each subject of evaluation.json."""
    subjects = {key: evaluation[key] for key in SUBJECTS if key in evaluation}
    metrics = ordered(name for values in subjects.values() for name in values)
    rows = [
        [SUBJECTS[key], *(metric_cell(name, values.get(name)) for name in metrics)] for key, values in subjects.items()
    ]
    return [["", *(TITLES.get(name, name) for name in metrics)], *rows]
