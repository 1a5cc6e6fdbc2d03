"""Compare methods by their quality at matched diversity, interpolated on curves over temperature. No torch.

Any measure may take the place of diversity, at any value: "NLL_test where NLL_oracle is 8", for example.

A model can trade quality for diversity by its temperature, so a better quality means something only at the same
diversity (Caccia et al. 2020, section 3). A lead counts only if other seeds would not explain it: Welch's test, with
Holm's correction for the number of pairs that are compared (:mod:`ganlm_core.evaluation.welch`).
"""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, pairwise
from typing import Any, NamedTuple

from ganlm_core.components import Measure
from ganlm_core.errors import UsageError
from ganlm_core.evaluation.scores import MARK, NO_ESTIMATE, Estimate, Row, Scores, exceeds, warm_up
from ganlm_core.evaluation.welch import LEVEL, Difference, Sample, holm, welch
from ganlm_core.metrics.formatting import format_value, without_empty_columns


class Point(NamedTuple):
    """The diversity and quality of a generator at one temperature; ``error`` is the standard error of the quality."""

    diversity: float
    quality: float
    temperature: float | None = None
    error: float = 0.0


@dataclass(frozen=True)
class Contender:
    """A method and its curves: one for each seed that it was trained with, in the order of temperatures."""

    title: str
    curves: Sequence[Sequence[Point]]

    @property
    def reach(self) -> tuple[float, float]:
        """The lowest and the highest diversity that all of its curves reach; in falling order if there is none."""
        ends = [sorted(point.diversity for point in curve) for curve in self.curves]
        return max(each[0] for each in ends), min(each[-1] for each in ends)


@dataclass(frozen=True)
class Standing:
    """A contender's mean ``quality`` at the matched diversity; ``spread`` is the standard deviation over seeds.

    ``error`` is the standard error of one seed's quality, from its finite number of sentences.
    """

    title: str
    seeds: int
    quality: float
    spread: float | None
    error: float = 0.0

    @property
    def sample(self) -> Sample | None:
        """The quality over seeds; None for a method with one seed."""
        return None if self.spread is None else Sample(self.quality, self.spread, self.seeds)


