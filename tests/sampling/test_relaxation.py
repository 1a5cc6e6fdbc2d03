"""Relaxed samples, and where their gradients pass."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganlm_core import sampling
from ganlm_core.protocol import BOS, EOS, PAD, AutoregressiveGenerator, Generator, Sequences, Shape, State, mask_of
from ganlm_core.sampling import relaxation
from ganlm_core.sampling.drawing import MANY_WORDS
from tests.tiny import (
    DRAWS,
    NOISE,
    SHAPE,
    UNLIKELY,
    TinyGenerator,
    TinyOneShot,
    chi_square,
    count,
    every_sequence,
    exact,
    make,
)


class Bigram(AutoregressiveGenerator):
    """The next logits depend on the last token and on nothing else."""

    def __init__(self, shape: Shape = SHAPE) -> None:
        super().__init__(shape)
        self.table = nn.Parameter(torch.randn(shape.vocabulary, shape.vocabulary))

    def start(self, noise: Tensor) -> State:
        return ()

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        return (tokens @ self.table if tokens.is_floating_point() else self.table[tokens]), state


@pytest.mark.parametrize("network", [TinyGenerator, TinyOneShot])
def test_hard_relaxed_samples_are_one_hots_as_frequent_as_their_sequences(network: type[Generator]) -> None:
    generator = make(network)
    drawn = sampling.relaxed_sample(generator, NOISE.expand(DRAWS, -1), temperature=0.7, hard=True)
    ids = drawn.sequence.argmax(dim=-1)
    assert drawn.sequence.equal(nn.functional.one_hot(ids, SHAPE.vocabulary).float())
    assert drawn.mask.equal(mask_of(ids))
    assert chi_square(count(ids, every_sequence()[0]), exact(generator)) > UNLIKELY


@pytest.mark.parametrize("network", [TinyGenerator, TinyOneShot])
def test_soft_relaxed_samples_are_distributions_and_padding(network: type[Generator]) -> None:
    soft = sampling.relaxed_sample(make(network), NOISE.expand(500, -1), temperature=1.0, hard=False)
    torch.testing.assert_close(soft.sequence.sum(dim=-1), torch.ones(500, SHAPE.length))
    assert 0.4 < soft.sequence[soft.mask].max(dim=-1).values.mean() < 0.95
    assert soft.mask.equal(mask_of(soft.sequence.argmax(dim=-1)))
    padding = torch.eye(SHAPE.vocabulary)[PAD]
    assert (soft.sequence[~soft.mask] == padding).all()
    assert (~soft.mask).any()


def test_the_colder_the_softmax_the_closer_to_one_hots() -> None:
    generator, distances = make(TinyOneShot), []
    for temperature in (1.0, 0.1, 0.01):
        torch.manual_seed(0)
        soft = sampling.relaxed_sample(generator, NOISE.expand(500, -1), temperature, hard=False)
        distances.append(1 - soft.sequence.max(dim=-1).values.mean().item())
    assert distances[0] > 5 * distances[1] > 25 * distances[2] > 0


def relaxed_gradients(generator: Generator, cost: Any, hard: bool, rows: int = 200) -> list[Tensor]:
    torch.manual_seed(0)
    drawn = sampling.relaxed_sample(generator, NOISE.expand(rows, -1), temperature=0.7, hard=hard)
    return list(torch.autograd.grad(cost(drawn), list(generator.parameters())))


@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize("network", [TinyGenerator, TinyOneShot])
def test_a_gradient_reaches_every_parameter(network: type[Generator], hard: bool) -> None:
    weights = torch.randn(SHAPE.length, SHAPE.vocabulary, generator=torch.Generator().manual_seed(0))

    def cost(drawn: Sequences) -> Tensor:
        return (drawn.sequence * weights).sum()

    gradients = relaxed_gradients(make(network), cost, hard)
    assert all(gradient.isfinite().all() and gradient.any() for gradient in gradients)


def test_hard_samples_have_the_gradient_of_the_softmax() -> None:
    weights = torch.randn(SHAPE.length, SHAPE.vocabulary, generator=torch.Generator().manual_seed(0))

    def cost(drawn: Sequences) -> Tensor:
        return (drawn.sequence * weights).sum()

    soft, hard = (relaxed_gradients(make(TinyOneShot), cost, hard) for hard in (False, True))
    torch.testing.assert_close(hard, soft)


@pytest.mark.parametrize("hard", [True, False])
def test_there_is_no_gradient_beyond_the_mask(hard: bool) -> None:
    def cost(drawn: Sequences) -> Tensor:
        return (drawn.sequence * ~drawn.mask[..., None]).square().sum()

    assert all((gradient == 0).all() for gradient in relaxed_gradients(make(TinyOneShot), cost, hard))


@pytest.mark.parametrize("hard", [True, False])
def test_the_gradient_passes_through_the_tokens_that_are_fed_back(hard: bool) -> None:
    """The row of <bos> has a say in the first token alone, so the last one moves it through the tokens in between."""
    (gradient,) = relaxed_gradients(make(Bigram), lambda drawn: drawn.sequence[:, -1, 3].sum(), hard)
    assert gradient[BOS, EOS:].abs().min() > 0.01


def test_feeding_drawn_words_gives_the_distribution_of_ordinary_sampling() -> None:
    """However hot the softmax is; going on from its mixtures, the same generator writes other sentences."""
    generator, likelihood = make(TinyGenerator), {}
    for feed_drawn in (True, False):
        drawn = sampling.relaxed_sample(generator, NOISE.expand(DRAWS, -1), temperature=5.0, feed_drawn=feed_drawn)
        ids = torch.where(drawn.mask, drawn.sequence.argmax(dim=-1), PAD)
        likelihood[feed_drawn] = chi_square(count(ids, every_sequence()[0]), exact(generator))
        assert drawn.sequence[drawn.mask].max(dim=-1).values.mean() < 0.5
    assert likelihood[False] < UNLIKELY < likelihood[True]


def test_no_gradient_passes_through_drawn_words() -> None:
    """The row of <bos> moves the first word alone, and the rows of the others the words after them."""
    generator = make(Bigram)
    drawn = sampling.relaxed_sample(generator, NOISE.expand(200, -1), temperature=0.7, feed_drawn=True)
    (gradient,) = torch.autograd.grad(drawn.sequence[:, -1, 3].sum(), list(generator.parameters()))
    assert not gradient[BOS].any() and gradient[3:, EOS:].abs().min() > 0.01


@pytest.mark.parametrize("words", [MANY_WORDS, MANY_WORDS + 1, 5000])
def test_the_likeliest_word_of_a_large_vocabulary_is_the_first_of_the_highest(words: int) -> None:
    torch.manual_seed(0)
    few = torch.randint(20, (40, 3, words)).float()  # with many equal ones
    every = torch.eye(words)
    for soft in (few, every, torch.rand(40, words)):
        assert torch.equal(relaxation._likeliest(soft), soft.argmax(dim=-1))
