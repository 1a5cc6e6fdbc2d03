"""The hand-written loops estimate the same as the textbook's."""

import torch

from ganlm_core.cli.bench import handwritten, textbook
from tests.tiny import UNLIKELY, chi_square


def test_words_are_drawn_as_often_as_they_are_probable() -> None:
    torch.manual_seed(0)
    probabilities = torch.tensor([0.1, 0.0, 0.6, 0.3])
    drawn = handwritten.draw(probabilities.log().expand(20_000, -1))
    assert chi_square(drawn.bincount(minlength=4), probabilities) > UNLIKELY


def test_rollouts_of_kept_states_estimate_the_values_of_prefixes() -> None:
    torch.manual_seed(0)
    generator, critic = textbook.LSTM(8, 4, 4), textbook.TextCNN(8, 4, [1, 2], 3)
    for weight in (*generator.parameters(), *critic.parameters()):
        weight.data *= 3
    words, states = handwritten.sample(generator, 2, 4)
    found = handwritten.rollout_values(generator, critic, words, states, 4000)
    repeated = words.repeat(100, 1)
    expected = textbook.rollout_values(generator, critic, repeated, 40).unflatten(0, (100, 2)).mean(dim=0)
    assert expected[:, :-1].std() > 0.02
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0)  # four standard errors of a mean of 4,000


def test_steps_take_the_gradients_of_the_textbook() -> None:
    torch.manual_seed(0)
    generator, words = textbook.LSTM(8, 4, 4), torch.randint(3, 8, (5, 4))
    optimizer = torch.optim.SGD(generator.parameters(), lr=0.0)
    gradients = []
    for step in (textbook.likelihood_step, handwritten.likelihood_step):
        step(generator, optimizer, words)
        gradients.append([parameter.grad for parameter in generator.parameters()])
    torch.testing.assert_close(*gradients)
