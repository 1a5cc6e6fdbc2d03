"""``benchmarks/why.py`` measures discriminators of every kind in the same way."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from tests.scripts import benchmark

why = benchmark("why")

LOGITS = {"a": 2.0, "b": 1.0, "c": -1.0}
DRAWN = ["a", "a", "b", "b", "c", "c", "b", "b"] * 5
PAIRS = why.Pairs(["a"] * 20 + ["b"] * 20, DRAWN, np.array([text != "c" for text in DRAWN]))
"""The process gives "a" and "b", the generator also "c"."""


def scaled(k: float) -> Callable[[Sequence[str]], list[float]]:
    return lambda texts: [k * LOGITS[text] for text in texts]


def says_nothing(texts: Sequence[str]) -> list[float]:
    return [0.0] * len(texts)


def test_a_likelihood_ratio_reweights_as_it_is() -> None:
    """The samples are ten times a, b, c and b: valid ones weigh e^2 + 2 e, invalid ones 1 / e."""
    accuracy, auc, errors, beside, cleaned = PAIRS.measure(scaled(1), True, says_nothing)
    valid = math.exp(2) + 2 * math.exp(1)
    assert beside == 1
    assert cleaned == pytest.approx(valid / (valid + math.exp(-1)))
    assert errors == 1
    assert auc == pytest.approx((0.875 + 0.5) / 2), "a against a, b and c; b against them"
    assert accuracy == pytest.approx((1 + 0.25) / 2), "between b and c"


def test_other_scores_are_calibrated_first() -> None:
    """Scores a hundred times as large are put on the scale of the data, so they clean the samples as well."""
    scores = [PAIRS.measure(scaled(k), False, says_nothing) for k in (1, 100)]
    assert scores[0] == pytest.approx(scores[1])
    assert 0.75 < scores[0][4] < 1


def test_scores_that_add_nothing_to_the_likelihood_are_told() -> None:
    """The likelihood of the generator tells "c" apart; noise beside it adds nothing, and its own AUC is chance."""
    beside = PAIRS.measure(lambda texts: list(np.arange(len(texts)) % 2.0), False, scaled(1))
    assert beside[3] == 1
    assert 0.3 < beside[2] < 0.7


def test_the_table_has_a_row_for_each_discriminator_over_seeds() -> None:
    found = {
        why.BEST: [[0.61, 0.66, 1.0, 1.0, 1.0], [0.63, 0.68, 1.0, 1.0, 1.0]],
        "conv": [[0.5, 0.5, math.nan, 0.9, 0.95], [0.52, 0.51, 0.5, 0.9, 0.95]],
        "generator": [[0.95], [0.95]],
    }
    table = why.table(found, [0.22, 0.24])
    assert [row[0] for row in table.rows] == [why.BEST, "conv"]
    assert str(table.rows[0][1]) == "62.0 ± 1.4%"
    assert str(table.rows[1][3]) == "0.500"
    assert table.notes == ["The generator has 95.0 ± 0.0% valid sentences and a TV of 0.230 ± 0.014; 2 seeds."]


def test_the_difference_of_two_log_probabilities_is_a_logit() -> None:
    score = why.minus(lambda texts: [-1.0, -math.inf], lambda texts: [-3.0, -2.0])
    assert score(["x", "y"]) == [2.0, -math.inf]
