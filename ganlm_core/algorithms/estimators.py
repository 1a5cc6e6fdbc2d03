"""How the generator's gradient passes the sampling of discrete tokens.

Three families. *Relaxations* (``gumbel``, ``straight-through``, ``softmax``) make the sample differentiable and let
the gradient of the cost through it: low variance, biased. *Score functions* (``reinforce``, ``rollout``) weigh the
gradient of log p(x) by what x cost: unbiased for any cost, of high variance, which the baseline lowers. *Importance
weights* (``importance``) make the generator's own samples likelier by their share of what all of them earned.

The last two leave the generator's dropout out, and relaxations do not. The discriminator's own is on for all of them.

``tests/algorithms/test_estimators.py`` measures the bias of each against a gradient enumerated on three words.
"""

from abc import abstractmethod

import torch
from torch import Tensor

from ganlm_core import sampling
from ganlm_core.algorithms.options import (
    GumbelOptions,
    ImportanceOptions,
    ReinforceOptions,
    RolloutOptions,
    SoftmaxOptions,
    StraightThroughOptions,
)
from ganlm_core.errors import UsageError
from ganlm_core.layers import without_dropout
from ganlm_core.protocol import (
    AutoregressiveGenerator,
    Batch,
    Cost,
    Estimator,
    Generator,
    Sequences,
    mask_of,
    per_sequence,
)


class _Relaxation(Estimator):
    """What estimators share that pass the gradient of the cost through a relaxed sample.

    The discriminator is shown relaxed samples too.
    """

    @abstractmethod
    def relax(self, generator: Generator, batch: Batch) -> Sequences:
        """Relaxed samples (B, T, V), differentiable in the generator."""

    def forward(self, generator: Generator, batch: Batch, cost: Cost) -> Tensor:
        relaxed: Sequences = generator.untraced(self.relax, batch)
        return per_sequence(cost(relaxed.sequence, relaxed.mask), relaxed.mask).mean()

    @torch.no_grad()
    def draw(self, generator: Generator, batch: Batch) -> Sequences:
        return generator.untraced(self.relax, batch)


class Gumbel(_Relaxation):
    """Gumbel-softmax (Jang et al. 2017, eq. 2; Maddison et al. 2017), its temperature annealed geometrically.

    Biased, the less so the lower the temperature.
    """

    def __init__(self, options: GumbelOptions) -> None:
        super().__init__()
        self.options = options

    def temperature(self, progress: float) -> float:
        start, end = self.options.temperature, self.options.final_temperature
        return start * (end / start) ** progress

    def relax(self, generator: Generator, batch: Batch) -> Sequences:
        feed_drawn = self.options.feed == "drawn"
        return sampling.relaxed_sample(generator, batch.noise, self.temperature(batch.progress), feed_drawn=feed_drawn)


class Softmax(_Relaxation):
    """The generator's distributions themselves in place of words: no sampling at all (Gulrajani et al. 2017, sec. 5.4).

    Given the noise they are deterministic, so all variety must come from the noise. Biased: words are drawn from the
    distributions afterwards, each by itself. Differs: a text has a length, and ends where ``<eos>`` is likeliest.
    """

    def __init__(self, options: SoftmaxOptions) -> None:
        super().__init__()
        self.options = options

    def relax(self, generator: Generator, batch: Batch) -> Sequences:
        return sampling.relaxed_sample(generator, batch.noise, self.options.temperature, gumbel=False)


class _DrawsIds(Estimator):
    """What estimators share that show the discriminator what a reader will see: ids drawn from the generator."""

    def prompt(self, generator: Generator, batch: Batch) -> Tensor:
        """The ids (B, P) that samples go on from: none."""
        return batch.tokens[:, :0]

    def draw(self, generator: Generator, batch: Batch) -> Sequences:
        prompt = generator.untraced(self.prompt, batch)
        drawn = sampling.sample(generator, batch.noise, prompt=prompt)
        batch.log("entropy", -drawn.log_probs.sum() / drawn.mask[:, prompt.shape[1] :].sum().clamp(min=1))
        return Sequences(drawn.tokens, drawn.mask)


