"""LeakGAN (Guo et al. 2018, Alg. 1): the discriminator's features leak to a generator made of a manager and a worker.

The shape letters are defined in :mod:`ganlm_core.protocol`; c is the horizon of the goals. The features (B, T + 1, F)
of a sentence are the features of its prefixes, from the empty one to the whole sentence. The goals (B, T, F) are set
before each word.
"""

from collections.abc import Callable, Sequence

import torch
from ganlm_conv.networks import ConvDiscriminator
from torch import Tensor, nn
from torch.nn import functional as F

from ganlm_core import sampling
from ganlm_core.algorithms.adversarial import discriminator_loss, generator_cost
from ganlm_core.algorithms.mle import negative_log_likelihood
from ganlm_core.algorithms.policy_gradients import Rollout
from ganlm_core.algorithms.schedule import ScheduledAlgorithm
from ganlm_core.errors import UsageError
from ganlm_core.protocol import BOS, Batch, Parts, Phase
from ganlm_core.sampling.conditions import ConditionalDiscriminator
from ganlm_leakgan.networks import LeakGenerator
from ganlm_leakgan.options import LeakGANOptions


def plan(generator: LeakGenerator, noise: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Return the features (B, T + 1, F) and the goals (B, T, F) of ids (B, T)."""
    prefixes = torch.cat([torch.full_like(tokens[:, :1], BOS), tokens], dim=1)
    features, _ = generator.extractor(prefixes, generator.extractor.start(len(tokens)))
    goals, _ = generator.manager(features[:, :-1], generator.manager.start(noise))
    return features, goals


def arrivals(mask: Tensor, horizon: int) -> Tensor:
    """Return the prefix at which each goal is due, (B, T): c words later, or at the end of the sentence."""
    due = torch.arange(mask.shape[1], device=mask.device) + horizon
    return torch.minimum(due, mask.sum(dim=1, keepdim=True))


def manager_loss(features: Tensor, goals: Tensor, mask: Tensor, horizon: int, values: Tensor | None = None) -> Tensor:
    """Return -Q(s_t, g_t) cos(f_{t+c} - f_t, g_t), the mean over the mask (section 'Training of G').

    ``values`` (B, T) are the values of the prefixes that end with each word. The value of a goal is the value of the
    prefix at which it is due. Without ``values`` every value is 1: the manager learns the transitions of real text,
    which is its pre-training. Differs: goals due after the end are due at the end; all sentences of the paper have the
    same length.
    """
    due = arrivals(mask, horizon)
    reached = features.gather(1, due.unsqueeze(-1).expand_as(goals))
    worth = 1 if values is None else values.gather(1, (due - 1).clamp(min=0))
    return -(worth * F.cosine_similarity(reached - features[:, :-1], goals, dim=-1) * mask).sum() / mask.sum()


def intrinsic_reward(features: Tensor, goals: Tensor, horizon: int) -> Tensor:
    """Return how well each word follows the last c goals (B, T): the mean of cos(f_t - f_{t-i}, g_{t-i}).

    Differs: for the first words, the mean is over the goals so far.
    """
    length = goals.shape[1]
    total = torch.zeros_like(goals[..., 0])
    for back in range(1, min(horizon, length) + 1):
        moved = features[:, back:] - features[:, :-back]
        total[:, back - 1 :] += F.cosine_similarity(moved, goals[:, : length + 1 - back], dim=-1)
    return total / torch.arange(1, length + 1, device=total.device).clamp(max=horizon)


class LeakGAN(ScheduledAlgorithm):
    """A warm-up on real text, then rounds of discriminator, manager and worker, each with its own samples.

    Before each phase the generator copies the discriminator's current feature layers. In the warm-up the manager
    learns the transitions of real text, the worker learns maximum likelihood, and the discriminator trains in between:
    the paper's two pre-trainings alternate. The manager's reward is the value by rollouts. The worker's reward is the
    intrinsic reward plus these values with a weight that is 0 in the paper. The rewards of a run are part of these
    values, so they need a weight above 0.
    """

    pays = True
    generator: LeakGenerator
    discriminator: ConvDiscriminator
    estimator: Rollout

    def __init__(self, parts: Parts, options: LeakGANOptions) -> None:
        generator = _fitting(parts)
        if parts.rewarded is not None and options.extrinsic == 0:
            raise UsageError(
                "algorithm 'leakgan' pays a reward to its worker, which writes the words, only with "
                "--algorithm.extrinsic above 0, and it is 0; set it, or leave out --reward"
            )
        manager, worker = generator.manager, generator.worker
        super().__init__(
            parts,
            options,
            judging=self._phase("discriminator", self._discriminator_loss, "discriminator"),
            generator=[
                self._phase("manager", self._manager_loss, part=manager),
                self._phase("worker", self._worker_loss, part=worker),
            ],
            likelihood=[
                self._phase("transition", self._transition_loss, part=manager),
                self._phase("mle", self._likelihood_loss, part=worker),
            ],
        )
        self.options = options

    def phases(self, step: int) -> Sequence[Phase]:
        phases = super().phases(step)
        alternates = step < self.schedule.discriminator_from and step % self.options.alternate == 0
        return [self.schedule.discriminator, *phases] if alternates else phases

    def _phase(
        self, name: str, loss: Callable[[Batch], Tensor], network: str = "generator", part: nn.Module | None = None
    ) -> Phase:
        def leaking(batch: Batch) -> Tensor:
            self.generator.extractor.copy_from(self.discriminator)
            return loss(batch)

        return Phase(name, network, leaking, part)

    def _discriminator_loss(self, batch: Batch) -> Tensor:
        return discriminator_loss(self.parts, batch)

    def _likelihood_loss(self, batch: Batch) -> Tensor:
        return negative_log_likelihood(self.generator, batch)

    def _transition_loss(self, batch: Batch) -> Tensor:
        features, goals = plan(self.generator, batch.noise, batch.tokens)
        return manager_loss(features, goals, batch.mask, self.generator.horizon)

    def _manager_loss(self, batch: Batch) -> Tensor:
        drawn = sampling.sample(self.generator, batch.noise)
        features, goals = plan(self.generator, batch.noise, drawn.tokens)
        return manager_loss(features, goals, drawn.mask, self.generator.horizon, self._returns(batch, drawn))

    def _worker_loss(self, batch: Batch) -> Tensor:
        drawn = sampling.draws(self.generator, batch)
        with torch.no_grad():
            reward = intrinsic_reward(*plan(self.generator, batch.noise, drawn.tokens), self.generator.horizon)
        batch.log("intrinsic_reward", (reward * drawn.mask).sum() / drawn.mask.sum())
        reward = self.options.intrinsic * reward
        if self.options.extrinsic > 0:
            reward = reward + self.options.extrinsic * self._returns(batch, drawn)
        return self.estimator.surrogate(drawn, reward)

    def _returns(self, batch: Batch, drawn: sampling.Sample) -> Tensor:
        return self.estimator.returns(self.generator, batch, drawn, generator_cost(self.parts, batch))


def _fitting(parts: Parts) -> LeakGenerator:
    """Return the generator, if the parts are what leakgan needs. Raises UsageError for others, with the reason."""
    generator, discriminator, estimator = parts.generator, parts.discriminator, parts.estimator
    if isinstance(discriminator, ConditionalDiscriminator):
        raise UsageError(
            "algorithm 'leakgan' copies the layers that read words, and with labels or prompts the discriminator reads "
            "more than words; choose another --algorithm, or leave out --corpus.label and --corpus.prompt"
        )
    if not isinstance(generator, LeakGenerator):
        raise UsageError(
            f"algorithm 'leakgan' trains a manager and a worker, and {type(generator).__name__} has none; "
            "choose --gen leakgan"
        )
    if type(discriminator) is not ConvDiscriminator:
        raise UsageError(
            "algorithm 'leakgan' leaks the features of a text CNN, which its generator reads word by word, and "
            f"{type(discriminator).__name__} has other features; choose --disc conv"
        )
    if not discriminator.padding:
        raise UsageError(
            "algorithm 'leakgan' reads features of prefixes, which are often shorter than a filter; set --disc.padding"
        )
    if _sizes(generator.extractor) != _sizes(discriminator):
        raise UsageError(
            "algorithm 'leakgan' needs a generator that reads features of the discriminator's sizes; set "
            "--gen.feature-embedding-size, --gen.widths, --gen.filters and --gen.highway to the values of "
            "--disc.embedding-size, --disc.widths, --disc.filters and --disc.highway"
        )
    if not isinstance(estimator, Rollout):
        raise UsageError(
            f"algorithm 'leakgan' values prefixes by rollouts, and {type(estimator).__name__} makes none; "
            "choose --estimator rollout"
        )
    return generator


def _sizes(module: nn.Module) -> dict[str, torch.Size]:
    """Return the shapes of the weights that compute the features."""
    return {name: weight.shape for name, weight in module.state_dict().items() if not name.startswith("output.")}
