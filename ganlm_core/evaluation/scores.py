"""The results of ``ganlm eval``: a row of values for each subject, and the conditions they were measured under.

Nothing here imports torch.

``docs/metrics.md`` states the file format key by key.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ganlm_core.components import Measure
from ganlm_core.errors import WeightsError
from ganlm_core.evaluation.tables import Cell, Table, Value
from ganlm_core.metrics.formatting import MEASURES, format_metric, without_empty_columns
from ganlm_core.metrics.specs import METRICS
from ganlm_core.system.files import check_free, read_json, write_json
from ganlm_core.system.lock import locked

FORMAT, FORMAT_VERSION = "ganlm-evaluation", 1

REFERENCES = {
    "real": "real text",
    "process": "perfect generator",
    "shuffled": "shuffled words",
    "unigram": "unigram model",
}
"""The reference rows of every table: real text as an upper bound, a perfect generator, and two lower bounds."""

LABEL, REAL_LABEL = "label", "real label"
"""The kinds of rows of one label: what a model writes, and real text."""

TITLES = {name: MEASURES[name].title for name in ("valid", "distinct", "copied", "process_nll", "test_nll")}
"""The measures of every run, in the order of the tables; measures of plugins come after them."""

OF_DISCRIMINATORS = {
    each.name for metric in METRICS if metric.name in ("distance", "discrimination") for each in metric.measures
}
"""Measures of the best possible and of the actual discriminator, which have a table of their own."""

SUBJECTS = {"before": "before GAN training", "after": "after training", **REFERENCES}
"""The rows of one run, in the order of its table."""

WIDEST = 11
"""Columns of a table on a page at most, the titles of the rows among them."""

FAINT = 0.005
"""Below this distance from 1/2, the best accuracy cannot be told from chance."""

MARK = "*"
"""Follows a value that is better than the value of real text, by more than ERRORS standard errors."""

MARKED = f"{MARK} better than real text: these samples cover only a mode of it"

ARROWS = {"higher": " ↑", "lower": " ↓"}
"""Follow the title of a measure: the direction that is better."""

ERRORS = 2


def warm_up(model: str) -> str:
    """Return the title of the rows of a model's own warm-up."""
    return f"{model} before GAN training"


class Estimate(NamedTuple):
    """A value, None if there is none, and its standard error."""

    value: float | None
    error: float = 0.0


NO_ESTIMATE = Estimate(None)


def exceeds(measure: Measure, found: Estimate, best: Estimate) -> bool:
    """Return whether a measure of single sentences is better than the best possible, more than chance explains."""
    if measure.sees != "quality" or found.value is None or best.value is None:
        return False
    lead = (found.value - best.value) * (1 if measure.better == "higher" else -1)
    return lead > ERRORS * math.hypot(found.error, best.error)


@dataclass(frozen=True)
class Row:
    """One subject: its ``values`` by measure with their standard ``errors``, and the ``protocol`` of each metric.

    ``kind`` is ``model``, ``baseline``, ``samples``, ``label`` or ``real label`` for a row of one ``label``, or one of
    REFERENCES; ``temperature``: for generators only.
    """

    kind: str
    title: str
    temperature: float | None = None
    sentences: int = 0
    values: Mapping[str, float] = field(default_factory=dict)
    protocol: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, float] = field(default_factory=dict)
    label: str = ""

    @property
    def is_reference(self) -> bool:
        return self.kind in REFERENCES

    @property
    def shown(self) -> str:
        """The title in tables."""
        return REFERENCES.get(self.kind, self.title)

    def estimate(self, name: str) -> Estimate:
        """Return the value of a measure with its error."""
        return Estimate(self.values.get(name), self.errors.get(name, 0.0))

    @property
    def name(self) -> str:
        """The title in notes, with the temperature."""
        return self.title if self.temperature is None else f"{self.title} at temperature {self.at}"

    @property
    def at(self) -> str:
        """The temperature in tables."""
        return "" if self.temperature is None else f"{self.temperature:g}"