class _Scored(_DrawsIds):
    """What estimators share that weigh the gradient of log p(x): the p that is scored is the p that drew.

    With dropout they would be two, since each pass has a mask of its own, and what a mask draws is no sample of another
    one. So the generator has none here, in what the discriminator is shown neither, as is usual where a language model
    is a policy (Huang et al. 2024, section 4); what is learned is the generator that is evaluated and saved.
    """

    def forward(self, generator: Generator, batch: Batch, cost: Cost) -> Tensor:
        with without_dropout(generator):
            return self.weigh(generator, batch, cost)

    @abstractmethod
    def weigh(self, generator: Generator, batch: Batch, cost: Cost) -> Tensor:
        """As :meth:`forward`, of a generator without dropout."""

    def draw(self, generator: Generator, batch: Batch) -> Sequences:
        with without_dropout(generator):
            return super().draw(generator, batch)


class StraightThrough(_DrawsIds, _Relaxation):
    """One-hot samples forward, the gradient of the Gumbel-softmax backward (Jang et al. 2017, section 2.2). Biased."""

    def __init__(self, options: StraightThroughOptions) -> None:
        super().__init__()
        self.options = options

    def relax(self, generator: Generator, batch: Batch) -> Sequences:
        return sampling.relaxed_sample(generator, batch.noise, self.options.temperature, hard=True)


def _log_reward(batch: Batch, reward: Tensor) -> None:
    """The mean and the variance of what each sequence earned (B,)."""
    batch.log("reward", reward.mean())
    batch.log("reward_variance", reward.var(correction=0))


class _ScoreFunction(_Scored):
    """The part of ``reinforce`` and ``rollout`` that turns rewards into a surrogate loss."""

    average: Tensor
    updates: Tensor

    def __init__(self, baseline: str, decay: float, samples: int = 1) -> None:
        super().__init__()
        self.baseline = baseline
        self.decay = decay
        self.samples = samples
        self.register_buffer("average", torch.zeros(()))
        self.register_buffer("updates", torch.zeros(()))

    def surrogate(self, log_probs: Tensor, returns: Tensor, mask: Tensor) -> Tensor:
        """-E[sum_t (return - baseline) log p(x_t)] from (B, T) each, averaged over the sequences (Williams 1992)."""
        advantage = (returns - self._expected(returns, mask)) * mask
        return -(advantage.detach() * log_probs).sum(dim=1).mean()

    @torch.no_grad()
    def _expected(self, returns: Tensor, mask: Tensor) -> Tensor:
        """The baseline of every position: zero, a moving average of past batches, or the mean of the others there.

        The others are those of the same noise, or of the batch where each noise has one sample.
        """
        if self.baseline == "moving-average":
            expected = self.average / (1 - self.decay**self.updates).clamp(min=1e-8)
            self.average.lerp_((returns * mask).sum() / mask.sum(), 1 - self.decay)
            self.updates += 1
            return expected
        if self.baseline == "leave-one-out":
            groups = (self.samples if self.samples > 1 else len(mask), -1, mask.shape[1])
            counts, paid = mask.int().view(groups), (returns * mask).view(groups)
            others = counts.sum(dim=0) - counts
            return ((paid.sum(dim=0) - paid) / others.clamp(min=1)).view(mask.shape)
        return torch.zeros_like(returns)


