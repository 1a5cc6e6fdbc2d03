"""The exact expectation over the next word, enumerated over a three-word vocabulary."""

import torch
from torch import Tensor

from ganlm_core import sampling
from ganlm_core.algorithms.next_word import NextWord
from ganlm_core.components import NoOptions
from ganlm_core.protocol import EOS, NEVER, Batch, mask_of
from tests.tiny import NOISE, REPEATS, ROWS, SHAPE, TinyGenerator, every_sequence, gradient, z_scores


def test_next_word_is_the_gradient_of_expected_costs_after_fixed_prefixes() -> None:
    """The gradient of sum over prefixes of p(prefix) E[cost of the next word], with p(prefix) held fixed."""
    torch.manual_seed(3)
    generator = TinyGenerator()
    costs = torch.randn(SHAPE.length, SHAPE.vocabulary)
    tokens, mask = every_sequence()
    logits = generator(NOISE.expand(len(tokens), -1), tokens)
    log_p = sampling.log_probabilities(logits)
    sentences = sampling.of_tokens(log_p, tokens, mask).sum(dim=1).exp().detach()
    expected = (log_p[..., EOS:].exp() * costs[:, EOS:]).sum(dim=-1) * mask
    exact = gradient((sentences * expected.sum(dim=1)).sum(), generator)
    padding = torch.zeros(ROWS, SHAPE.length, dtype=torch.long)
    batch = Batch(padding, padding > 0, NOISE.expand(ROWS, -1))

    def cost(ids: Tensor, own: Tensor) -> Tensor:
        return costs[: ids.shape[1]].expand(len(ids), -1, -1)

    estimator = NextWord(NoOptions())
    found = torch.stack([gradient(estimator(generator, batch, cost), generator) for _ in range(REPEATS)])
    assert z_scores(found, exact).abs().max() < 4.5


def test_a_word_that_cannot_be_drawn_has_no_cost() -> None:
    generator = TinyGenerator()
    generator.prior[-1] = NEVER
    tokens = torch.full((2, SHAPE.length), EOS)
    batch = Batch(tokens, mask_of(tokens), NOISE.expand(2, -1))

    def cost(ids: Tensor, own: Tensor) -> Tensor:
        return own.square()  # infinite for that word

    loss = NextWord(NoOptions())(generator, batch, cost)
    assert torch.isfinite(loss)
    assert all(each.isfinite().all() for each in gradient(loss, generator))
