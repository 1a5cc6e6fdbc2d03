"""Welch's test against values of tables, and Holm's correction against an example by hand."""

import random
import statistics
from collections.abc import Sequence

import pytest

from ganlm_core.evaluation.welch import LEVEL, Sample, beyond, holm, quantile, welch


def sample(values: Sequence[float]) -> Sample:
    return Sample(statistics.fmean(values), statistics.stdev(values), len(values))


@pytest.mark.parametrize(
    ("freedom", "t"), [(1, 12.7062), (2, 4.30265), (3, 3.18245), (4, 2.77645), (10, 2.22814), (30, 2.04227)]
)
def test_quantiles_equal_the_tables(freedom: float, t: float) -> None:
    assert quantile(freedom) == pytest.approx(t, rel=1e-4)
    assert beyond(t, freedom) == pytest.approx(LEVEL, rel=1e-4)


@pytest.mark.parametrize(("freedom", "p"), [(1.05, 0.46280635), (1.2, 0.44465933), (1.5, 0.41689962), (2, 0.38603987)])
def test_few_degrees_of_freedom_are_exact_too(freedom: float, p: float) -> None:
    """Two seeds against two have between one and two. The reference is the incomplete beta function."""
    assert beyond(1.1, freedom) == pytest.approx(p, rel=1e-6)


def test_the_interval_equals_welchs() -> None:
    """Four values of variance 20/3 and three of variance 1: an error of 5/3 + 1/3, at 4.075 degrees of freedom."""
    found = welch(sample([1, 3, 5, 7]), sample([0, 1, 2]))
    assert found.freedom == pytest.approx(4.0755, abs=1e-3)
    assert found.margin == pytest.approx(2.7564 * 2**0.5, rel=1e-3)
    assert found.p == pytest.approx(beyond(3 / 2**0.5, found.freedom))


def test_without_a_spread_no_difference_is_shown() -> None:
    found = welch(sample([2, 2]), sample([1, 1]))
    assert (found.gap, found.margin, found.p) == (1, 0, 1)


@pytest.mark.parametrize(
    ("seeds", "share"), [((2, 2), 0.024), ((3, 3), 0.034), ((5, 5), 0.044), ((10, 10), 0.047), ((2, 5), 0.062)]
)
def test_equal_methods_rarely_show_a_lead(seeds: tuple[int, int], share: float) -> None:
    """The shares are of 40,000 cases; that of 2,000 has a standard deviation of 0.5% at most."""
    numbers = random.Random(0)
    draws = ([sample([numbers.gauss() for _ in range(count)]) for count in seeds] for _ in range(2000))
    assert sum(welch(*pair).p < LEVEL for pair in draws) / 2000 == pytest.approx(share, abs=0.012)


def test_holm_multiplies_step_by_step_and_never_falls() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == {
        "a": pytest.approx(0.03),
        "c": pytest.approx(0.06),
        "b": pytest.approx(0.06),
    }
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}