class Reinforce(_ScoreFunction):
    """The score function (Williams 1992) with a moving-average or leave-one-out baseline (Kool et al. 2019).

    ``reward="sequence"`` pays every token what its sequence earned, and is unbiased. ``"position"`` pays a token its
    own and the discounted later rewards (de Masson d'Autume et al. 2019, eq. 3): less variance; exact only for a
    discriminator whose logits see no later token, sequences of one length, and a discount of one.
    ``entropy`` adds -weight * log p(x) to the reward, whose expectation is the entropy. ``samples`` of each noise
    vector are compared with each other by the leave-one-out baseline, as in the paper, which takes out of the reward
    what is due to the noise; with one sample, it is the mean of the rest of the batch.
    """

    def __init__(self, options: ReinforceOptions) -> None:
        super().__init__(options.baseline, options.decay, options.samples)
        self.options = options
        self.per_position_only = options.reward == "position"

    def weigh(self, generator: Generator, batch: Batch, cost: Cost) -> Tensor:
        drawn = sampling.sample(generator, batch.noise, samples=self.samples)
        with torch.no_grad():
            reward = -cost(drawn.tokens, drawn.mask)
        log_probs = sampling.log_likelihood(generator, batch.noise, drawn.tokens, drawn.mask)
        _log_reward(batch, per_sequence(reward, drawn.mask))
        return self.surrogate(log_probs, self._returns(reward, log_probs.detach(), drawn.mask), drawn.mask)

    def _returns(self, reward: Tensor, log_probs: Tensor, mask: Tensor) -> Tensor:
        if self.options.reward == "sequence" or reward.dim() == 1:
            paid = per_sequence(reward, mask) - self.options.entropy * log_probs.sum(dim=1)
            return paid[:, None].expand(mask.shape)
        share = reward * mask / mask.sum(dim=1, keepdim=True) - self.options.entropy * log_probs
        later = torch.zeros_like(share[:, 0])
        returns = []
        for paid in share.unbind(dim=1)[::-1]:
            later = paid + self.options.discount * later
            returns.append(later)
        return torch.stack(returns[::-1], dim=1)


