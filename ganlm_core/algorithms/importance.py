"""Importance weights: maximum likelihood on generated samples, weighted towards a target."""

import torch
from torch import Tensor

from ganlm_core import sampling
from ganlm_core.algorithms.estimators import Scored, log_entropy, log_reward
from ganlm_core.algorithms.options import ImportanceOptions
from ganlm_core.protocol import Batch, Cost, Generator, per_sequence


class Importance(Scored):
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
            log_entropy(batch, drawn, real)
        log_reward(batch, reward)
        batch.log("effective_samples", 1 / weights.square().sum())
        return -((weights - expected) * own).sum() - log_p[:, :real].sum(dim=1).mean()

    def _log_probs(self, generator: Generator, noise: Tensor, drawn: sampling.Sample) -> tuple[Tensor, Tensor]:
        """Return log p and log q of each token, (B, T), from the same logits. At temperature 1 they are equal."""
        logits = generator(noise, drawn.tokens)
        p, q = (sampling.log_probabilities(logits, policy) for policy in (sampling.PLAIN, self.policy))
        return sampling.of_tokens(p, drawn.tokens, drawn.mask), sampling.of_tokens(q, drawn.tokens, drawn.mask)
