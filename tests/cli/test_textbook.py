"""The textbook implementations estimate the same as ours."""

import torch
from ganlm_lstm.networks import LSTMGenerator
from ganlm_lstm.options import LSTMGeneratorOptions

from ganlm_core import sampling
from ganlm_core.algorithms.options import RolloutOptions
from ganlm_core.algorithms.policy_gradients import Rollout
from ganlm_core.cli.bench import textbook
from ganlm_core.protocol import EOS, Batch, Shape, mask_of


def test_rollouts_of_both_ways_estimate_the_same() -> None:
    """The values of prefixes, the same weights and the same critic on both sides, by 4,000 completions of each."""
    torch.manual_seed(0)
    plain, critic = textbook.LSTM(8, 4, 4), textbook.TextCNN(8, 4, [1, 2], 3)
    for weight in (*plain.parameters(), *critic.parameters()):
        weight.data *= 3
    plain.output.bias.data[: EOS + 1] = -1e9  # the textbook knows no special words, and no end
    generator = LSTMGenerator(Shape(8, 4, 0), LSTMGeneratorOptions(embedding_size=4, hidden_size=4))
    generator.load_state_dict(plain.state_dict(), strict=False)
    words = torch.tensor([[3, 4, 5, 6], [7, 7, 3, 4]]).repeat(100, 1)
    batch = Batch(words, mask_of(words), torch.zeros(200, 0))
    drawn = sampling.Sample(words, batch.mask, torch.zeros(words.shape))
    estimator = Rollout(RolloutOptions(samples=40))
    ours = estimator.returns(generator, batch, drawn, lambda ids, mask: -critic(ids))
    found, expected = (
        values.unflatten(0, (100, 2)).mean(dim=0)
        for values in (ours, textbook.rollout_values(plain, critic, words, 40))
    )
    assert expected[:, :-1].std() > 0.02
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0)  # four standard errors of a mean of 4,000
