"""Samples that the terms of a loss share, with a three-word vocabulary."""

from dataclasses import replace

import pytest
import torch

from ganlm_core import sampling
from ganlm_core.protocol import BOS, EOS, PAD, Batch, Generator
from tests.tiny import NOISE, TinyGenerator, TinyOneShot, make

ROWS = 6


def batch() -> Batch:
    tokens = torch.full((ROWS, 3), EOS)
    return Batch(tokens, tokens > 0, NOISE.expand(ROWS, -1))


@pytest.mark.parametrize("network", [TinyGenerator, TinyOneShot])
@pytest.mark.parametrize("samples", [1, 3])
def test_draws_score_themselves_as_a_likelihood_does(network: type[Generator], samples: int) -> None:
    torch.manual_seed(0)
    generator = make(network)
    drawn = sampling.draws(generator, batch(), samples)
    assert drawn.tokens.shape == (samples * ROWS, 3)
    expected = sampling.log_likelihood(generator, batch().noise, drawn.tokens, drawn.mask)
    assert torch.allclose(drawn.log_likelihood(), expected)
    assert drawn.log_likelihood().requires_grad


def test_distributions_give_no_weight_to_pad_and_bos_and_end_with_the_longest_sample() -> None:
    torch.manual_seed(0)
    generator = make(TinyGenerator)
    generator.prior[EOS] = 9  # short sentences
    drawn = sampling.draws(generator, batch())
    longest = int(drawn.mask.sum(dim=1).max())
    assert longest < drawn.tokens.shape[1]
    assert [each.shape for each in drawn.trimmed] == [(ROWS, longest)] * 2
    found = drawn.distributions.exp()
    assert torch.allclose(found.sum(dim=-1), torch.ones(ROWS, longest))
    assert not found[..., [PAD, BOS]].any()
    assert drawn.log_likelihood().shape == drawn.tokens.shape


def test_a_batch_shares_its_draws_only_if_it_is_asked_to() -> None:
    """Without sharing, each call draws anew: a second estimate from the same batch is independent of the first."""
    torch.manual_seed(0)
    generator, other = make(TinyGenerator), TinyGenerator()
    alone = [sampling.draws(generator, batch()).tokens for _ in range(8)]
    assert any(not torch.equal(each, alone[0]) for each in alone)
    shared = replace(batch(), shared={})
    drawn = sampling.draws(generator, shared)
    assert sampling.draws(generator, shared) is drawn
    assert sampling.draws(generator, shared, 2) is not drawn
    assert sampling.draws(other, shared) is not drawn
    assert sampling.draws(generator, replace(batch(), shared={})) is not drawn
    assert sampling.draws(generator, replace(shared, noise=shared.noise.clone())) is not drawn
