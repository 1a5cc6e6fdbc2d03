"""Divergences of next-word distributions, enumerated over three words or worked by hand."""

import pytest
import torch
from torch import Tensor

from ganlm_core import sampling
from ganlm_core.algorithms.divergence import DIVERGENCES, divergence
from ganlm_core.protocol import Batch, Generator, Shape, mask_of
from tests.tiny import NOISE, SHAPE, TinyGenerator, every_sequence, gradient, z_scores

ROWS, REPEATS = 512, 64


def log_probs(generator: Generator) -> Tensor:
    """Return log p of every possible sequence, (N,)."""
    tokens, mask = every_sequence(generator.shape.length)
    return sampling.log_likelihood(generator, NOISE.expand(len(tokens), -1), tokens, mask).sum(dim=1)


def own_batch(tokens: Tensor) -> Batch:
    return Batch(tokens, mask_of(tokens), NOISE.expand(len(tokens), -1))


def jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    middle = (p + q) / 2
    return ((p * (p / middle).log()).sum() + (q * (q / middle).log()).sum()) / 2


def test_with_texts_of_one_word_the_gradient_is_twice_the_jensen_shannon_gradient() -> None:
    """The equality is exact, because the empty prefix is the only one. The mediator is the mixture."""
    torch.manual_seed(2)
    shape = Shape(SHAPE.vocabulary, 1, SHAPE.noise)
    generator, mediator = TinyGenerator(shape), TinyGenerator(shape)
    data = torch.rand(4).softmax(dim=0)
    with torch.no_grad():  # logits are a tanh, so the mixture goes into the prior
        mediator.table.zero_()
        mediator.noise.zero_()
        mediator.prior[2:] = ((data + log_probs(generator).exp()) / 2).log()
    found = gradient(divergence(generator, [mediator], own_batch(torch.full((3, 1), 2))), generator)
    exact = gradient(jensen_shannon(data, log_probs(generator).exp()), generator)
    assert found.allclose(2 * exact, atol=1e-6)
    assert exact.norm() > 0.01


def test_the_gradient_of_the_divergence_holds_the_prefixes_fixed() -> None:
    """The mean loss is KL(generator || mediator) of whole texts. The mean gradient is that of the divergence at each
    prefix, times the probability of the prefix, which is held fixed."""
    torch.manual_seed(3)
    generator, mediator = TinyGenerator(), TinyGenerator()
    tokens, mask = every_sequence()
    noise = NOISE.expand(len(tokens), -1)
    own, other = (sampling.log_probabilities(each(noise, tokens))[..., 2:] for each in (generator, mediator))
    at_prefixes = (own.exp() * (own - other.detach())).sum(dim=-1)
    exact = gradient((log_probs(generator).exp().detach() * (at_prefixes * mask).sum(dim=1)).sum(), generator)
    losses = [divergence(generator, [mediator], own_batch(torch.full((ROWS, 3), 2))) for _ in range(REPEATS)]
    found = torch.stack([gradient(loss, generator) for loss in losses])
    assert z_scores(found, exact).abs().max() < 4.5
    whole = (log_probs(generator).exp() * (log_probs(generator) - log_probs(mediator))).sum()
    values = torch.stack(losses)[:, None].detach()
    assert z_scores(values, whole.detach()).abs().max() < 3.5
    assert exact.norm() > 5 * (found.mean(dim=0) - exact).norm()


@pytest.mark.parametrize("kind", DIVERGENCES)
def test_each_divergence_is_zero_at_the_mean_of_the_mediators_only(kind: str) -> None:
    torch.manual_seed(7)
    one, other = (torch.randn(5, 4).log_softmax(dim=-1) for _ in range(2))
    assert DIVERGENCES[kind](one, one).allclose(torch.zeros(5), atol=1e-6)
    assert (DIVERGENCES[kind](one, other) > 1e-3).all()


def test_divergences_worked_by_hand() -> None:
    own, other = torch.tensor([0.5, 0.5]).log(), torch.tensor([0.25, 0.75]).log()
    found = {kind: round(function(own, other).item(), 4) for kind, function in DIVERGENCES.items()}
    assert found == {"reverse-kl": 0.1438, "forward-kl": 0.1308, "jensen-shannon": 0.0338, "skewed": 0.1131}


def test_the_generator_follows_the_mean_of_probabilities() -> None:
    torch.manual_seed(8)
    shape = Shape(SHAPE.vocabulary, 1, SHAPE.noise)
    generator, one, other = (TinyGenerator(shape) for _ in range(3))
    found = divergence(generator, [one, other], own_batch(torch.full((3, 1), 2)))
    own = log_probs(generator)
    mean = (log_probs(one).exp() + log_probs(other).exp()) / 2
    assert found.item() == pytest.approx((own.exp() * (own - mean.log())).sum().item(), rel=1e-4)