@dataclass(frozen=True)
class Scores:
    """An evaluation: rows, ``measures`` by metric, ``conditions`` that are equal for all rows. ``notes`` warn."""

    rows: Sequence[Row]
    measures: Mapping[str, Sequence[Measure]]
    conditions: Mapping[str, Any]
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def real(self) -> Row | None:
        return next((row for row in self.rows if row.kind == "real"), None)

    def ceiling(self, label: str = "") -> Row | None:
        """Return the row of the best that single sentences can be: a perfect generator, or else real text.

        With a label, real text of this label. None if real text is no ceiling
        (:attr:`ganlm_core.metrics.metric.Conditions.real_is_ceiling`).
        """
        if not self.conditions.get("real_is_ceiling", True):
            return None
        if label:
            return next((row for row in self.rows if row.kind == REAL_LABEL and row.label == label), None)
        if perfect := next((row for row in self.rows if row.kind == "process"), None):
            return perfect
        return self.real

    def seeks_modes(self, row: Row, measure: Measure) -> bool:
        """Return whether single sentences are better than real ones: the subject writes only likely sentences."""
        best = self.ceiling(row.label)
        if best is None or row.is_reference or row.kind == REAL_LABEL:
            return False
        return exceeds(measure, row.estimate(measure.name), best.estimate(measure.name))

    @property
    def all_measures(self) -> list[Measure]:
        """The measures of all metrics, in their order."""
        return [measure for found in self.measures.values() for measure in found]

    @property
    def marked(self) -> bool:
        """Whether a value of any row has MARK."""
        return any(self.seeks_modes(row, measure) for row in self.rows for measure in self.all_measures)

    def cell(self, row: Row, measure: Measure) -> Value:
        """Return a value for a table, with MARK if it is better than real text."""
        value, mark = row.values.get(measure.name), MARK * self.seeks_modes(row, measure)
        return Value(value, count=int(value is not None), share=measure.share, mark=mark)

    def table(self, metrics: Iterable[str] | None = None) -> Table:
        """Return the rows with the measures of all metrics, or of some, and the protocols of these as notes."""
        chosen = list(self.measures if metrics is None else metrics)
        measures = [each for metric in chosen for each in self.measures[metric]]
        rows: list[list[Cell]] = [
            [row.shown, row.at, f"{row.sentences:,}", *(self.cell(row, each) for each in measures)] for row in self.rows
        ]
        protocols = [line for metric in chosen for line in self.protocol(metric)]
        notes = [*([MARKED] if self.marked else []), *protocols]
        return Table(["", "T", "sentences", *map(titled, measures)], rows, "Evaluation.", notes)

    def groups(self) -> Iterator[list[str]]:
        """Yield the metrics that have values, in groups whose tables have WIDEST columns at most."""
        valued = {name for row in self.rows for name in row.values}
        metrics = [
            metric
            for metric, measures in self.measures.items()
            if not valued.isdisjoint(measure.name for measure in measures)
        ]
        return in_groups(metrics, lambda group: len(self.table(group).lines()[0]) <= WIDEST)

    def protocol(self, metric: str) -> Iterator[str]:
        """Yield the protocols of a metric; with the names of their rows if the rows differ."""
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
        """Make the Scores from the output of :meth:`to_dict` in ``path``. Raises WeightsError for other data."""
        if data.get("format") != FORMAT or data.get("format_version") != FORMAT_VERSION:
            raise WeightsError(f"{path} is not an evaluation of this version; make it again: ganlm eval RUN --force")
        try:
            measures: dict[str, list[Measure]] = {}
            for each in data["measures"]:
                fields = dict(each)
                measures.setdefault(fields.pop("metric"), []).append(Measure(**fields))
            rows = tuple(Row(**row) for row in data["rows"])
            return cls(rows, measures, data["conditions"], tuple(data["notes"]))
        except (AttributeError, KeyError, TypeError) as error:
            raise WeightsError(f"{path} is damaged ({error!r}); make it again: ganlm eval RUN --force") from None

    @classmethod
    def read(cls, path: Path) -> "Scores":
        """Read an evaluation.json. Raises WeightsError."""
        return cls.from_dict(read_json(path), path)

    def write(self, path: Path, force: bool = False) -> None:
        """Write evaluation.json, while no other process writes it.

        Raises UsageError if ``path`` exists and ``force`` does not replace it, FolderInUse, and WriteError.
        """
        with locked(path):
            check_free(path, force)
            write_json(path, self.to_dict())


