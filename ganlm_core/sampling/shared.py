"""Samples that the terms of a loss share.

An estimator and an anchor both read sentences that the generator draws for the noise of a batch, and its next-word
distributions on them. If the batch has a dictionary ``shared``, both are computed once. Without it, each call draws
anew, so an estimator that is called twice makes two independent estimates.
"""

from dataclasses import dataclass

from torch import Tensor

from ganlm_core.protocol import Batch, Generator
from ganlm_core.sampling.drawing import log_probabilities
from ganlm_core.sampling.likelihood import longest, of_tokens
from ganlm_core.sampling.sentences import Sample, sample


@dataclass(frozen=True)
class Draws(Sample):
    """A sample (N, T) and the ``distributions`` that it was drawn from, differentiable in the generator.

    These are log p(word | noise, earlier words), (N, T', V), where T' is the length of the longest sequence, or T where
    reading it would wait for the device. A generator that writes all positions at once has one row for each row of
    noise, (B, T', V).
    """

    distributions: Tensor

    @property
    def trimmed(self) -> tuple[Tensor, Tensor]:
        """The ids and their mask, without the columns after the longest sequence, (N, T')."""
        upto = slice(self.distributions.shape[1])
        return self.tokens[:, upto], self.mask[:, upto]

    def log_likelihood(self) -> Tensor:
        """Return log p(token | noise, earlier tokens), (N, T), zero outside the mask. Differentiable."""
        return of_tokens(self.distributions, self.tokens, self.mask)


def draws(generator: Generator, batch: Batch, samples: int = 1, stratified: bool = False) -> Draws:
    """Draw ``samples`` sentences for each row of the noise of a batch, or return the ones that it shares.

    Row i of the result belongs to row i % B of the noise. ``stratified``: as in :func:`ganlm_core.sampling.sample`.
    """
    shared = {} if batch.shared is None else batch.shared
    noise, found = shared.get((generator, samples, stratified), (None, None))
    if found is None or noise is not batch.noise:  # a loss may replace the noise of its batch
        found = _draw(generator, batch.noise, samples, stratified)
        shared[generator, samples, stratified] = batch.noise, found
    return found


def _draw(generator: Generator, noise: Tensor, samples: int, stratified: bool) -> Draws:
    drawn = sample(generator, noise, samples=samples, stratified=stratified)
    tokens = drawn.tokens[:, : longest(drawn.mask)]
    repeated = noise.repeat(samples if generator.autoregressive else 1, 1)
    distributions = log_probabilities(generator(repeated, tokens)[:, : tokens.shape[1]])
    return Draws(drawn.tokens, drawn.mask, drawn.log_probs, distributions)
