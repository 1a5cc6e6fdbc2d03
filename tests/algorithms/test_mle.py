"""Maximum likelihood: its phase, its value by hand, and its gradient at the optimum."""

import itertools
import math

import pytest
import torch

from ganlm_core import sampling
from ganlm_core.algorithms.mle import MLE, negative_log_likelihood
from ganlm_core.components import NoOptions
from ganlm_core.errors import UsageError
from ganlm_core.protocol import Batch, mask_of
from tests.tiny import SHAPE, WORDS, TinyGenerator, TinyOneShot, likelihoods, make_batch, make_parts, plan


def test_mle_has_one_phase_and_no_adversarial_step() -> None:
    algorithm = MLE(make_parts(), NoOptions())
    assert plan(algorithm) == ["m"] * 10
    assert algorithm.adversarial_from == 10
    assert list(algorithm.networks) == ["generator"]


def test_the_loss_is_the_mean_over_the_tokens_of_the_batch() -> None:
    torch.manual_seed(0)
    generator, batch = TinyGenerator(), make_batch()
    log_probs = sampling.log_probabilities(generator(batch.noise, batch.tokens))
    expected = -likelihoods(log_probs, batch.tokens, batch.mask).log().sum() / batch.mask.sum()
    assert negative_log_likelihood(generator, batch).item() == pytest.approx(expected.item(), rel=1e-6)


def uniform_generator() -> TinyGenerator:
    """Return a generator for which <eos> and the three words are equally likely everywhere."""
    generator = TinyGenerator()
    with torch.no_grad():
        generator.table.zero_()
        generator.noise.zero_()
    return generator


def test_the_loss_of_a_uniform_generator_is_log_4() -> None:
    assert negative_log_likelihood(uniform_generator(), make_batch()).item() == pytest.approx(math.log(4))


def test_the_gradient_vanishes_at_the_optimum() -> None:
    """The data has every sequence as often as the generator writes it. Without one row the gradient is not zero."""
    exact = [list(row) for row in itertools.product(WORDS, repeat=SHAPE.length)]
    generator = uniform_generator()

    def largest_gradient(rows: list[list[int]]) -> float:
        tokens = torch.tensor(rows)
        tokens = tokens.masked_fill(~mask_of(tokens), 0)
        noise = torch.tensor([[0.7, -1.2]]).expand(len(rows), -1)
        loss = negative_log_likelihood(generator, Batch(tokens, mask_of(tokens), noise))
        gradients = torch.autograd.grad(loss, list(generator.parameters()))
        return max(gradient.abs().max().item() for gradient in gradients)

    assert largest_gradient(exact) < 1e-7
    assert largest_gradient(exact[:-1]) > 1e-3


def test_a_one_shot_generator_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        MLE(make_parts(generator=TinyOneShot()), NoOptions())
    assert str(caught.value) == (
        "mle needs an autoregressive generator, and TinyOneShot writes all positions at once; "
        "choose another with --gen, or train it with --recipe one-shot"
    )
