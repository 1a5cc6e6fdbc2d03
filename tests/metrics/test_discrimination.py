"""The distance from a process and the discriminator's accuracy, each against values worked by hand."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from ganlm_core.components import NoOptions
from ganlm_core.data.corpus import Corpus
from ganlm_core.errors import DataError
from ganlm_core.metrics.discrimination import (
    Discrimination,
    DistanceFromProcess,
    accuracy,
    auc,
    total_variation,
    total_variation_bound,
)
from ganlm_core.metrics.metric import Conditions, Measured, Metric, Subject

P, Q = {"a": 1 / 2, "b": 1 / 4, "c": 1 / 4}, {"a": 1 / 4, "b": 1 / 4, "d": 1 / 2}
"""TV is 1/4 + 1/4: the sum of p - q over the words that p gives more often."""

FROM_P, FROM_Q = ["a", "a", "b", "c"], ["a", "b", "d", "d"]
"""Every word as often as its distribution says, so that estimates are exact."""


def log_of(distribution: Mapping[str, float]) -> Callable[[Sequence[str]], list[float]]:
    return lambda texts: [math.log(distribution[text]) if text in distribution else -math.inf for text in texts]


class Process:
    name = "three words"

    def log_prob(self, texts: Sequence[str]) -> list[float]:
        return log_of(P)(texts)

    def sample(self, n: int, seed: int) -> list[str]:
        return (FROM_P * n)[:n]


CORPUS = Corpus("three words", FROM_P, ["a"], ["a", "b"], process=Process())
PLAIN = Corpus("plain", FROM_P, ["a"], ["a", "b"])


def measure(kind: type[Metric], corpus: Corpus = CORPUS, **subject: Any) -> Measured:
    return kind(NoOptions())(Subject(**{"texts": FROM_Q} | subject), Conditions(corpus))


def test_total_variation_by_hand() -> None:
    found = total_variation(log_of(P), log_of(Q), FROM_P, FROM_Q)
    assert found.value == pytest.approx(1 / 2)
    assert found.best_accuracy == pytest.approx(3 / 4)


def test_the_error_of_total_variation_by_hand() -> None:
    """|p - q| / (p + q) is 1/3, 1/3, 0 and 1 for p, and 1/3, 0, 1 and 1 for q."""
    variances = [np.var(each, ddof=1) / 4 for each in ([1 / 3, 1 / 3, 0, 1], [1 / 3, 0, 1, 1])]
    found = total_variation(log_of(P), log_of(Q), FROM_P, FROM_Q)
    assert found.error == pytest.approx(math.sqrt(sum(variances)) / 2)


def test_the_estimate_is_unbiased_and_its_error_is_the_spread_of_estimates() -> None:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(2_000):
        drawn = [list(rng.choice(list(each), size=50, p=list(each.values()))) for each in (P, Q)]
        found.append(total_variation(log_of(P), log_of(Q), *drawn))
    values = [each.value for each in found]
    assert np.mean(values) == pytest.approx(1 / 2, abs=4 * np.std(values) / math.sqrt(2_000))
    assert np.mean([each.error for each in found]) == pytest.approx(np.std(values), rel=0.1)


def test_equal_distributions_have_no_distance_and_disjoint_ones_all_of_it() -> None:
    assert total_variation(log_of(P), log_of(P), FROM_P, FROM_P).value == 0
    assert total_variation(log_of(P), log_of({"x": 1.0}), FROM_P, ["x"]).value == 1


def test_a_text_that_neither_can_give_is_from_the_generator() -> None:
    """A generator writes ``<unk>``, and has no likelihood for it."""
    assert total_variation(log_of(P), log_of(P), FROM_P, ["<unk>"] * 4).value == 1 / 2


def test_noisy_likelihoods_give_an_upper_bound() -> None:
    """The estimates of q are twice and none of it, one half of the time each; without noise the bound is exact."""
    exact = total_variation_bound(log_of(P), log_of(Q), FROM_P)
    assert exact.value == pytest.approx(1 / 2)
    twice = {word: 2 * p for word, p in Q.items()}
    bounds = [total_variation_bound(log_of(P), log_of(each), FROM_P).value for each in (twice, {})]
    assert sum(bounds) / 2 == pytest.approx((1 / 4 + 1) / 2)
    assert sum(bounds) / 2 >= exact.value


def test_auc_is_the_share_of_pairs_in_the_right_order() -> None:
    """The pairs are 3 > 1, 3 > 2, 2 > 1 and 2 = 2; the last counts one half."""
    assert auc([3, 2], [1, 2]) == 3.5 / 4
    assert auc([1, 2], [3, 2]) == 0.5 / 4
    assert auc([0, 0, 0], [0, 0]) == 1 / 2


def test_accuracy_takes_the_best_threshold_of_the_other_half() -> None:
    """The first sentences, 1 and -1, are best apart at 0, the second ones, 3 and 2, at 2.5.

    At 2.5 the first ones are both called generated, and at 0 the second ones are both called real.
    """
    assert accuracy([1, 3], [-1, 2]) == 1 / 2
    assert accuracy([2, 3], [-1, 0]) == 1
    assert accuracy([1, 1, 1], [0, 0, 0]) == 1
    assert accuracy([0, 0, 0], [0, 0, 0]) == 1 / 2


def test_the_origin_of_the_logits_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    real, generated = rng.normal(1, 1, 500), rng.normal(0, 1, 400)
    assert accuracy(real, generated) == accuracy(real - 100, generated - 100)
    assert 0.6 < accuracy(real, generated) < 0.75  # at best 0.69


def test_chance_is_not_beaten_by_choosing_a_threshold() -> None:
    rng = np.random.default_rng(0)
    found = [accuracy(rng.normal(size=40), rng.normal(size=40)) for _ in range(1_000)]
    assert np.mean(found) == pytest.approx(1 / 2, abs=4 * np.std(found) / math.sqrt(1_000))


def test_the_distance_needs_a_process_and_a_likelihood_of_each_text() -> None:
    found = measure(DistanceFromProcess, log_prob=log_of(Q))
    assert found.values == pytest.approx({"tv": 1 / 2, "best_accuracy": 3 / 4})
    assert found.protocol == (
        "4 fresh sentences of the process; from both exact likelihoods; the standard error of TV is at most 0.177"
    )
    assert measure(DistanceFromProcess) == measure(DistanceFromProcess, PLAIN, log_prob=log_of(Q)) == Measured()


def test_the_distance_of_a_generator_with_noise_is_called_a_bound() -> None:
    found = measure(DistanceFromProcess, log_prob=log_of(Q), draws=8)
    assert found.values["tv"] == pytest.approx(1 / 2)
    assert "upper bound from 8 draws of the noise" in found.protocol


def scores(texts: Sequence[str]) -> list[float]:
    return [{"a": 3.0, "b": 2.0, "c": 1.0, "d": 2.5}[text] for text in texts]


def test_a_discriminator_is_measured_on_pairs_and_on_valid_sentences() -> None:
    """The real "a" and "b" have 3 and 2; the texts 3, 2 and 2.5 twice, of which "d" alone is invalid."""
    found = measure(Discrimination, references=["a", "b"], scores=scores)
    assert found.values["discriminator_auc"] == auc([3, 2], [3, 2, 2.5, 2.5])
    assert found.values["discriminator_accuracy"] == accuracy([3, 2], [3, 2, 2.5, 2.5])
    assert found.values["discriminator_valid_auc"] == auc([3, 2], [2.5, 2.5])
    assert found.protocol == "2 real against 4 generated sentences"


def test_real_text_is_compared_with_real_text() -> None:
    found = measure(Discrimination, references=["a", "b"], held_out=["a", "c", "b", "c"], scores=scores)
    assert found.values["discriminator_auc"] == 1
    assert found.protocol == "2 real against 2 real sentences"


def test_what_does_not_exist_is_left_out() -> None:
    pairs = {"references": ["a", "b"], "scores": scores}
    assert measure(Discrimination, PLAIN, **pairs).values.keys() == {"discriminator_accuracy", "discriminator_auc"}
    valid = measure(Discrimination, texts=["a", "b"], **pairs)
    assert "discriminator_valid_auc" not in valid.values
    assert measure(Discrimination, references=["a", "b"]) == Measured()
    assert measure(Discrimination, scores=scores) == measure(Discrimination, texts=["a"], **pairs) == Measured()


def test_scores_that_are_not_finite_have_no_values() -> None:
    found = measure(Discrimination, references=["a", "b"], scores=lambda texts: [math.nan] * len(texts))
    assert found == Measured(protocol="the discriminator gives scores that are not finite")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: auc([], [1.0]), "scores in higher: 0; wanted 1 or more"),
        (lambda: auc([1.0], []), "scores in lower: 0; wanted 1 or more"),
        (lambda: auc([1.0], [math.nan]), "lower is [nan]; wanted a list of scores without NaN"),
        (lambda: accuracy([1.0], [0.0, 1.0]), "scores in real: 1; wanted 2 or more"),
        (lambda: accuracy([1.0, 2.0], [0.0, math.nan]), "generated is [0.0, nan]; wanted a list of scores without NaN"),
        (lambda: accuracy([1.0, 2.0], 3), "generated is 3; wanted a list of scores without NaN"),  # type: ignore[arg-type]
        (lambda: accuracy(["a", "b"], [0.0]), "real is ['a', 'b']; wanted a list of scores"),  # type: ignore[list-item]
    ],
)
def test_scores_that_compare_nothing_are_refused(call: Callable[[], float], message: str) -> None:
    with pytest.raises(DataError) as caught:
        call()
    assert str(caught.value) == message