@dataclass(frozen=True)
class Comparison:
    """The standings, best first, at diversity ``at``; empty if the curves have no diversity in common.

    ``lacking``: how many evaluations of a method lack a measure, and how many it has. ``is_asked``: the user named
    ``at``, so contenders whose curves do not reach it have no standing. ``ceiling`` is the best possible quality.
    """

    quality: Measure
    diversity: Measure
    at: float
    real: Point
    standings: Sequence[Standing]
    contenders: Sequence[Contender] = ()
    lacking: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    is_asked: bool = False
    ceiling: Estimate = NO_ESTIMATE

    def seeks_modes(self, standing: Standing) -> bool:
        """Return whether single sentences of a contender are better than real ones, more than chance explains."""
        error = max(standing.error, standing.spread or 0.0) / math.sqrt(standing.seeds)
        return exceeds(self.quality, Estimate(standing.quality, error), self.ceiling)

    def __str__(self) -> str:
        at, real = self._place(self.at), self._place(self.real.diversity)
        return f"{self.quality.title} where {self.diversity.title} is {at}; real text has {real}"

    @property
    def column(self) -> str:
        """The title of the matched quality in a table."""
        matched = f"{self.diversity.title} {self._place(self.at)}" if self.is_asked else "equal diversity"
        return f"{self.quality.title} at {matched}"

    def _place(self, diversity: float) -> str:
        """Return a diversity as text; one that the user named has all of its digits."""
        exact = self.is_asked and diversity == self.at
        return f"{diversity:g}" if exact else format_value(diversity, self.diversity.share)

    def table(self) -> list[list[str]]:
        """Return the titles, the standings and real text as a table."""
        rows = [
            [
                one.title,
                str(one.seeds),
                self._value(one.quality) + MARK * self.seeks_modes(one),
                self._value(one.spread),
            ]
            for one in self.standings
        ]
        real = ["real text", "", self._value(self.real.quality), ""]
        return without_empty_columns([["", "seeds", self.quality.title, "spread over seeds"], *rows, real])

    def _value(self, quality: float | None) -> str:
        return format_value(quality, self.quality.share)

    def differences(self) -> dict[tuple[str, str], Difference]:
        """Return the difference of each pair of methods that have two seeds or more, the better one first.

        A pair without any spread is left out: equal values of a few seeds say nothing of the values of others.
        """
        samples = {one.title: one.sample for one in self.standings if one.sample is not None}
        return {
            (one, other): welch(samples[one], samples[other])
            for one, other in combinations(samples, 2)
            if samples[one].spread or samples[other].spread
        }

    def verdicts(self) -> list[str]:
        """Return the result in sentences: one for each pair of neighbours, and one for each that is too good."""
        if not self.standings:
            return [
                f"the curves have no {self.diversity.title} in common, so they cannot be compared; evaluate all runs "
                "at more temperatures: ganlm eval RUN --temperatures 0.5,0.75,1,1.25,1.5 --force"
            ]
        differences = self.differences()
        adjusted = holm({pair: each.p for pair, each in differences.items()})
        ahead = [self._verdict(one, other, differences, adjusted) for one, other in pairwise(self.standings)]
        best = self._value(self.ceiling.value)
        return [*ahead, *self._left_out()] + [
            f"{one.title} is better than real text ({self._value(one.quality)} against {best}): mode seeking"
            for one in self.standings
            if self.seeks_modes(one)
        ]

    def _left_out(self) -> Iterator[str]:
        """Yield a sentence for each method without all of its seeds, or that does not reach the diversity asked for."""
        for title, (without, evaluations) in self.lacking.items():
            measures = f"{self.quality.title} or no {self.diversity.title}"
            yield f"{title}: {without} of {evaluations} evaluations have no {measures} and are left out of its mean"
        standing = {one.title for one in self.standings}
        for each in self.contenders if self.is_asked else ():
            if each.title not in standing:
                low, high = map(self._place, each.reach)
                missed = f"{self.diversity.title} {self._place(self.at)}"
                yield f"{each.title} does not reach {missed}: it has {low} to {high}"

    def _verdict(
        self,
        one: Standing,
        other: Standing,
        differences: Mapping[tuple[str, str], Difference],
        adjusted: Mapping[tuple[str, str], float],
    ) -> str:
        """Say by how much a method is ahead, and whether chance explains it at the level of all comparisons."""
        gap = abs(one.quality - other.quality)
        lead = f"{one.title} is ahead of {other.title} by {self._value(gap)} {self.quality.title}"
        pair = (one.title, other.title)
        if pair not in differences and one.sample and other.sample:
            return f"{lead}; the seeds of each have equal values, so there is no test: evaluate more sentences with -n"
        if pair not in differences:
            alone = [each.title for each in (one, other) if each.spread is None]
            whose, which = ("each", "both") if len(alone) == 2 else (f"of {alone[0]}", "it")
            return f"{lead}; with one seed {whose} this may be chance: train {which} with other values of --seed"
        margin, p = differences[pair].margin, adjusted[pair]
        told = f"95% interval: {self._value(gap - margin)} to {self._value(gap + margin)}"
        if len(differences) > 1:
            told += f"; p = {p:.2g}, by Holm's correction for {len(differences)} comparisons"
        if p < LEVEL:
            return f"{lead}, more than chance explains ({told})"
        return f"{lead}, which chance may explain ({told}): no difference is shown"

    def to_dict(self) -> dict[str, Any]:
        return {
            "quality": self.quality.name,
            "diversity": self.diversity.name,
            "at": self.at,
            "real": {"diversity": self.real.diversity, "quality": self.real.quality},
            "standings": [vars(standing) for standing in self.standings],
            "differences": self._records(),
            "verdicts": self.verdicts(),
        }

    def _records(self) -> list[dict[str, Any]]:
        """Return every pair with its difference, its interval, and p before and after Holm's correction."""
        found = self.differences()
        adjusted = holm({pair: each.p for pair, each in found.items()})
        return [
            {
                "methods": list(pair),
                "difference": each.gap,
                "interval": [each.gap - each.margin, each.gap + each.margin],
                "p": each.p,
                "p_holm": adjusted[pair],
            }
            for pair, each in found.items()
        ]


