"""Stratified samples, against probabilities that are enumerated over three words."""

import pytest
import torch
from torch import Tensor

from ganlm_core import sampling
from ganlm_core.errors import UsageError
from ganlm_core.protocol import Shape
from tests.tiny import NOISE, POLICIES, SHAPE, TinyGenerator, TinyOneShot, every_sequence, make

ROWS = 4096


def numbers(tokens: Tensor) -> Tensor:
    """Return a number (N,) for each sequence (N, T)."""
    return (tokens * SHAPE.vocabulary ** torch.arange(SHAPE.length)).sum(dim=1)


def probabilities(generator: TinyGenerator, noise: Tensor, policy: sampling.Policy) -> tuple[Tensor, Tensor]:
    """Return the number and the probability of every sequence."""
    tokens, mask = every_sequence()
    log_p = sampling.log_likelihood(generator, noise.expand(len(tokens), -1), tokens, mask, policy)
    return numbers(tokens), log_p.sum(dim=1).exp().detach()


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("samples", [1, 8])
def test_each_sentence_is_drawn_as_often_as_its_probability_says(policy: sampling.Policy, samples: int) -> None:
    """Evenly spaced numbers hit an interval of length p either floor(N p) or ceil(N p) times."""
    generator = make(TinyGenerator)
    rows = ROWS // samples
    drawn = sampling.sample(generator, NOISE.expand(rows, -1), policy, samples=samples, stratified=True)
    known, p = probabilities(generator, NOISE, policy)
    counts = (numbers(drawn.tokens)[:, None] == known).sum(dim=0)
    assert counts.sum() == ROWS
    assert (counts - ROWS * p).abs().max() < 1.01


def test_the_sentences_of_each_noise_vector_are_stratified() -> None:
    torch.manual_seed(0)
    generator, noise, samples = make(TinyGenerator), torch.randn(5, SHAPE.noise), 512
    drawn = sampling.sample(generator, noise, samples=samples, stratified=True)
    for row in range(5):
        known, p = probabilities(generator, noise[row : row + 1], sampling.PLAIN)
        counts = (numbers(drawn.tokens[row::5])[:, None] == known).sum(dim=0)
        assert (counts - samples * p).abs().max() < 1.01


def test_each_sentence_of_a_noise_vector_has_the_distribution_of_all() -> None:
    """Sample k of a row must not always lie in part k of the distribution."""
    torch.manual_seed(0)
    generator, samples = make(TinyGenerator), 4
    drawn = sampling.sample(generator, NOISE.expand(ROWS, -1), samples=samples, stratified=True)
    known, p = probabilities(generator, NOISE, sampling.PLAIN)
    for each in numbers(drawn.tokens).view(samples, ROWS):
        counts = (each[:, None] == known).sum(dim=0)
        assert ((counts - ROWS * p).abs() < 4.5 * (ROWS * p * (1 - p)).sqrt() + 1).all()


def test_the_log_probabilities_are_those_of_the_generator() -> None:
    generator, noise = make(TinyGenerator), torch.randn(64, SHAPE.noise)
    drawn = sampling.sample(generator, noise, stratified=True)
    wanted = sampling.log_likelihood(generator, noise, drawn.tokens, drawn.mask)
    torch.testing.assert_close(drawn.log_probs, wanted.detach())


def test_two_numbers_give_whole_long_sentences() -> None:
    """Sentences of 200 even words have 400 bits; the words after the digits of a number are drawn evenly too."""
    shape = Shape(vocabulary=7, length=200, noise=0)
    generator = TinyGenerator(shape)
    with torch.no_grad():
        generator.table.zero_()
    generator.prior[2] = -1e30
    torch.manual_seed(1)
    drawn = sampling.sample(generator, torch.zeros(2, 0), stratified=True)
    counts = drawn.tokens.flatten().bincount(minlength=7)[3:]
    assert drawn.mask.all()
    assert ((counts - 100).abs() < 4 * (400 * 3 / 16) ** 0.5).all()
    late = drawn.tokens[:, 60:].flatten()
    assert late.unique().tolist() == [3, 4, 5, 6]


def test_the_same_random_state_gives_the_same_sentences() -> None:
    generator, noise = make(TinyGenerator), torch.randn(32, SHAPE.noise)
    found = [
        sampling.sample(generator, noise, rng=torch.Generator().manual_seed(seed), stratified=True).tokens
        for seed in (3, 3, 4)
    ]
    assert found[0].equal(found[1])
    assert not found[0].equal(found[2])


def test_a_prompt_is_kept() -> None:
    generator = make(TinyGenerator)
    drawn = sampling.sample(generator, NOISE.expand(64, -1), prompt=torch.tensor([4]), stratified=True)
    assert drawn.tokens[:, 0].eq(4).all()
    assert len(drawn.tokens[:, 1].unique()) > 2


def test_a_generator_that_writes_all_positions_at_once_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        sampling.sample(make(TinyOneShot), NOISE, stratified=True)
    assert str(caught.value) == (
        "stratified samples differ word by word, and this generator writes all positions at once; "
        "use an autoregressive generator"
    )
