"""The promises of all estimators that draw ids: no dropout, and what they log."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ganlm_core import sampling
from ganlm_core.algorithms.estimators import log_entropy
from ganlm_core.algorithms.importance import Importance
from ganlm_core.algorithms.options import (
    ImportanceOptions,
    ReinforceOptions,
    RolloutOptions,
)
from ganlm_core.algorithms.policy_gradients import Reinforce, Rollout
from ganlm_core.protocol import EOS, Estimator
from tests.tiny import Dropping, TinyGenerator, make_batch


@pytest.mark.parametrize("estimator", [Reinforce(ReinforceOptions()), Importance(ImportanceOptions())])
def test_draw_samples_without_dropout_too(estimator: Estimator) -> None:
    """One word has 99.5% of the probability. With dropout, some logits are 0 and other words appear."""
    torch.manual_seed(0)
    generator, batch = Dropping(), make_batch(rows=64)
    with torch.no_grad():
        generator.table.fill_(-9.0)
        generator.table[:, 4] = 9.0
        generator.noise.zero_()
    generator.prior[EOS] = -1e9
    assert estimator.draw(generator, batch).sequence.eq(4).float().mean() > 0.97


def test_the_entropy_is_of_the_words_that_were_written() -> None:
    """Neither of a prompt nor of the real words that an estimator continues."""
    mask = torch.tensor([[True, True, True], [True, True, False]])
    drawn = sampling.Sample(torch.full((2, 3), 4), mask, torch.tensor([[0.0, -1.0, -2.0], [0.0, -3.0, 0.0]]))
    for given, start, words in ((None, 0, 5), ([1, 1], 0, 3), ([2, 0], 0, 3), ([1, 0], 2, 1)):
        batch = replace(make_batch(rows=2), given=None if given is None else torch.tensor(given))
        log_entropy(batch, drawn, start)
        assert batch.metrics["entropy"].item() == pytest.approx(6 / words)


@pytest.mark.parametrize(
    "estimator", [Reinforce(ReinforceOptions()), Rollout(RolloutOptions(samples=1)), Importance(ImportanceOptions())]
)
def test_the_rewards_and_the_entropy_of_the_samples_are_logged(estimator: Estimator) -> None:
    """Half the sequences cost 1 and half cost 3."""
    batch = make_batch(rows=8)
    batch.log("entropy", torch.tensor(-1.0))

    def cost(sequence: Tensor, mask: Tensor) -> Tensor:
        return torch.tensor([1.0, 3.0]).repeat(len(sequence) // 2)

    torch.manual_seed(3)
    generator = TinyGenerator()
    torch.manual_seed(4)
    estimator(generator, batch, cost)
    assert batch.metrics["reward"].item() == -2
    assert batch.metrics["reward_variance"].item() == 1
    torch.manual_seed(4)
    drawn = sampling.sample(generator, batch.noise)
    expected = -sampling.log_likelihood(generator, batch.noise, drawn.tokens, drawn.mask).sum() / drawn.mask.sum()
    torch.testing.assert_close(batch.metrics["entropy"], expected.detach())
