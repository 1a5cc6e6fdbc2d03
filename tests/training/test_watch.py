"""What is read from the evaluations of a run, on histories made up by hand."""

import math

import pytest

from ganlm_core.training.monitor import best, collapse, score, since_best

REAL = {"distinct": 0.99, "distinct_bigrams": 900}


def nlls(*values: float) -> list[dict[str, float]]:
    return [
        {"step": 100.0 * number, "validation_nll": value, "bigram_divergence": -value}
        for number, value in enumerate(values, 1)
    ]


def glance(entropy: float, distinct: float = 0.98, distinct_bigrams: float = 880) -> dict[str, float]:
    return {"entropy": entropy, "distinct": distinct, "distinct_bigrams": distinct_bigrams}


@pytest.mark.parametrize(
    ("history", "step", "since"),
    [
        (nlls(3.0), 100, 0),
        (nlls(3.0, 2.0, 1.0), 300, 0),
        (nlls(3.0, 1.0, 2.0, 1.5), 200, 2),
        (nlls(1.0, 1.0, 1.0), 100, 2),
        (nlls(math.nan, 2.0, math.inf, 3.0), 200, 2),
    ],
    ids=["one", "better and better", "worse", "the first of equal ones", "not finite"],
)
def test_the_best_evaluation_and_how_many_came_after_it(history: list[dict[str, float]], step: int, since: int) -> None:
    assert best(history)["step"] == step
    assert since_best(history) == since


def test_the_divergence_decides_where_there_is_no_likelihood() -> None:
    assert score({"validation_nll": 2.0, "bigram_divergence": 0.1}) == 2.0
    assert score({"bigram_divergence": 0.1}) == 0.1


@pytest.mark.parametrize(
    "history",
    [
        [glance(4.1)],
        [glance(4.1), glance(1.6), glance(1.5)],
        [glance(4.1), glance(0.05)],
        [glance(4.1), glance(2.0, distinct=0.2, distinct_bigrams=181)],
        [glance(4.1, distinct=0.01), glance(1.6)],
    ],
    ids=["at the start", "learning", "certain of each word", "little variety", "recovered"],
)
def test_no_collapse(history: list[dict[str, float]]) -> None:
    assert collapse(history, REAL) == ""


def test_samples_that_repeat_are_a_collapse() -> None:
    history = [glance(4.1), glance(0.9, distinct=0.03, distinct_bigrams=12)]
    assert collapse(history, REAL) == (
        "entropy fell from 4.1 to 0.9 nats; samples repeat: 3.0% distinct (real text: 99.0%), "
        "12 different bigrams (real text: 900)"
    )


def test_different_sentences_of_the_same_few_words_are_a_collapse() -> None:
    """Its entropy is told only if it fell to less than half."""
    history = [glance(4.1), glance(2.1, distinct_bigrams=179)]
    assert collapse(history, REAL) == "samples repeat: 179 different bigrams (real text: 900)"


def test_where_real_text_repeats_samples_may() -> None:
    history = [glance(1.0, distinct=0.05)]
    assert collapse(history, REAL | {"distinct": 0.2}) == ""
    assert collapse(history, REAL | {"distinct": 0.26}) == "samples repeat: 5.0% distinct (real text: 26.0%)"
