"""Gradient estimators: they pass the generator's gradient through the sampling of discrete tokens.

There are four families. *Relaxations* (``gumbel``, ``straight-through``, ``softmax``) make the sample differentiable
and pass the gradient of the cost through it: low variance, biased. *Score functions* (``reinforce``, ``rollout``,
``clipped``) weight the gradient of log p(x) by the cost of x: unbiased for any cost, with high variance, which a
baseline reduces. *Exact expectations* (``next-word``) sum over the next word after each prefix; they need a
discriminator that knows the cost of every word. *Importance weights* (``importance``) raise the likelihood of generated
samples in proportion to their share of the reward of the batch.

Score functions and importance weights switch off the generator's dropout; relaxations do not. The discriminator's
dropout is on for all of them.

``tests/algorithms/test_estimators.py`` measures the bias of each against a gradient enumerated on three words.
"""

from abc import abstractmethod
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ganlm_core import sampling
from ganlm_core.algorithms.baselines import Baseline, make_baseline
from ganlm_core.algorithms.options import (
    ClippedOptions,
    GumbelOptions,
    ImportanceOptions,
    ReinforceOptions,
    RolloutOptions,
    SoftmaxOptions,
    StraightThroughOptions,
)
from ganlm_core.components import Options
from ganlm_core.errors import UsageError
from ganlm_core.layers import without_dropout
from ganlm_core.protocol import (
    EOS,
    AutoregressiveGenerator,
    Batch,
    Cost,
    Estimator,
    Generator,
    NextWordCost,
    Sequences,
    conditions_of,
    mask_of,
    per_sequence,
)


class _Relaxation(Estimator):
    """Base of estimators that pass the gradient of the cost through a relaxed sample.

    The discriminator trains on relaxed samples too.
    """

    relaxes = True

    @abstractmethod
    def relax(self, generator: Generator, batch: Batch) -> Sequences:
        """Return relaxed samples (B, T, V), differentiable with respect to the generator."""

    def forward(self, generator: Generator, batch: Batch, cost: Cost) -> Tensor:
        relaxed: Sequences = generator.untraced(self.relax, batch)
        return per_sequence(cost(relaxed.sequence, relaxed.mask), relaxed.mask).mean()

    @torch.no_grad()
    def draw(self, generator: Generator, batch: Batch) -> Sequences:
        return generator.untraced(self.relax, batch)


class Gumbel(_Relaxation):
    """Gumbel-softmax (Jang et al. 2017, eq. 2; Maddison et al. 2017), with geometric annealing of the temperature.

    Biased; the bias falls with the temperature.
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
    """The softmax of the generator instead of samples (Gulrajani et al. 2017, section 5.4).

    The output is a deterministic function of the noise, so all diversity must come from the noise. Biased: after
    training, each word is drawn independently from these distributions. Differs: texts have lengths, and a text ends at
    the first position where ``<eos>`` is the likeliest token.
    """

    def __init__(self, options: SoftmaxOptions) -> None:
        super().__init__()
        self.options = options

    def relax(self, generator: Generator, batch: Batch) -> Sequences:
        return sampling.relaxed_sample(generator, batch.noise, self.options.temperature, gumbel=False)


class _DrawsIds(Estimator):
    """Base of estimators whose discriminator trains on ids drawn from the generator, as a user will see them."""

    def prompt(self, generator: Generator, batch: Batch) -> Tensor:
        """Return the ids (B, P) that samples continue. Here P = 0."""
        return batch.tokens[:, :0]

    def draw(self, generator: Generator, batch: Batch) -> Sequences:
        prompt = generator.untraced(self.prompt, batch)
        drawn = sampling.sample(generator, batch.noise, prompt=prompt)
        _log_entropy(batch, drawn, prompt.shape[1])
        return Sequences(drawn.tokens, drawn.mask)


class _Scored(_DrawsIds):
    """Base of estimators that weight the gradient of log p(x). The p that scores a sample must be the p that drew it.

    With dropout the two would differ, because each forward pass draws its own dropout mask. So the generator's dropout
    is off here, also for the samples of the discriminator, as is usual if a language model is a policy (Huang et al.
    2024, section 4). The trained distribution is then the one that is evaluated and saved.
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


class StraightThrough(_DrawsIds, _Relaxation):
    """One-hot samples forward, the Gumbel-softmax gradient backward (Jang et al. 2017, section 2.2). Biased."""

    def __init__(self, options: StraightThroughOptions) -> None:
        super().__init__()
        self.options = options

    def relax(self, generator: Generator, batch: Batch) -> Sequences:
        return sampling.relaxed_sample(generator, batch.noise, self.options.temperature, hard=True)


def _log_entropy(batch: Batch, drawn: sampling.Sample, given: int = 0) -> None:
    """Log the mean -log p of the tokens of a sample, without the first ``given`` positions."""
    batch.log("entropy", -drawn.log_probs.sum() / drawn.mask[:, given:].sum().clamp(min=1))


def _log_reward(batch: Batch, reward: Tensor) -> None:
    """Log the mean and the variance of the rewards (B,) of the sequences."""
    batch.log("reward", reward.mean())
    batch.log("reward_variance", reward.var(correction=0))


