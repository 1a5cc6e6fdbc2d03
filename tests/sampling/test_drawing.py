"""Words from logits: the distribution under a policy, and the search for a word."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from ganlm_core import sampling
from ganlm_core.errors import OptionError
from ganlm_core.protocol import BOS, EOS, PAD
from ganlm_core.sampling import Policy, drawing
from ganlm_core.sampling.drawing import MANY_WORDS
from tests.tiny import DRAWS, POLICIES, UNLIKELY, chi_square

INFINITY = float("inf")


def fixed_uniform(monkeypatch: pytest.MonkeyPatch, value: float) -> None:
    monkeypatch.setattr(torch, "rand", lambda size, **_: torch.full(size, value))


def spread(probabilities: list[float], words: int) -> Tensor:
    """Logits of a vocabulary of so many words, in which these probabilities are equally far apart."""
    logits = torch.full((words,), -INFINITY)
    logits[torch.linspace(EOS, words - 1, len(probabilities)).long()] = torch.tensor(probabilities).log()
    return logits


@pytest.fixture(params=[6, MANY_WORDS, 5000], ids=["plain search", "whole blocks", "part of a block"])
def words(request: pytest.FixtureRequest) -> int:
    """Vocabulary sizes below and above the one from which words are searched in blocks."""
    return int(request.param)


def test_words_are_drawn_as_often_as_they_are_probable(words: int) -> None:
    logits = spread([0.1, 0.0, 0.6, 0.3], words)
    logits[[PAD, BOS]] = 50.0
    (drawn,), _ = sampling.draw(logits.expand(DRAWS, -1), rng=torch.Generator().manual_seed(0))
    probabilities = logits.exp().index_fill(0, torch.tensor([PAD, BOS]), 0.0)
    assert chi_square(drawn.bincount(minlength=words), probabilities) > UNLIKELY


@pytest.mark.parametrize(
    ("uniform", "place"),
    [(0.0, 0), (0.2499, 0), (0.25, 2), (0.4999, 2), (0.5, 3), (1 - 2**-24, 3), (1.0, 3)],
)
def test_the_edges_of_the_inverse_cdf(monkeypatch: pytest.MonkeyPatch, words: int, uniform: float, place: int) -> None:
    """Intervals are closed below and open above; even a device that gives a one, as some do, draws a possible word."""
    fixed_uniform(monkeypatch, uniform)
    ids, _ = sampling.draw(spread([0.25, 0.0, 0.25, 0.5], words))
    assert ids.item() == torch.linspace(EOS, words - 1, 4).long()[place]


def test_drawing_needs_no_exact_sum(monkeypatch: pytest.MonkeyPatch, words: int) -> None:
    """Probabilities whose sum was rounded away from one are shares of that sum."""
    fixed_uniform(monkeypatch, 0.5)
    ids, _ = sampling.draw(spread([0.125, 0.125, 0.125], words))
    assert ids.item() == torch.linspace(EOS, words - 1, 3).long()[1]


def test_every_leading_dimension_is_drawn_for(words: int) -> None:
    certain = torch.full((2, 3, words), -INFINITY)
    ids = torch.tensor([[2, 3, 4], [5, 2, words - 1]])
    certain.scatter_(-1, ids[..., None], 0.0)
    drawn, log_probs = sampling.draw(certain, samples=4)
    assert drawn.equal(ids.expand(4, -1, -1))
    assert (log_probs == 0).all()


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_the_search_in_blocks_agrees_with_the_search_of_all_words(
    monkeypatch: pytest.MonkeyPatch, policy: Policy
) -> None:
    """From the same random numbers, but for words at whose edges the number falls, for sums are rounded otherwise."""
    logits = 3 * torch.randn(500, 3000, generator=torch.Generator().manual_seed(0))
    blocks, block_log_probs = sampling.draw(logits, policy, torch.Generator().manual_seed(1), samples=2)
    monkeypatch.setattr(drawing, "MANY_WORDS", 10_000)
    plain, log_probs = sampling.draw(logits, policy, torch.Generator().manual_seed(1), samples=2)
    assert (blocks == plain).float().mean() > 0.995
    same = blocks == plain
    torch.testing.assert_close(block_log_probs[same], log_probs[same], atol=1e-5, rtol=1e-5)


def probabilities(logits: list[float], **policy: Any) -> list[float]:
    """The distribution over words whose logits are logarithms of the numbers given; pad and bos come first."""
    specials = [50.0, 50.0]
    return sampling.log_probabilities(torch.tensor([*specials, *logits]).log(), Policy(**policy)).exp().tolist()


def shares(*weights: float) -> Any:
    return pytest.approx([0, 0, *(weight / sum(weights) for weight in weights)], abs=1e-6)


def test_pad_and_bos_have_no_probability_and_the_rest_sums_to_one() -> None:
    assert probabilities([4, 2, 1, 1]) == shares(4, 2, 1, 1)


def test_a_temperature_divides_the_logits() -> None:
    assert probabilities([4, 2, 1, 1], temperature=0.5) == shares(16, 4, 1, 1)
    assert probabilities([9, 4, 1], temperature=2.0) == shares(3, 2, 1)


@pytest.mark.parametrize(
    ("weights", "top_k", "left"),
    [
        ([4, 2, 1, 1], 1, [4, 0, 0, 0]),
        ([1, 4, 1, 2], 2, [0, 4, 0, 2]),
        ([4, 2, 1, 1], 3, [4, 2, 1, 1]),
        ([3, 3, 3, 1], 2, [3, 3, 3, 0]),
        ([4, 2, 1, 1], 4, [4, 2, 1, 1]),
        ([4, 2, 1, 1], 0, [4, 2, 1, 1]),
        ([4, 2, 1, 1], 99, [4, 2, 1, 1]),
    ],
)
def test_top_k_keeps_the_likeliest_words_and_ties_with_the_last(
    weights: list[float], top_k: int, left: list[float]
) -> None:
    assert probabilities(weights, top_k=top_k) == shares(*left)


@pytest.mark.parametrize(
    ("weights", "top_p", "left"),
    [
        ([4, 2, 1, 1], 1e-320, [4, 0, 0, 0]),
        ([4, 2, 1, 1], 0.01, [4, 0, 0, 0]),
        ([4, 2, 1, 1], 0.5, [4, 0, 0, 0]),
        ([4, 2, 1, 1], 0.51, [4, 2, 0, 0]),
        ([1, 4, 1, 2], 0.75, [0, 4, 0, 2]),
        ([4, 2, 1, 1], 0.9, [4, 2, 1, 1]),
        ([4, 2, 1, 1], 1.0, [4, 2, 1, 1]),
    ],
)
def test_a_nucleus_is_the_smallest_set_of_likeliest_words_with_the_mass(
    weights: list[float], top_p: float, left: list[float]
) -> None:
    assert probabilities(weights, top_p=top_p) == shares(*left)


def test_a_nucleus_takes_no_more_of_equal_words_than_it_needs() -> None:
    assert sorted(probabilities([1, 1, 1, 1], top_p=0.5)) == pytest.approx([0, 0, 0, 0, 0.5, 0.5])


def test_temperature_comes_before_top_k_and_top_k_before_the_nucleus() -> None:
    assert probabilities([16, 4, 1, 1], temperature=2.0, top_p=0.55) == shares(4, 2, 0, 0)
    assert probabilities([6, 3, 2, 1], top_k=2, top_p=0.6) == shares(6, 0, 0, 0)


def test_half_precision_logits_become_float32() -> None:
    log_probs = sampling.log_probabilities(torch.zeros(4, 1000, dtype=torch.bfloat16))
    assert log_probs.dtype == torch.float32
    torch.testing.assert_close(log_probs.exp().sum(dim=-1), torch.ones(4))


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"temperature": float("nan")}, "temperature is nan; wanted a number above 0"),
        ({"temperature": 0.0}, "temperature is 0.0; wanted a number above 0"),
        ({"temperature": -1.0}, "temperature is -1.0; wanted a number above 0"),
        ({"top_k": -1}, "top_k is -1; wanted 0 or more"),
        ({"top_p": 0.0}, "top_p is 0.0; wanted a number above 0 and at most 1"),
        ({"top_p": float("nan")}, "top_p is nan; wanted a number above 0 and at most 1"),
    ],
)
def test_a_policy_that_is_out_of_range_is_refused(policy: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        Policy(**policy)
    assert str(caught.value) == message


@pytest.mark.parametrize("words", [6, 5000])
@pytest.mark.parametrize("logits", [1.0, 1e3])
def test_the_coldest_temperatures_are_greedy_and_the_hottest_uniform(words: int, logits: float) -> None:
    """In float32, dividing by them would overflow, or divide minus infinity by infinity."""
    scores = logits * torch.randn(50, words, generator=torch.Generator().manual_seed(0))
    likeliest = BOS + 1 + scores[:, BOS + 1 :].argmax(dim=-1)
    for temperature in (1e-320, 1e-45, 1e-39, 1e-20, 1e-5):
        ids, log_probs = sampling.draw(scores, Policy(temperature))
        assert ids.squeeze(0).equal(likeliest) and log_probs.abs().max() < 1e-3
    for temperature in (1e20, 1e39, 1e308, INFINITY):
        ids, log_probs = sampling.draw(scores, Policy(temperature))
        assert len(set(ids.flatten().tolist())) > 2
        torch.testing.assert_close(log_probs, torch.full((1, 50), -math.log(words - BOS - 1)))
    assert Policy(1e308) == Policy(INFINITY) and Policy(1e-45) == Policy(1e-320) == Policy(top_k=1)


@pytest.mark.parametrize("nonsense", [float("nan"), INFINITY, -INFINITY])
def test_draws_from_logits_without_a_distribution_have_nan_probability(nonsense: float) -> None:
    """By that NaN, :meth:`ganlm_core.bundle.model.Model.batch` finds a generator whose weights are no good."""
    for policy in POLICIES.values():
        _, log_probs = sampling.draw(torch.full((1, 6), nonsense), policy)
        assert log_probs.isnan().all()


@pytest.mark.parametrize("words", [6, MANY_WORDS, 5000])
def test_words_drawn_from_states_are_those_drawn_from_their_logits(monkeypatch: pytest.MonkeyPatch, words: int) -> None:
    """From the same random numbers, but for words at whose edges the number falls; in parts or at once."""
    torch.manual_seed(0)
    states, weight, bias = torch.randn(400, 8), torch.randn(words, 8), torch.randn(words)
    (expected,), exact = sampling.draw(states @ weight.T + bias, rng=torch.Generator().manual_seed(1))
    for cached in (drawing.CACHED, 7 * words):
        monkeypatch.setattr(drawing, "CACHED", cached)
        ids, log_probs = drawing.ReadoutWords(weight, bias).draw(states, torch.Generator().manual_seed(1))
        same = ids == expected
        assert same.float().mean() > 0.995
        torch.testing.assert_close(log_probs[same], exact[0][same], atol=1e-5, rtol=1e-5)


def test_words_drawn_from_states_are_as_frequent_as_they_are_probable() -> None:
    bias = torch.tensor([50.0, 50.0, *torch.tensor([0.1, 0.0, 0.6, 0.3]).log().tolist()])
    readout = drawing.ReadoutWords(torch.zeros(6, 1), bias)
    drawn, log_probs = readout.draw(torch.zeros(DRAWS, 1), torch.Generator().manual_seed(0))
    probabilities = torch.tensor([0.0, 0.0, 0.1, 0.0, 0.6, 0.3])
    assert chi_square(drawn.bincount(minlength=6), probabilities) > UNLIKELY
    torch.testing.assert_close(log_probs.exp(), probabilities[drawn])
