"""Samples that the terms of a loss share.

An estimator and an anchor both read sentences that the generator draws for the noise of a batch, and its next-word
distributions on them. If the batch has a dictionary ``shared``, both are computed once. Without it, each call draws
anew, so an estimator that is called twice makes two independent estimates.
"""

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from ganlm_core.protocol import Batch, Generator
from ganlm_core.sampling.drawing import log_probabilities
from ganlm_core.sampling.likelihood import longest, of_tokens
from ganlm_core.sampling.sentences import Sample, sample


@dataclass(frozen=True)
class Draws(Sample):
    """A sample (N, T) with its generator. Row i belongs to row i % B of the noise (B, Z)."""

    generator: Generator
    noise: Tensor

    @cached_property
    def trimmed(self) -> tuple[Tensor, Tensor]:
        """The ids and their mask without the columns after the longest sequence, (N, T').

        T' is T where reading it would wait for the device.
        """
        upto = slice(longest(self.mask))
        return self.tokens[:, upto], self.mask[:, upto]

    @cached_property
    def distributions(self) -> Tensor:
        """The log p(word | noise, earlier words) at the trimmed ids, (N, T', V), differentiable in the generator.

        A generator that writes all positions at once has one row for each row of noise.
        """
        tokens, _ = self.trimmed
        repeats = len(tokens) // len(self.noise) if self.generator.autoregressive else 1
        return log_probabilities(self.generator(self.noise.repeat(repeats, 1), tokens)[:, : tokens.shape[1]])

    def log_likelihood(self) -> Tensor:
        """Return log p(token | noise, earlier tokens), (N, T), zero outside the mask. Differentiable."""
        return of_tokens(self.distributions, self.tokens, self.mask)


def draws(generator: Generator, batch: Batch, samples: int = 1) -> Draws:
    """Draw ``samples`` sentences for each row of the noise of a batch, or return the ones that it shares."""
    shared = {} if batch.shared is None else batch.shared
    key = generator, samples
    if key not in shared:
        drawn = sample(generator, batch.noise, samples=samples)
        shared[key] = Draws(drawn.tokens, drawn.mask, drawn.log_probs, generator, batch.noise)
    found: Draws = shared[key]
    return found
