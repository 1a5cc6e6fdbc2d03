"""Likelihoods, enumerated over every sequence of a three-word vocabulary."""

import pytest
import torch

from ganlm_core import sampling
from ganlm_core.protocol import BOS, EOS, PAD, Generator, mask_of
from ganlm_core.sampling import PLAIN, Policy, likelihood
from ganlm_core.testing.references import Recurrent
from tests.tiny import (
    NOISE,
    POLICIES,
    SHAPE,
    Readout,
    TinyGenerator,
    TinyOneShot,
    every_sequence,
    exact,
    gradient,
    make,
)

INFINITY = float("inf")


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("network", [TinyGenerator, TinyOneShot])
def test_the_probabilities_of_all_sequences_sum_to_one(network: type[Generator], policy: Policy) -> None:
    assert exact(make(network), policy).sum().item() == pytest.approx(1, abs=1e-5)


def test_a_likelihood_counts_the_mask_only() -> None:
    tokens = torch.tensor([[3, EOS, PAD]])
    scored = sampling.log_likelihood(make(TinyGenerator), NOISE, tokens, mask_of(tokens))
    assert (scored[0, :2] < 0).all()
    assert scored[0, 2] == 0


@pytest.mark.parametrize("special", [PAD, BOS])
def test_a_sequence_with_pad_or_bos_inside_is_impossible(special: int) -> None:
    tokens = torch.tensor([[3, special, EOS]])
    scored = sampling.log_likelihood(make(TinyGenerator), NOISE, tokens, mask_of(tokens))
    assert scored.isinf().tolist() == [[False, True, False]]


def test_the_gradient_of_a_likelihood_is_finite_even_of_impossible_logits() -> None:
    generator = make(TinyGenerator)
    generator.prior[5] = -INFINITY
    tokens = torch.tensor([[3, EOS, PAD], [4, 4, 4]])
    sampling.log_likelihood(generator, NOISE.expand(2, -1), tokens, mask_of(tokens)).sum().backward()
    gradients = [parameter.grad for parameter in generator.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() and gradient.any() for gradient in gradients)


def test_a_likelihood_under_noise_is_the_mean_over_its_draws() -> None:
    generator, (tokens, mask) = make(TinyGenerator), every_sequence()
    noise = torch.randn(4, 1, SHAPE.noise).expand(-1, len(tokens), -1)
    policies = [PLAIN, Policy(temperature=0.5)]
    found = sampling.log_marginals(generator, noise, tokens, mask, policies)
    for row, policy in zip(found, policies, strict=True):
        expected = torch.stack([exact(generator, policy, each[:1]) for each in noise]).mean(dim=0).log()
        torch.testing.assert_close(row, expected)
        torch.testing.assert_close(sampling.log_marginal(generator, noise, tokens, mask, policy), expected)


@pytest.mark.parametrize("network", [TinyGenerator, TinyOneShot])
def test_padding_that_is_cut_off_changes_no_likelihood(network: type[Generator]) -> None:
    tokens, generator = torch.tensor([[3, EOS, PAD], [EOS, PAD, PAD]]), make(network)
    noise = NOISE[:1].expand(1, 2, -1)
    short, padded = (sampling.log_marginal(generator, noise, ids, mask_of(ids)) for ids in (tokens[:, :2], tokens))
    torch.testing.assert_close(short, padded)


def test_a_likelihood_in_parts_is_the_likelihood_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    generator, (tokens, mask) = make(TinyGenerator), every_sequence()
    noise = torch.randn(2, len(tokens), SHAPE.noise)
    expected = sampling.log_marginal(generator, noise, tokens, mask)
    monkeypatch.setattr(likelihood, "LOGITS", 4 * SHAPE.length * SHAPE.vocabulary)
    torch.testing.assert_close(sampling.log_marginal(generator, noise, tokens, mask), expected)


@pytest.mark.parametrize("network", [Recurrent, Readout])
def test_a_weighted_sum_of_likelihoods_has_the_value_and_the_gradient_of_the_sum(network: type[Generator]) -> None:
    torch.manual_seed(0)
    generator, (tokens, mask) = network(SHAPE), every_sequence()
    weights, noise = torch.randn(tokens.shape), torch.randn(1, SHAPE.noise)
    generator.prior.normal_()
    found = sampling.weighted_log_likelihood(generator, noise, tokens, mask, weights)
    expected = (weights * sampling.log_likelihood(generator, noise, tokens, mask)).sum()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradient(found, generator), gradient(expected, generator), atol=1e-5, rtol=1e-5)


def test_a_weighted_likelihood_of_a_part_in_the_middle() -> None:
    """A mask may leave out the prompt of every sequence, and the end of the batch."""
    tokens, mask = torch.tensor([[3, 4, 5, EOS], [4, 3, EOS, PAD]]), torch.tensor([[False, True, True, False]] * 2)
    generator = make(Readout)
    found = sampling.weighted_log_likelihood(generator, NOISE, tokens, mask, torch.ones(2, 4))
    torch.testing.assert_close(found, sampling.log_likelihood(generator, NOISE, tokens, mask).sum())


def test_the_shorter_sequences_are_a_part_if_that_leaves_less_padding() -> None:
    lengths = torch.tensor([6, 2, 8, 1, 2])
    parts = likelihood.short_and_long(torch.arange(8) < lengths[:, None])
    assert [part.tolist() for part in parts] == [[3, 1, 4], [0, 2]]


@pytest.mark.parametrize("lengths", [[7, 8, 8, 8, 8, 8, 8, 8], [4], [5, 5], [0, 0]])
def test_sequences_of_similar_length_are_one_part(lengths: list[int]) -> None:
    (part,) = likelihood.short_and_long(torch.arange(8) < torch.tensor(lengths)[:, None])
    assert sorted(part.tolist()) == list(range(len(lengths)))


def test_a_weighted_likelihood_reads_little_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sequence keeps its own noise and weights, in the part that it is read in."""
    tokens = torch.tensor([[3, 4, EOS], [EOS, PAD, PAD], [4, 3, EOS], [EOS, PAD, PAD], [EOS, PAD, PAD]])
    generator, noise, weights = make(Readout), torch.randn(5, SHAPE.noise), torch.randn(5, 3)
    expected = (weights * sampling.log_likelihood(generator, noise, tokens, mask_of(tokens))).sum()
    shapes, read = [], Readout.read

    def counted(self: Readout, tokens: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        shapes.append(tuple(tokens.shape))
        return read(self, tokens, state)

    monkeypatch.setattr(Readout, "read", counted)
    found = sampling.weighted_log_likelihood(generator, noise, tokens, mask_of(tokens), weights)
    torch.testing.assert_close(found, expected)
    assert shapes == [(3, 1), (2, 3)]


def test_a_readout_generator_never_makes_logits_for_its_weighted_likelihood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Readout, "logits", None)
    tokens = torch.tensor([[3, EOS, PAD]])
    value = sampling.weighted_log_likelihood(make(Readout), NOISE, tokens, mask_of(tokens), torch.ones(1, 3))
    assert value < 0