class _ScoreFunction(_Scored):
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

    ``reward="sequence"`` gives every token the reward of its sequence, and is unbiased. ``"position"`` gives a token
    its own reward plus the discounted later rewards (de Masson d'Autume et al. 2019, eq. 3): lower variance; exact only
    if the discriminator is causal, all sequences have one length and the discount is 1. ``entropy`` adds
    -weight * log p(x) to the reward; the expectation of -log p(x) is the entropy. With several ``samples`` per noise
    vector, the leave-one-out baseline compares these with each other, as in the paper, and so removes the part of the
    reward that the noise explains. With one sample, it is the mean of the rest of the batch. ``stratified`` samples
    share their first words in proportion to the probabilities (:mod:`ganlm_core.sampling.stratified`), so that chance
    has less part in the mean over the batch.
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
        _log_entropy(batch, drawn)
        _log_reward(batch, per_sequence(reward, drawn.mask))
        return self._returns(reward, drawn.log_likelihood(), drawn.mask)

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

    Unbiased. Differs: the rollouts continue from the state of the prefix and do not run the prefix again; and a
    baseline is subtracted from the rewards, where the paper has none. With ``rank`` the values are :func:`ranked`, and
    the gradient is of another cost: the rank of the sentence in its batch.
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
        _log_entropy(batch, drawn)
        _log_reward(batch, values[:, -1])
        return ranked(values, drawn.mask, self.options.rank) if self.options.rank else values

    @torch.no_grad()
    def _values(self, generator: AutoregressiveGenerator, noise: Tensor, drawn: sampling.Sample, cost: Cost) -> Tensor:
        """Return the mean reward of the rollouts of each prefix, (B, T). A whole sequence has its own reward."""
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


class NextWord(_Scored):
    """The exact expectation of the cost over the next word, after each prefix of a sample.

    The cost of a word is the loss on its log-likelihood ratio between a language model and the generator. With the loss
    ``reverse-kl`` the estimate is KL(generator || model) of the next word, as in Lu et al. 2019 (section 3.3), whose
    model is a mediator. It has no variance but of the prefixes, which are held fixed: the effect of a word on the cost
    of later words is left out, so it is biased; a generator that equals the model has the gradient zero.
    """

    autoregressive_only = True
    next_words = True

    def __init__(self, options: Options) -> None:
        super().__init__()

    def weigh(self, generator: Generator, batch: Batch, cost: NextWordCost) -> Tensor:
        drawn = sampling.draws(generator, batch)
        log_p = drawn.distributions
        tokens, mask = drawn.trimmed
        with torch.no_grad():
            costs = cost(tokens, log_p)
        _log_entropy(batch, drawn)
        _log_reward(batch, -sampling.of_tokens(costs, tokens, mask).sum(dim=1))
        expected = (log_p[..., EOS:].exp() * costs[..., EOS:]).sum(dim=-1)
        return torch.where(mask, expected, 0.0).sum(dim=1).mean()


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


class Importance(_Scored):
    """Maximum likelihood on generated samples, importance-weighted towards a target (Che et al. 2017, Alg. 1).

    The weights w are the softmax of -cost over the batch: self-normalised importance weights of the target
    p(x) exp(-cost(x)). For the cost -log D the target is p D (Lamprier et al. 2022; Scialom et al. 2021). For
    log((1 - D)/D) it is p D/(1 - D), which is the data at the optimal discriminator (Che et al. 2017). The surrogate is
    -sum_i (w_i - b/B) log p(x_i), with the ``baseline`` b. Samples may be drawn at another ``temperature``, from q; the
    weights and the baseline then get the factor p/q.

    With a ``prefix``, samples continue the first N tokens of real sequences, and these tokens are trained by maximum
    likelihood. N falls from that fraction of the sequence to 0 (Che et al. 2017, Alg. 2). The discriminator reads such
    samples too. Differs: each prefix gets one sample, and weights are normalised over the batch, not over the samples
    of a prefix. At the optimal discriminator their mean is 1 for every prefix.

    The gradient is the gradient of the cross-entropy to the target, not of E[cost]. It has the bias of a ratio of two
    means, of order 1/B. For small differences in cost both gradients are equal.
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
        if self.policy == sampling.PLAIN:  # else they are draws of another distribution
            _log_entropy(batch, drawn, real)
        _log_reward(batch, reward)
        batch.log("effective_samples", 1 / weights.square().sum())
        return -((weights - expected) * own).sum() - log_p[:, :real].sum(dim=1).mean()

    def _log_probs(self, generator: Generator, noise: Tensor, drawn: sampling.Sample) -> tuple[Tensor, Tensor]:
        """Return log p and log q of each token, (B, T), from the same logits. At temperature 1 they are equal."""
        logits = generator(noise, drawn.tokens)
        p, q = (sampling.log_probabilities(logits, policy) for policy in (sampling.PLAIN, self.policy))
        return sampling.of_tokens(p, drawn.tokens, drawn.mask), sampling.of_tokens(q, drawn.tokens, drawn.mask)
