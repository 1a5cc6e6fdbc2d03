"""Who is ahead: quality at matched diversity, interpolated on the curves over temperature. No torch.

At a temperature of its own any model beats any other in one of the two; only where both have the same diversity does
the better quality mean something (Caccia et al. 2020, section 3). A difference that other seeds could have made is
none (Welch 1947).
"""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

from ganlm_core.components import Measure
from ganlm_core.errors import UsageError
from ganlm_core.evaluation.scores import MARK, Row, Scores, warm_up
from ganlm_core.metrics.formatting import format_value

STUDENT = {
    1: 12.706,
    2: 4.303,
    3: 3.182,
    4: 2.776,
    5: 2.571,
    7: 2.365,
    10: 2.228,
    15: 2.131,
    30: 2.042,
    math.inf: 1.960,
}
"""By degrees of freedom, what Student's t exceeds once in twenty times on either side of zero."""


class Point(NamedTuple):
    """What a generator has at one temperature."""

    diversity: float
    quality: float
    temperature: float | None = None


@dataclass(frozen=True)
class Contender:
    """A method: its curves, one for each seed it was trained with, each in the order of temperatures."""

    title: str
    curves: Sequence[Sequence[Point]]


@dataclass(frozen=True)
class Standing:
    """A contender's mean ``quality`` where its diversity is the matched one, and the standard deviation over seeds."""

    title: str
    seeds: int
    quality: float
    spread: float | None


@dataclass(frozen=True)
class Comparison:
    """The standings, the best first, at diversity ``at``; no standings where the curves have none in common."""

    quality: Measure
    diversity: Measure
    at: float
    real: Point
    standings: Sequence[Standing]
    contenders: Sequence[Contender] = ()

    def seeks_modes(self, standing: Standing) -> bool:
        """Whether its sentences are better one by one than real ones."""
        quality, real = standing.quality, self.real.quality
        return quality > real if self.quality.better == "higher" else quality < real

    def table(self) -> list[list[str]]:
        """A line of titles, the standings and real text."""
        rows = [
            [
                one.title,
                str(one.seeds),
                format_value(one.quality, self.quality.share) + MARK * self.seeks_modes(one),
                "-" if one.spread is None else f"{one.spread:.3f}",
            ]
            for one in self.standings
        ]
        real = ["real text", "", format_value(self.real.quality, self.quality.share), ""]
        return [["", "seeds", self.quality.title, "spread over seeds"], *rows, real]

    def verdicts(self) -> list[str]:
        """Who is ahead of whom, in words: a sentence for each neighbour in the order, and what is too good to be so."""
        if not self.standings:
            return [
                f"the curves have no {self.diversity.title} in common, so nobody is ahead; evaluate all at more "
                "temperatures: ganlm eval RUN --temperatures 0.5,0.75,1,1.25,1.5 --force"
            ]
        ahead = [self._verdict(one, other) for one, other in pairwise(self.standings)]
        return ahead + [
            f"{one.title} is better than real text ({one.quality:.3f} against {self.real.quality:.3f}): mode seeking"
            for one in self.standings
            if self.seeks_modes(one)
        ]

    def _verdict(self, one: Standing, other: Standing) -> str:
        gap = abs(one.quality - other.quality)
        lead = f"{one.title} is ahead of {other.title} by {gap:.3f} {self.quality.title}"
        margin, alone = chance(one, other), [each.title for each in (one, other) if each.spread is None]
        if margin is None:
            whose, which = ("each", "both") if len(alone) == 2 else (f"of {alone[0]}", "it")
            more = f"train {which} with other --seed"
            return f"{lead}; with one seed {whose} nobody knows whether chance does as much: {more}"
        interval = f"95% interval: {gap - margin:.3f} to {gap + margin:.3f}"
        if gap > margin:
            return f"{lead}, more than chance explains ({interval})"
        return f"{lead}, which chance may explain ({interval}): no difference is shown"

    def to_dict(self) -> dict[str, Any]:
        return {
            "quality": self.quality.name,
            "diversity": self.diversity.name,
            "at": self.at,
            "real": {"diversity": self.real.diversity, "quality": self.real.quality},
            "standings": [vars(standing) for standing in self.standings],
            "verdicts": self.verdicts(),
        }


def compare(groups: Mapping[str, Sequence[Scores]], quality: str, diversity: str) -> Comparison:
    """Compare methods by title, each with the evaluations of its seeds; their baselines take part as methods.

    Raises UsageError for measures that are not there, and for evaluations under different conditions.
    """
    evaluations = [scores for found in groups.values() for scores in found]
    _check_conditions(evaluations)
    first = evaluations[0]
    measures = [_measure(first, name, sees) for name, sees in ((quality, "quality"), (diversity, "diversity"))]
    if first.real is None or any(measure.name not in first.real.values for measure in measures):
        raise UsageError(f"real text has no {measures[0].title} or no {measures[1].title}; choose other measures")
    real = Point(first.real.values[diversity], first.real.values[quality])
    contenders = _contenders(groups, quality, diversity)
    at = matched(real.diversity, contenders)
    standings = [] if at is None else [_standing(each, at, measures[0]) for each in contenders]
    standings.sort(key=lambda each: each.quality, reverse=measures[0].better == "higher")
    return Comparison(measures[0], measures[1], real.diversity if at is None else at, real, standings, contenders)


