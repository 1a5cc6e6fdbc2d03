"""Gradient estimators: they pass the generator's gradient through the sampling of discrete tokens.

There are four families:

- *Relaxations* (:mod:`ganlm_core.algorithms.relaxations`) make the sample differentiable and pass the gradient of the
  cost through it: low variance, biased.
- *Policy gradients* (:mod:`ganlm_core.algorithms.policy_gradients`) weight the gradient of log p(x) by the cost of x:
  unbiased for any cost, with high variance, which a baseline reduces. The baseline ``same-length`` is biased on
  purpose.
- *Exact expectations* (:mod:`ganlm_core.algorithms.next_word`) sum over the next word after each prefix. They need a
  discriminator that knows the cost of every word.
- *Importance weights* (:mod:`ganlm_core.algorithms.importance`) raise the likelihood of generated samples in proportion
  to their share of the reward of the batch.

This module has the base classes of estimators that draw ids: all but relaxations, which alone leave the generator's
dropout on. The discriminator's dropout is on for all of them.
"""

from abc import abstractmethod

from torch import Tensor

from ganlm_core import sampling
from ganlm_core.layers import without_dropout
from ganlm_core.protocol import Batch, Cost, Estimator, Generator, Sequences, without_prompt


class DrawsIds(Estimator):
    """Base of estimators whose discriminator trains on ids drawn from the generator, as a user will see them."""

    def prompt(self, generator: Generator, batch: Batch) -> Tensor:
        """Return the ids (B, P) that samples continue. Here P = 0."""
        return batch.tokens[:, :0]

    def draw(self, generator: Generator, batch: Batch) -> Sequences:
        prompt = generator.untraced(self.prompt, batch)
        drawn = sampling.sample(generator, batch.noise, prompt=prompt)
        log_entropy(batch, drawn, prompt.shape[1])
        return Sequences(drawn.tokens, drawn.mask)


class Scored(DrawsIds):
    """Base of estimators that weight the gradient of log p(x). The p that scores a sample must be the p that drew it.

    With dropout the two would differ, because each forward pass draws its own dropout mask. So the generator's dropout
    is off here, also for the samples of the discriminator, as is usual if a language model is a policy (Huang et al.
    2024, "The N+ Implementation Details of RLHF with PPO", section 4). The trained distribution is then the one that is
    evaluated and saved.
    """

    def forward(self, generator: Generator, batch: Batch, cost: Cost) -> Tensor:
        with without_dropout(generator):
            return self.weigh(generator, batch, cost)

    @abstractmethod
    def weigh(self, generator: Generator, batch: Batch, cost: Cost) -> Tensor:
        """Do the work of :meth:`forward`. The generator's dropout is off."""

    def draw(self, generator: Generator, batch: Batch) -> Sequences:
        with without_dropout(generator):
            return super().draw(generator, batch)


def log_entropy(batch: Batch, drawn: sampling.Sample, given: int = 0) -> None:
    """Log the mean -log p of the tokens of a sample, without its prompts and its first ``given`` positions."""
    written = without_prompt(drawn.mask, batch.given)[:, given:]
    batch.log("entropy", -drawn.log_probs.sum() / written.sum().clamp(min=1))


def log_reward(batch: Batch, reward: Tensor) -> None:
    """Log the mean and the variance of the rewards (B,) of the sequences."""
    batch.log("reward", reward.mean())
    batch.log("reward_variance", reward.var(correction=0))
