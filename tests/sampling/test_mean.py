"""The mean of several language models."""

import math

import pytest
import torch

from ganlm_core import sampling
from ganlm_core.protocol import EOS
from ganlm_core.sampling import MeanGenerator, log_mean
from tests.tiny import NOISE, SHAPE, TinyGenerator, every_sequence, make_batch


def test_the_mean_is_of_probabilities() -> None:
    found = log_mean([torch.tensor([0.5, 0.1]).log(), torch.tensor([0.1, 0.7]).log()])
    assert found.exp().tolist() == pytest.approx([0.3, 0.4])
    assert log_mean([torch.tensor([0.25]).log()]).item() == pytest.approx(math.log(0.25))


def test_each_word_has_the_mean_probability_of_the_members() -> None:
    torch.manual_seed(0)
    members = [TinyGenerator() for _ in range(3)]
    mean, (tokens, _) = MeanGenerator(members), every_sequence()
    noise = NOISE.expand(len(tokens), -1)
    expected = torch.stack([sampling.log_probabilities(each(noise, tokens)).exp() for each in members]).mean(dim=0)
    found = sampling.log_probabilities(mean(noise, tokens)).exp()
    torch.testing.assert_close(found, expected)
    assert not found[..., :EOS].any()


def test_the_steps_of_the_mean_are_its_whole_pass() -> None:
    """Sampling, which goes step by step, gives the log-probabilities of the likelihood, which reads all words."""
    torch.manual_seed(0)
    mean, batch = MeanGenerator([TinyGenerator() for _ in range(2)]), make_batch(rows=16)
    drawn = sampling.sample(mean, batch.noise)
    found = sampling.log_likelihood(mean, batch.noise, drawn.tokens, drawn.mask)
    torch.testing.assert_close(found, drawn.log_probs)


def test_the_likelihoods_of_all_sentences_sum_to_one() -> None:
    torch.manual_seed(0)
    mean, (tokens, mask) = MeanGenerator([TinyGenerator() for _ in range(2)]), every_sequence()
    log_probs = sampling.log_likelihood(mean, NOISE.expand(len(tokens), -1), tokens, mask).sum(dim=1)
    assert log_probs.exp().sum().item() == pytest.approx(1, abs=1e-5)
    assert mean.shape == SHAPE