def chance(one: Standing, other: Standing) -> float | None:
    """Half of Welch's 95% interval of the gap between two means over seeds; None where a method has but one seed.

    Differs: Student's t is interpolated in a table, which makes it too wide below two degrees of freedom.
    """
    if one.spread is None or other.spread is None:
        return None
    errors = [(one.spread**2 / one.seeds, one.seeds), (other.spread**2 / other.seeds, other.seeds)]
    error = sum(part for part, _ in errors)
    if error == 0:
        return 0.0
    return _student(sum((part / error) ** 2 / (seeds - 1) for part, seeds in errors)) * math.sqrt(error)


def _student(inverse: float) -> float:
    """STUDENT at the ``inverse`` of degrees of freedom, in which it is nearly straight."""
    points = [(1 / freedom, t) for freedom, t in STUDENT.items()]
    return next(
        next_t + (t - next_t) * (inverse - next_x) / (x - next_x)
        for (x, t), (next_x, next_t) in pairwise(points)
        if next_x <= inverse
    )


def matched(wanted: float, contenders: Sequence[Contender]) -> float | None:
    """The diversity to compare at: that of real text, or what is closest to it among those that every curve has."""
    ranges = [sorted(point.diversity for point in curve) for each in contenders for curve in each.curves]
    low, high = max(xs[0] for xs in ranges), min(xs[-1] for xs in ranges)
    return min(max(wanted, low), high) if low <= high else None


def interpolate(curve: Sequence[Point], at: float, better: str) -> float:
    """The quality of a curve where its diversity is ``at``; the best where it is so more than once."""
    found = [y for x, y, _ in curve if x == at]
    for (x, y, _), (next_x, next_y, _) in pairwise(curve):
        if min(x, next_x) < at < max(x, next_x):
            found.append(y + (next_y - y) * (at - x) / (next_x - x))
    return max(found) if better == "higher" else min(found)


def _standing(contender: Contender, at: float, quality: Measure) -> Standing:
    values = [interpolate(curve, at, quality.better) for curve in contender.curves]
    spread = statistics.stdev(values) if len(values) > 1 else None
    return Standing(contender.title, len(values), statistics.fmean(values), spread)


def _contenders(groups: Mapping[str, Sequence[Scores]], quality: str, diversity: str) -> list[Contender]:
    """The methods, and after each its baselines. A baseline that several runs were measured beside counts once."""
    found: dict[str, list[tuple[Point, ...]]] = {}
    for title, evaluations in groups.items():
        for scores in evaluations:
            for name, curve in _curves(scores, title, quality, diversity).items():
                found.setdefault(name, []).append(tuple(curve))
    return [Contender(name, list(dict.fromkeys(curves))) for name, curves in found.items()]


def _curves(scores: Scores, title: str, quality: str, diversity: str) -> dict[str, list[Point]]:
    """By name, a point for each row that has both, in the order of the rows, which is that of temperatures."""
    found: dict[str, list[Point]] = {}
    for name, row in _named(scores, title):
        if {diversity, quality} <= row.values.keys():
            found.setdefault(name, []).append(Point(row.values[diversity], row.values[quality], row.temperature))
    return found


def _named(scores: Scores, title: str) -> Iterator[tuple[str, Row]]:
    """The rows of a run's generator and of its baselines, with what they are called where runs are compared."""
    model = next((row.title for row in scores.rows if row.kind == "model"), "")
    names = {model: title, warm_up(model): f"{title}, before"}
    yield from ((names.get(row.title, row.title), row) for row in scores.rows if row.kind in ("model", "baseline"))


def means(groups: Mapping[str, Sequence[Scores]]) -> Scores:
    """The evaluations as one: of each method at each temperature the mean over its seeds, where all have a value."""
    rows: dict[tuple[str, float | None], list[Row]] = {}
    for title, evaluations in groups.items():
        for scores in evaluations:
            for name, row in _named(scores, title):
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
    measures = {each.name: each for found in scores.measures.values() for each in found if each.sees == sees}
    if name not in measures:
        raise UsageError(f"there is no measure of {sees} '{name}' in the evaluation; it has {', '.join(measures)}")
    return measures[name]


def _check_conditions(evaluations: Sequence[Scores]) -> None:
    first = evaluations[0].conditions
    for other in evaluations[1:]:
        keys = dict.fromkeys([*first, *other.conditions])
        differs = [key for key in keys if first.get(key) != other.conditions.get(key)]
        if differs:
            raise UsageError(
                f"the evaluations were made under different conditions ({', '.join(differs)}); "
                "make them anew with the same options: ganlm eval RUN --force"
            )
