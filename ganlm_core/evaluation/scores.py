"""What ``ganlm eval`` found: a row of numbers for each subject, and how they came about. No torch.

``docs/metrics.md`` states the file format key by key.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ganlm_core.components import Measure
from ganlm_core.errors import WeightsError
from ganlm_core.metrics.formatting import MEASURES, format_metric, format_value
from ganlm_core.system.files import check_free, read_json, write_json

FORMAT, FORMAT_VERSION = "ganlm-evaluation", 1

REFERENCES = {
    "real": "real text",
    "process": "perfect generator",
    "shuffled": "shuffled words",
    "unigram": "unigram model",
}
"""The reference rows of every table: an upper bound, what chance alone would have, and two lower bounds."""

TITLES = {name: MEASURES[name].title for name in ("valid", "distinct", "copied", "process_nll", "test_nll")}
"""The metrics that every run ends with, in the order of the tables; a plugin's come after them."""

SUBJECTS = {"before": "before GAN training", "after": "after training", **REFERENCES}
"""The rows of one run."""

MARK = "*"
"""Stands behind a number that is better than that of real text."""


def warm_up(model: str) -> str:
    """The title of the rows of a model's own warm-up."""
    return f"{model} before"


@dataclass(frozen=True)
class Row:
    """One subject: ``values`` by measure, and by metric the ``protocol`` they were measured with.

    ``kind`` is ``model``, ``baseline``, ``samples`` or one of REFERENCES; ``temperature`` is that of a generator.
    """

    kind: str
    title: str
    temperature: float | None = None
    sentences: int = 0
    values: Mapping[str, float] = field(default_factory=dict)
    protocol: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_reference(self) -> bool:
        return self.kind in REFERENCES

    @property
    def shown(self) -> str:
        """What it is called in tables."""
        return REFERENCES.get(self.kind, self.title)

    @property
    def at(self) -> str:
        """The temperature as tables show it."""
        return "" if self.temperature is None else f"{self.temperature:g}"


@dataclass(frozen=True)
class Scores:
    """An evaluation. ``measures`` by metric; ``conditions`` are what was the same for all rows, ``notes`` warnings."""

    rows: Sequence[Row]
    measures: Mapping[str, Sequence[Measure]]
    conditions: Mapping[str, Any]
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def real(self) -> Row | None:
        return next((row for row in self.rows if row.kind == "real"), None)

    def seeks_modes(self, row: Row, measure: Measure) -> bool:
        """Whether a subject's sentences are better one by one than real ones: it keeps to the likeliest of them."""
        if self.real is None or row.is_reference or measure.sees != "quality":
            return False
        found, real = row.values.get(measure.name), self.real.values.get(measure.name)
        if found is None or real is None:
            return False
        return found > real if measure.better == "higher" else found < real

    def cell(self, row: Row, measure: Measure) -> str:
        """A value as tables show it."""
        return format_value(row.values.get(measure.name), measure.share) + MARK * self.seeks_modes(row, measure)

    def protocol(self, metric: str) -> Iterator[str]:
        """What a metric was measured with; the rows are named where they differ."""
        said: dict[str, list[str]] = {}
        for row in self.rows:
            if metric in row.protocol:
                titles = said.setdefault(row.protocol[metric], [])
                titles.extend({row.shown} - set(titles))
        for text, titles in said.items():
            yield f"{metric}: {text}" + (f" ({', '.join(titles)})" if len(said) > 1 else "")

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "conditions": dict(self.conditions),
            "measures": [
                {"metric": metric, **asdict(each)} for metric, measures in self.measures.items() for each in measures
            ],
            "rows": [asdict(row) for row in self.rows],
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], path: Path) -> "Scores":
        """What :meth:`to_dict` gave, found in ``path``. Raises WeightsError for anything else."""
        if data.get("format") != FORMAT or data.get("format_version") != FORMAT_VERSION:
            raise WeightsError(f"{path} is no evaluation of this version; make it anew: ganlm eval RUN --force")
        try:
            measures: dict[str, list[Measure]] = {}
            for each in data["measures"]:
                fields = dict(each)
                measures.setdefault(fields.pop("metric"), []).append(Measure(**fields))
            rows = tuple(Row(**row) for row in data["rows"])
            return cls(rows, measures, data["conditions"], tuple(data["notes"]))
        except (AttributeError, KeyError, TypeError) as error:
            raise WeightsError(f"{path} is damaged ({error!r}); make it anew: ganlm eval RUN --force") from None

    @classmethod
    def read(cls, path: Path) -> "Scores":
        """Raises WeightsError."""
        return cls.from_dict(read_json(path), path)

    def write(self, path: Path, force: bool = False) -> None:
        """Raises UsageError when there is something at ``path`` that ``force`` does not let go, and GanlmError."""
        check_free(path, force)
        write_json(path, self.to_dict())


def ordered(metrics: Iterable[str]) -> list[str]:
    """Metrics in the order of the tables: those of TITLES, then the others by name."""
    found = set(metrics)
    return [*(name for name in TITLES if name in found), *sorted(found - TITLES.keys())]


def metric_cells(values: Mapping[str, float]) -> list[str]:
    """The metrics of TITLES in their order."""
    return [format_metric(name, values.get(name)) for name in TITLES]


def results(evaluation: Mapping[str, Any]) -> list[list[str]]:
    """What a run ends with: the line of titles, and a row for each subject of evaluation.json."""
    subjects = {key: evaluation[key] for key in SUBJECTS if key in evaluation}
    metrics = ordered(name for values in subjects.values() for name in values)
    rows = [
        [SUBJECTS[key], *(format_metric(name, values.get(name)) for name in metrics)]
        for key, values in subjects.items()
    ]
    return [["", *(TITLES.get(name, name) for name in metrics)], *rows]
