"""Policy gradients: the gradient of log p(x) of a sample, weighted by its cost."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ganlm_core import sampling
from ganlm_core.algorithms.baselines import Baseline, make_baseline
from ganlm_core.algorithms.estimators import Scored, log_entropy, log_reward
from ganlm_core.algorithms.options import ClippedOptions, ReinforceOptions, RolloutOptions
from ganlm_core.errors import UsageError
from ganlm_core.protocol import AutoregressiveGenerator, Batch, Cost, Generator, conditions_of, mask_of, per_sequence


class _ScoreFunction(Scored):
    """Base of ``reinforce`` and ``rollout``: turns rewards into a surrogate loss."""

    def __init__(self, baseline: Baseline) -> None:
        super().__init__()
        self.baseline = baseline

    def surrogate(self, drawn: sampling.Draws, returns: Tensor) -> Tensor:
        """Return -E[sum_t (return - baseline) log p(x_t)], the mean over the sequences (Williams 1992)."""
        return -(self.advantage(drawn, returns) * drawn.log_likelihood()).sum(dim=1).mean()

    @torch.no_grad()
    def advantage(self, drawn: sampling.Draws, returns: Tensor) -> Tensor:
        """Return the returns (N, T) less the baseline, zero outside the mask."""
        return (returns - self.baseline(drawn, returns)) * drawn.mask


class Reinforce(_ScoreFunction):
    """The score function (Williams 1992) with a baseline (:mod:`ganlm_core.algorithms.baselines`).

    ``reward="sequence"`` gives every token the reward of its sequence, and is unbiased with every baseline but
    ``same-length``, which removes the gradient through the length. ``"position"`` gives a token its own reward plus the
    discounted later rewards (de Masson d'Autume et al. 2019, eq. 3). This has a lower variance and raises the sum of
    the rewards, not their mean; it is exact only if the discriminator is causal and the discount is 1. A sum depends on
    the length: a loss whose reward is not 0 at chance pays for long or for short sentences, so choose one such as
    ``centred-probability``, ``reverse-kl`` or ``hinge``.

    ``entropy`` adds -weight * log p(x) to the reward; the expectation of -log p(x) is the entropy. With several
    ``samples`` per noise vector, the leave-one-out baseline compares these with each other, as in the paper, and so
    removes the part of the reward that the noise explains. With one sample, it is the mean of the rest of the batch.
    ``stratified`` samples share their first words in proportion to the probabilities
    (:mod:`ganlm_core.sampling.stratified`), so that chance has less part in the mean over the batch.
    """

    def __init__(self, options: ReinforceOptions) -> None:
        super().__init__(make_baseline(options.baseline, options.decay, options.samples))
        self.options = options
        self.per_position_only = options.reward == "position"
        self.autoregressive_only = options.stratified

    def _draws(self, generator: Generator, batch: Batch) -> sampling.Draws:
        return sampling.draws(generator, batch, self.options.samples, self.options.stratified)

    def weigh(self, generator: Generator, batch: Batch, cost: Cost) -> Tensor:
        drawn = self._draws(generator, batch)
        return self.surrogate(drawn, self.returns(batch, drawn, cost))

    @torch.no_grad()
    def returns(self, batch: Batch, drawn: sampling.Draws, cost: Cost) -> Tensor:
        """Return the rewards that each token is paid for, (N, T)."""
        reward = -cost(drawn.tokens, drawn.mask)
        log_entropy(batch, drawn)
        log_reward(batch, per_sequence(reward, drawn.mask))
        return self._returns(reward, drawn.log_likelihood(), drawn.mask)

    def _returns(self, reward: Tensor, log_probs: Tensor, mask: Tensor) -> Tensor:
        if self.options.reward == "sequence" or reward.dim() == 1:
            paid = per_sequence(reward, mask) - self.options.entropy * log_probs.sum(dim=1)
            return paid[:, None].expand(mask.shape)
        own = reward * mask - self.options.entropy * log_probs
        later = torch.zeros_like(own[:, 0])
        returns = []
        for paid in own.unbind(dim=1)[::-1]:
            later = paid + self.options.discount * later
            returns.append(later)
        return torch.stack(returns[::-1], dim=1)


@dataclass(frozen=True)
class _Kept:
    """Sequences that were drawn for a batch, log p of each token at that time, and its advantage, (N, T).

    ``uses``: the steps that they still serve.
    """

    uses: int
    batch: Batch
    tokens: Tensor
    mask: Tensor
    log_probs: Tensor
    advantage: Tensor


class Clipped(Reinforce):
    """Several generator steps on the same samples, within a trust region (Schulman et al. 2017, eq. 7).

    A token's weight is its advantage times r, its probability now divided by its probability when it was drawn. It gets
    no gradient where r is above 1 + ``clip`` and the advantage is positive, or below 1 - ``clip`` and the advantage is
    negative. In the first step r = 1, and the gradient is the gradient of ``reinforce``; later steps are biased, and
    cost no drawing and no reward. Differs: each step has all sequences, and the advantage is the one of ``reinforce``.
    """

    def __init__(self, options: ClippedOptions) -> None:
        super().__init__(options)
        self.clip = options.clip
        self.steps = options.steps
        self._kept: _Kept | None = None  # for the steps of one round, after which a checkpoint may follow
        self.register_load_state_dict_post_hook(_forget)

    def weigh(self, generator: Generator, batch: Batch, cost: Cost) -> Tensor:
        found: Tensor = generator.untraced(self._weigh, batch, cost)
        return found

    def _weigh(self, generator: Generator, batch: Batch, cost: Cost) -> Tensor:
        kept = self._kept
        if kept is None or kept.uses == 0 or kept.batch.step != batch.step:
            drawn = self._draws(generator, batch)
            advantage, log_probs = self.advantage(drawn, self.returns(batch, drawn, cost)), drawn.log_likelihood()
            kept = _Kept(self.steps, batch, drawn.tokens, drawn.mask, log_probs.detach(), advantage)
        else:
            with conditions_of(kept.batch):
                log_probs = sampling.log_likelihood(generator, kept.batch.noise, kept.tokens, kept.mask)
        self._kept = replace(kept, uses=kept.uses - 1)
        ratio = (log_probs - kept.log_probs).exp()
        within = ratio.clamp(1 - self.clip, 1 + self.clip)
        batch.log("clipped", ((ratio != within) & kept.mask).sum() / kept.mask.sum())
        return -torch.minimum(ratio * kept.advantage, within * kept.advantage).sum(dim=1).mean()


def _forget(estimator: nn.Module, _: object) -> None:
    """Draw anew after a rollback to a checkpoint."""
    assert isinstance(estimator, Clipped)
    estimator._kept = None


class Rollout(_ScoreFunction):
    """The score function estimator with Monte Carlo rollouts for the value of each token (Yu et al. 2017, eq. 4-6).

    Unbiased with every baseline but ``same-length``, which removes the gradient through the length. Differs: the
    rollouts continue from the state of the prefix and do not run the prefix again; and a baseline is subtracted from
    the rewards, where the paper has none. With ``rank`` the values are :func:`ranked`, and the gradient is of another
    cost: the rank of the sentence in its batch.
    """

    autoregressive_only = True

    def __init__(self, options: RolloutOptions) -> None:
        super().__init__(make_baseline(options.baseline, options.decay))
        self.options = options

    def weigh(self, generator: Generator, batch: Batch, cost: Cost) -> Tensor:
        if not isinstance(generator, AutoregressiveGenerator):
            raise UsageError(
                f"rollouts complete prefixes, and {type(generator).__name__} writes all positions at once; "
                "choose an autoregressive generator, or --estimator reinforce"
            )
        drawn = sampling.draws(generator, batch)
        return self.surrogate(drawn, self.returns(generator, batch, drawn, cost))

    def returns(self, generator: AutoregressiveGenerator, batch: Batch, drawn: sampling.Sample, cost: Cost) -> Tensor:
        """Return the reward of each token (B, T): the value of the prefix up to it, ranked if ``rank`` is set."""
        values = self._values(generator, batch.noise, drawn, cost)
        log_entropy(batch, drawn)
        log_reward(batch, values[:, -1])
        return ranked(values, drawn.mask, self.options.rank) if self.options.rank else values

    @torch.no_grad()
    def _values(self, generator: AutoregressiveGenerator, noise: Tensor, drawn: sampling.Sample, cost: Cost) -> Tensor:
        """Return the mean reward of the rollouts of each prefix, (B, T). A whole sequence has its own reward."""
        rows, length = drawn.tokens.shape
        own = -per_sequence(cost(drawn.tokens, drawn.mask), drawn.mask)
        total = torch.zeros(length, rows, device=noise.device)
        per_chunk = max(1, self.options.chunk // (rows * length))
        left = self.options.samples if length > 1 else 0  # a sequence of one token has no prefix to complete
        while left > 0:
            count = min(per_chunk, left)
            completed = generator.untraced(sampling.rollouts, noise, drawn.tokens, count).flatten(0, 2)
            mask = mask_of(completed)
            reward = -per_sequence(cost(completed, mask), mask)
            total[:-1] += reward.view(length - 1, count, rows).sum(dim=1)
            left -= count
        values = total / self.options.samples
        values[-1] = own
        return values.T


def ranked(values: Tensor, mask: Tensor, sharpness: float) -> Tensor:
    """Return sigmoid(sharpness * (0.5 - rank / B)) for values (B, T): the rescaled activation of Guo et al. 2018.

    A value is ranked among the values of its position, the highest first; B is their number. The rewards of a position
    have the same mean and variance for any scale and spread of the values. Differs: equal values share the
    mean of their ranks; only sentences that reach the position are ranked there.
    """
    others = values.unsqueeze(0)
    higher = (others > values.unsqueeze(1)) & mask.unsqueeze(0)
    equal = (others == values.unsqueeze(1)) & mask.unsqueeze(0)
    rank = higher.sum(dim=1) + (equal.sum(dim=1) + 1) / 2
    return (sharpness * (0.5 - rank / mask.sum(dim=0).clamp(min=1))).sigmoid().masked_fill(~mask, 0)
