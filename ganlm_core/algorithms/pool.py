"""A pool of the generator's newest samples, which the discriminator reads in the place of samples of its own."""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from ganlm_core.algorithms.importance import Importance
from ganlm_core.errors import UsageError
from ganlm_core.protocol import PAD, Batch, Cost, Parts, Sequences, mask_of
from ganlm_core.sampling import PLAIN
from ganlm_core.sampling.conditions import unconditional


class Pool(nn.Module):
    """The newest samples of the generator's own steps, as many as ``size``, for the discriminator to read.

    Nothing is then drawn for the discriminator. As the history of generated data of Shrivastava et al. 2017 (section
    2.3). Differs: all samples of a batch are from the history, not half of them. A sample is at least one generator
    step old, and has the prompt of its own step if the estimator gives prompts. ``first``: the step of the generator's
    first samples.
    """

    tokens: Tensor

    def __init__(self, size: int, length: int, first: int) -> None:
        super().__init__()
        self.first = first
        self.register_buffer("tokens", torch.full((size, length), PAD))

    def keeping(self, parts: Parts, cost: Cost) -> Cost:
        """Return the cost, which keeps the samples of the estimator: it asks for the cost of all of these first."""
        kept = False

        def cost_of(sequence: Tensor, beside: Tensor) -> Tensor:
            nonlocal kept
            if not kept:
                parts.generator.untraced(self._keep, sequence)
                kept = True
            return cost(sequence, beside)

        return cost_of

    def _keep(self, generator: nn.Module, tokens: Tensor) -> None:
        short = self.tokens.shape[1] - tokens.shape[1]
        self.tokens.copy_(torch.cat([pad(tokens, (0, short), value=PAD), self.tokens])[: len(self.tokens)])

    def draw(self, parts: Parts, batch: Batch) -> Sequences:
        """Return as many sequences as the batch has, in a random order; new ones if the pool is empty."""
        rows = len(batch.tokens)
        filled = min(len(self.tokens), max(0, batch.step - self.first) * rows)  # at least: one sample of each noise
        if filled == 0:
            return parts.estimator.draw(parts.generator, batch)
        drawn: Sequences = parts.generator.untraced(self._draw, rows, filled)
        return drawn

    def _draw(self, generator: nn.Module, rows: int, filled: int) -> Sequences:
        order = torch.randperm(filled, device=self.tokens.device)
        tokens = self.tokens[order[torch.arange(rows, device=order.device) % filled]]
        return Sequences(tokens, mask_of(tokens))


def check_pool(parts: Parts, discriminator_steps: int) -> None:
    """Raise UsageError if samples cannot stay in a pool, or nothing reads them."""
    if discriminator_steps == 0:
        raise UsageError(
            "--algorithm.pool is for the steps of the discriminator, and --algorithm.discriminator-steps is 0; leave "
            "one of them out"
        )
    if isinstance(parts.estimator, Importance) and parts.estimator.policy != PLAIN:
        raise UsageError(
            "--algorithm.pool would give the discriminator samples at --estimator.temperature "
            f"{parts.estimator.policy.temperature:g}, which are not the generator's; leave one of them out"
        )
    if parts.estimator.relaxes:
        raise UsageError(
            "--algorithm.pool keeps words, and this estimator gives relaxed words; choose --estimator reinforce, or "
            "leave the option out"
        )
    if unconditional(parts.discriminator) is not parts.discriminator:
        raise UsageError(
            "--algorithm.pool gives samples to later batches, which ask for other labels or prompts; leave it out, or "
            "train without --corpus.label and --corpus.prompt"
        )
