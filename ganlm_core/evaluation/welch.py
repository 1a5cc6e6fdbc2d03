"""Welch's test of two means over seeds, and Holm's correction for the number of comparisons. No torch, no SciPy.

Welch 1947; Holm 1979. Student's t is integrated: with x = sqrt(n) / tan(a), its density is a power of sin(a), and with
a = b^2 that is smooth at 0 for few degrees of freedom n too.
"""

import math
from collections.abc import Hashable, Mapping
from typing import NamedTuple, TypeVar

LEVEL = 0.05
"""The level of all tests and intervals."""

PIECES = 400
"""Pieces of Simpson's rule; probabilities have five correct digits up to 50 degrees of freedom, two at LARGEST."""

LARGEST = 1000.0
"""Degrees of freedom above which Student's t is normal to three digits."""

Key = TypeVar("Key", bound=Hashable)


class Sample(NamedTuple):
    """The mean of ``size`` values, two or more, and their standard deviation."""

    mean: float
    spread: float
    size: int


class Difference(NamedTuple):
    """A difference of two means, its standard error, and the degrees of freedom of that error."""

    gap: float
    error: float
    freedom: float

    @property
    def margin(self) -> float:
        """Half of the 95% interval of the difference."""
        return quantile(self.freedom) * self.error if self.error else 0.0

    @property
    def p(self) -> float:
        """The probability that chance makes a difference as large, if the methods are equal; 1 without an error."""
        if self.error == 0:
            return 1.0
        return beyond(abs(self.gap) / self.error, self.freedom)


def welch(one: Sample, other: Sample) -> Difference:
    """Compare two means. Their standard deviations may differ; if both are zero, there is no test."""
    errors = [(each.spread**2 / each.size, each.size) for each in (one, other)]
    error = sum(part for part, _ in errors)
    inverse = sum((part / error) ** 2 / (count - 1) for part, count in errors) if error else 1.0
    return Difference(one.mean - other.mean, math.sqrt(error), min(1 / inverse, LARGEST))


def beyond(t: float, freedom: float) -> float:
    """Return the probability that Student's t is beyond ``t`` in either direction."""
    whole = math.sqrt(math.pi) * math.exp(math.lgamma(freedom / 2) - math.lgamma((freedom + 1) / 2)) / 2
    last = math.atan(math.sqrt(freedom) / t) if t else math.pi / 2
    places = [place / PIECES for place in range(PIECES + 1)]
    heights = [2 * place * last * math.sin(last * place**2) ** (freedom - 1) for place in places]
    weights = [1, *(4 if place % 2 else 2 for place in range(1, PIECES)), 1]
    area = sum(weight * height for weight, height in zip(weights, heights, strict=True)) / (3 * PIECES)
    return min(area / whole, 1.0)


def quantile(freedom: float, level: float = LEVEL) -> float:
    """Return the t that Student's t is beyond, in either direction, with probability ``level``."""
    low, high = 0.0, 1.0
    while beyond(high, freedom) > level:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if beyond(middle, freedom) > level else (low, middle)
    return high


def holm(p: Mapping[Key, float]) -> dict[Key, float]:
    """Return the p-values adjusted for all comparisons, by comparison.

    The smallest is multiplied by the number of comparisons, the next by one less, and so on; no p-value decreases.
    """
    adjusted: dict[Key, float] = {}
    largest = 0.0
    for place, (key, value) in enumerate(sorted(p.items(), key=lambda each: each[1])):
        largest = max(largest, min(1.0, value * (len(p) - place)))
        adjusted[key] = largest
    return adjusted