def compare(
    groups: Mapping[str, Sequence[Scores]], quality: str, diversity: str, at: float | None = None
) -> Comparison:
    """Compare methods, by title, each with the evaluations of its seeds. Their baselines take part as methods.

    They are compared at the diversity of real text, or at ``at``; then ``diversity`` and ``quality`` may be any
    measures. Raises UsageError for measures that the evaluations lack, for evaluations under different conditions, and
    if no method reaches ``at``.
    """
    evaluations = [scores for found in groups.values() for scores in found]
    _check_conditions(evaluations)
    first = evaluations[0]
    kinds = ("quality", "diversity") if at is None else ("", "")
    measures = [_measure(first, name, sees) for name, sees in zip((quality, diversity), kinds, strict=True)]
    if not measures[0].better:
        raise UsageError(f"neither a higher nor a lower {measures[0].title} is better; choose another --quality")
    if first.real is None or any(measure.name not in first.real.values for measure in measures):
        raise UsageError(f"real text has no {measures[0].title} or no {measures[1].title}; choose other measures")
    real = Point(first.real.values[diversity], first.real.values[quality])
    found = [
        (title, scores, _curves(scores, title, quality, diversity)) for title, made in groups.items() for scores in made
    ]
    contenders = _contenders(found)
    if not contenders:
        raise UsageError(f"no model has {measures[0].title} and {measures[1].title}; choose other measures")
    place = matched(real.diversity, contenders) if at is None else at
    there = [] if place is None else [each for each in contenders if each.reach[0] <= place <= each.reach[1]]
    if at is not None and not there:
        raise _out_of_reach(measures[1], at, contenders)
    standings = [_standing(each, place, measures[0]) for each in there if place is not None]
    standings.sort(key=lambda each: each.quality, reverse=measures[0].better == "higher")
    shown = real.diversity if place is None else place
    ceiling = best.estimate(quality) if (best := first.ceiling()) else NO_ESTIMATE
    return Comparison(
        measures[0], measures[1], shown, real, standings, contenders, _lacking(found), at is not None, ceiling
    )


def _out_of_reach(measure: Measure, at: float, contenders: Sequence[Contender]) -> UsageError:
    values = [point.diversity for each in contenders for curve in each.curves for point in curve]
    reached = f"they have {min(values):.4g} to {max(values):.4g}" if values else "they do not have this measure"
    return UsageError(
        f"no model reaches {measure.title} {at:g}: {reached}; evaluate at other temperatures: "
        "ganlm eval RUN --temperatures 0.5,0.75,1,1.25,1.5 --force"
    )


def matched(wanted: float, contenders: Sequence[Contender]) -> float | None:
    """Return the diversity to compare at: the diversity of real text, or the closest value that every curve reaches."""
    low, high = max(each.reach[0] for each in contenders), min(each.reach[1] for each in contenders)
    return min(max(wanted, low), high) if low <= high else None


def interpolate(curve: Sequence[Point], at: float, better: str) -> float:
    """Return the quality of a curve at diversity ``at``; the best if the curve passes there more than once."""
    found = [y for x, y, *_ in curve if x == at]
    for (x, y, *_), (next_x, next_y, *_) in pairwise(curve):
        if min(x, next_x) < at < max(x, next_x):
            found.append(y + (next_y - y) * (at - x) / (next_x - x))
    return max(found) if better == "higher" else min(found)


def _standing(contender: Contender, at: float, quality: Measure) -> Standing:
    values = [interpolate(curve, at, quality.better) for curve in contender.curves]
    spread = statistics.stdev(values) if len(values) > 1 else None
    error = max(point.error for curve in contender.curves for point in curve)
    return Standing(contender.title, len(values), statistics.fmean(values), spread, error)


Found = Sequence[tuple[str, Scores, Mapping[str, Sequence[Point]]]]
"""For each evaluation: the title of its method, its scores, and its curves by name."""


def _contenders(found: Found) -> list[Contender]:
    """Return the methods, each followed by its baselines. A baseline in the evaluations of several runs counts once."""
    contenders: dict[str, list[tuple[Point, ...]]] = {}
    for title, scores, own in found:
        shared = {name for name, row in named_rows(scores, title) if is_shared(name, row)}
        for name, points in own.items():
            curve, curves = tuple(points), contenders.setdefault(name, [])
            if name not in shared or curve not in curves:
                curves.append(curve)
    return [Contender(name, curves) for name, curves in contenders.items()]