def in_groups(metrics: Iterable[str], fits: Callable[[Sequence[str]], bool]) -> Iterator[list[str]]:
    """Yield metrics in groups of as many as fit beside each other; one that does not fit is alone."""
    group: list[str] = []
    for metric in metrics:
        if group and not fits([*group, metric]):
            yield group
            group = []
        group.append(metric)
    if group:
        yield group


def titled(measure: Measure) -> str:
    """Return the title of a measure with its arrow."""
    return measure.title + ARROWS.get(measure.better, "")


def ordered(metrics: Iterable[str]) -> list[str]:
    """Return measures in the order of the tables: TITLES, the other built-in ones, then measures of plugins by name."""
    found = set(metrics)
    built_in = dict.fromkeys([*TITLES, *MEASURES])
    return [*(name for name in built_in if name in found), *sorted(found - built_in.keys())]


def column_of(name: str) -> str:
    """Return the title of the column of a measure; measures of plugins are shown by their names."""
    return MEASURES[name].title if name in MEASURES else name


def discriminator_remark(values: Mapping[str, float], generated: int, real: int) -> str:
    """Say which part of the possible accuracy above chance a discriminator has; empty if the values lack one of both.

    The accuracy is of so many ``generated`` sentences and as many of the ``real`` ones, if there are; within two
    standard errors of 1/2, chance explains it. Nothing is said if the best accuracy is within FAINT of 1/2, because
    then there is nothing to see.
    """
    accuracy, best = (values.get(name) for name in ("discriminator_accuracy", "best_accuracy"))
    if accuracy is None or best is None or best <= 0.5 + FAINT:
        return ""
    share = max(0.0, accuracy - 0.5) / (best - 0.5)
    two_errors = math.sqrt((1 / generated + 1 / min(generated, real)) / 4)
    by_chance = ", or none: chance explains its accuracy" if accuracy - 0.5 <= two_errors else ""
    return (
        f"the discriminator is right on {accuracy:.1%} of the sentences, the best possible one on {best:.1%}, and "
        f"guessing on 50%: it sees {share:.0%} of what there is to see{by_chance}"
    )


def discriminator_remark_in(evaluation: Mapping[str, Any]) -> str:
    """Return what :func:`discriminator_remark` says of the generator in a bundle's evaluation.json."""
    samples = evaluation.get("samples", 1)
    return discriminator_remark(evaluation.get("after", {}), samples, evaluation.get("test_sentences", samples))


def metric_cells(values: Mapping[str, float]) -> list[str]:
    """Return the values of TITLES as text, in their order."""
    return [format_metric(name, values.get(name)) for name in TITLES]


def results(evaluation: Mapping[str, Any]) -> list[list[list[str]]]:
    """Return the tables of a run's results: the titles, and a row for each subject of its bundle's evaluation.json.

    The second table has the measures of OF_DISCRIMINATORS, and is missing if no subject has one.
    """
    subjects = {key: evaluation[key] for key in SUBJECTS if key in evaluation}
    metrics = ordered(name for values in subjects.values() for name in values)
    groups = [
        [name for name in metrics if name not in OF_DISCRIMINATORS],
        [name for name in metrics if name in OF_DISCRIMINATORS],
    ]
    return [_results(subjects, group) for group in groups if group]


def _results(subjects: Mapping[str, Mapping[str, float]], metrics: Sequence[str]) -> list[list[str]]:
    rows = [
        [SUBJECTS[key], *(format_metric(name, values.get(name)) for name in metrics)]
        for key, values in subjects.items()
        if not values.keys().isdisjoint(metrics)
    ]
    return without_empty_columns([["", *map(column_of, metrics)], *rows])