class Rollout(_ScoreFunction):
    """The score function with the value of each token estimated by Monte Carlo completions (Yu et al. 2017, eq. 4-6).

    Unbiased. Differs: the completions start from the state that the prefix reached instead of running it again,
    and a baseline is taken from the rewards; the paper has none. With ``rank`` the values are :func:`ranked`, and the
    estimate is of another cost: of how the sentence does among the others of its batch.
    """

    autoregressive_only = True

    def __init__(self, options: RolloutOptions) -> None:
        super().__init__(options.baseline, options.decay)
        self.options = options

    def weigh(self, generator: Generator, batch: Batch, cost: Cost) -> Tensor:
        if not isinstance(generator, AutoregressiveGenerator):
            raise UsageError(
                f"rollouts complete prefixes, and {type(generator).__name__} writes all positions at once; "
                "choose an autoregressive generator, or --estimator reinforce"
            )
        drawn = sampling.sample(generator, batch.noise)
        returns = self.returns(generator, batch, drawn, cost)
        log_probs = sampling.log_likelihood(generator, batch.noise, drawn.tokens, drawn.mask)
        return self.surrogate(log_probs, returns, drawn.mask)

    def returns(self, generator: AutoregressiveGenerator, batch: Batch, drawn: sampling.Sample, cost: Cost) -> Tensor:
        """What each token is paid, (B, T): the value of the prefix that ends with it, by its rank if wanted."""
        values = self._values(generator, batch.noise, drawn, cost)
        _log_reward(batch, values[:, -1])
        return ranked(values, drawn.mask, self.options.rank) if self.options.rank else values

    @torch.no_grad()
    def _values(self, generator: AutoregressiveGenerator, noise: Tensor, drawn: sampling.Sample, cost: Cost) -> Tensor:
        """The mean reward of the completions of each prefix, (B, T); that of a whole sequence is its own."""
        rows, length = drawn.tokens.shape
        own = -per_sequence(cost(drawn.tokens, drawn.mask), drawn.mask)
        total = torch.zeros(length, rows, device=noise.device)
        per_chunk = max(1, self.options.chunk // (rows * length))
        left = self.options.samples
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
    """Values (B, T) to sigmoid(sharpness * (0.5 - rank / B)), the bootstrapped rescaled activation of Guo et al. 2018.

    The rank is that of a value among those of its position, the highest first; B counts these. However little the
    values differ, and whatever their scale, the rewards of a position have the same mean and variance.
    Differs: equal values share the mean of their ranks; only sentences that reach the position are ranked there.
    """
    others = values.unsqueeze(0)
    higher = (others > values.unsqueeze(1)) & mask.unsqueeze(0)
    equal = (others == values.unsqueeze(1)) & mask.unsqueeze(0)
    rank = higher.sum(dim=1) + (equal.sum(dim=1) + 1) / 2
    return (sharpness * (0.5 - rank / mask.sum(dim=0).clamp(min=1))).sigmoid().masked_fill(~mask, 0)


class Importance(_Scored):
    """Maximum likelihood on the generator's own samples, weighted towards a target (Che et al. 2017, Alg. 1).

    The weights w are the softmax of -cost over the batch: self-normalised importance weights of the target
    p(x) exp(-cost(x)). With the cost -log D the target is p D (Lamprier et al. 2022; Scialom et al. 2021); with
    log((1 - D)/D) it is p D/(1 - D), which at the best discriminator is the data (Che et al. 2017). The surrogate is
    -sum_i (w_i - b/B) log p(x_i), with the ``baseline`` b. Samples may come from the generator at another
    ``temperature``, from q: then p/q is a factor of the weights, and of the baseline's.

    With a ``prefix``, samples go on from the first N tokens of real sequences, which are learned by maximum likelihood;
    N falls from that share of them to none (Che et al. 2017, Alg. 2). The discriminator sees such samples too.
    Differs: one sample goes on from each prefix, and weights are normalised over the batch instead of over all samples
    of a prefix. At the best discriminator their mean is one for every prefix.

    Its gradient is that of the target's cross-entropy and not of E[cost], with the bias of a ratio of two means, of
    order 1/B; for small differences in cost, both are the same.
    """

    def __init__(self, options: ImportanceOptions) -> None:
        super().__init__()
        self.options = options
        self.policy = sampling.Policy(temperature=options.temperature)
        self.autoregressive_only = options.prefix > 0

    def prompt(self, generator: Generator, batch: Batch) -> Tensor:
        if self.options.prefix == 0:
            return super().prompt(generator, batch)
        length = batch.tokens.shape[1]
        return batch.tokens[:, : round(self.options.prefix * (1 - batch.progress) * (length - 1))]

    def weigh(self, generator: Generator, batch: Batch, cost: Cost) -> Tensor:
        prompt = generator.untraced(self.prompt, batch)
        drawn = sampling.sample(generator, batch.noise, self.policy, prompt=prompt)
        real, (log_p, log_q) = prompt.shape[1], self._log_probs(generator, batch.noise, drawn)
        own = log_p[:, real:].sum(dim=1)
        with torch.no_grad():
            reward = -per_sequence(cost(drawn.tokens, drawn.mask), drawn.mask)
            proposal = own - log_q[:, real:].sum(dim=1)
            weights = (proposal + reward).softmax(dim=0)
            expected = self.options.baseline * proposal.softmax(dim=0)
        _log_reward(batch, reward)
        batch.log("effective_samples", 1 / weights.square().sum())
        return -((weights - expected) * own).sum() - log_p[:, :real].sum(dim=1).mean()

    def _log_probs(self, generator: Generator, noise: Tensor, drawn: sampling.Sample) -> tuple[Tensor, Tensor]:
        """log p and log q of each token, (B, T), from the same logits: without a temperature they are equal."""
        logits = generator(noise, drawn.tokens)
        p, q = (sampling.log_probabilities(logits, policy) for policy in (sampling.PLAIN, self.policy))
        return sampling.of_tokens(p, drawn.tokens, drawn.mask), sampling.of_tokens(q, drawn.tokens, drawn.mask)