def _lacking(found: Found) -> dict[str, tuple[int, int]]:
    """Return, for each method with such, how many of its evaluations lack one of both measures, and how many it has."""
    complete: dict[str, list[bool]] = {}
    for title, scores, own in found:
        for name in dict.fromkeys(name for name, _ in named_rows(scores, title)):
            complete.setdefault(name, []).append(name in own)
    return {name: (has.count(False), len(has)) for name, has in complete.items() if not all(has)}


def _curves(scores: Scores, title: str, quality: str, diversity: str) -> dict[str, list[Point]]:
    """Return, by name, a point for each row that has both measures, in the order of the rows: by temperature."""
    found: dict[str, list[Point]] = {}
    for name, row in named_rows(scores, title):
        if {diversity, quality} <= row.values.keys():
            value, error = row.estimate(quality)
            assert value is not None
            found.setdefault(name, []).append(Point(row.values[diversity], value, row.temperature, error))
    return found


def named_rows(scores: Scores, title: str) -> Iterator[tuple[str, Row]]:
    """Yield the rows of a run's generator and baselines, each with its name in a comparison."""
    model = next((row.title for row in scores.rows if row.kind == "model"), "")
    names = {model: title, warm_up(model): warm_up(title)}
    yield from ((names.get(row.title, row.title), row) for row in scores.rows if row.kind in ("model", "baseline"))


def is_shared(name: str, row: Row) -> bool:
    """Return whether a named row is of a baseline that several evaluations may share, and not a run's own warm-up."""
    return row.kind == "baseline" and name == row.title


def means(groups: Mapping[str, Sequence[Scores]]) -> Scores:
    """Merge evaluations: for each method and temperature, the mean over seeds of each value that all seeds have."""
    rows: dict[tuple[str, float | None], list[Row]] = {}
    for title, evaluations in groups.items():
        for scores in evaluations:
            for name, row in named_rows(scores, title):
                rows.setdefault((name, row.temperature), []).append(row)
    first = next(iter(groups.values()))[0]
    methods = [_mean(name, found) for (name, _), found in rows.items()]
    references = [row for row in first.rows if row.is_reference]
    notes = dict.fromkeys(note for evaluations in groups.values() for scores in evaluations for note in scores.notes)
    return Scores([*methods, *references], first.measures, first.conditions, tuple(notes))


def _mean(name: str, rows: Sequence[Row]) -> Row:
    first = rows[0]
    values = {
        key: statistics.fmean(row.values[key] for row in rows)
        for key in first.values
        if all(key in row.values for row in rows)
    }
    protocol = {key: text for key, text in first.protocol.items() if all(row.protocol.get(key) == text for row in rows)}
    return replace(first, title=name, values=values, protocol=protocol)


def _measure(scores: Scores, name: str, sees: str) -> Measure:
    """Return the measure of a name: one of quality, of diversity, or of any kind if ``sees`` is empty."""
    measures = {each.name: each for each in scores.all_measures if sees in ("", each.sees)}
    if name not in measures:
        kind = f" of {sees}" if sees else ""
        raise UsageError(f"there is no measure{kind} '{name}' in the evaluation; it has {', '.join(measures)}")
    return measures[name]


def _check_conditions(evaluations: Sequence[Scores]) -> None:
    first = evaluations[0].conditions
    for other in evaluations[1:]:
        keys = dict.fromkeys([*first, *other.conditions])
        # The digests of the splits, not the name of a file, say whether the text is the same.
        differs = [key for key in keys if key != "corpus" and first.get(key) != other.conditions.get(key)]
        if {"train", "test"} & set(differs):
            raise UsageError(
                f"the evaluations are on different texts, {first.get('corpus')} and {other.conditions.get('corpus')} "
                f"({', '.join(differs)}); compare models of one text"
            )
        if differs:
            raise UsageError(
                f"the evaluations were made under different conditions ({', '.join(differs)}); "
                "make them again with the same options: ganlm eval RUN --force"
            )
