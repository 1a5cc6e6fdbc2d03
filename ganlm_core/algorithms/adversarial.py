"""Generator against discriminator (Goodfellow et al. 2014, Alg. 1), after a warm-up by maximum likelihood.

Which loss, which penalty and which estimator are parts, so this file is every classic text GAN.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ganlm_core.algorithms.mle import likelihood_phase
from ganlm_core.algorithms.options import AdversarialOptions
from ganlm_core.algorithms.penalties import relaxed
from ganlm_core.algorithms.schedule import Schedule
from ganlm_core.protocol import Algorithm, Batch, Cost, Parts, Phase, Sequences, per_sequence


def discriminator_loss(parts: Parts, batch: Batch) -> Tensor:
    """The discriminator's loss on real and freshly generated sequences, with its penalty."""
    real = Sequences(batch.tokens, batch.mask)
    generated = parts.estimator.draw(parts.generator, batch)
    real_logits, generated_logits = (_logits(parts, each) for each in (real, generated))
    real_cost, generated_cost = parts.loss.discriminator(real_logits, generated_logits)
    batch.log(
        "accuracy", accuracy(per_sequence(real_logits, real.mask), per_sequence(generated_logits, generated.mask))
    )
    loss = per_sequence(real_cost, real.mask).mean() + per_sequence(generated_cost, generated.mask).mean()
    if parts.penalty.interval == 0 or batch.step % parts.penalty.interval != 0:
        return loss
    vocabulary = parts.discriminator.shape.vocabulary
    dense = (Sequences(relaxed(each.sequence, vocabulary), each.mask) for each in (real, generated))
    return loss + parts.penalty.interval * parts.penalty(parts.discriminator, *dense)


def generator_loss(parts: Parts, batch: Batch) -> Tensor:
    """The estimator's surrogate for what the discriminator makes the generator pay."""
    return parts.estimator(parts.generator, batch, generator_cost(parts, batch))


def generator_cost(parts: Parts, batch: Batch) -> Cost:
    """What the discriminator makes the generator pay for sequences: each beside a real one of the batch, if paired.

    The discriminator is in training mode: its dropout is on while it judges, as it is while it learns. What a sequence
    costs is then random, and an unbiased estimate is one for the mean of that.
    """
    rows = batch.tokens.shape[0]
    real = batch.noise.new_zeros(rows)
    if parts.loss.paired:
        with torch.no_grad():
            real = _logits(parts, Sequences(batch.tokens, batch.mask))

    def cost(sequence: Tensor, mask: Tensor) -> Tensor:
        logits = _logits(parts, Sequences(sequence, mask))
        return parts.loss.generator(logits, real.repeat(logits.shape[0] // rows) if parts.loss.paired else real)

    return cost


def _logits(parts: Parts, sequences: Sequences) -> Tensor:
    logits = parts.discriminator(sequences.sequence, sequences.mask).float()
    return per_sequence(logits, sequences.mask) if parts.loss.paired else logits


@torch.no_grad()
def accuracy(real: Tensor, generated: Tensor) -> Tensor:
    """The share of sequences, by their logits (B,), on the right side of the midpoint between the means of both kinds.

    The midpoint instead of zero, because the logits of some losses (Wasserstein) have no fixed origin.
    """
    midpoint = (real.mean() + generated.mean()) / 2
    return ((real > midpoint).float().mean() + (generated <= midpoint).float().mean()) / 2


class Adversarial(Algorithm):
    """One loss of the discriminator and one of the generator, in the course of :class:`Schedule`."""

    def __init__(self, parts: Parts, options: AdversarialOptions) -> None:
        super().__init__()
        self.parts = parts
        self.generator = parts.generator
        self.discriminator = parts.discriminator
        self.estimator = parts.estimator
        self.schedule = Schedule(
            options,
            parts.steps,
            likelihood=[likelihood_phase(parts.generator)],
            discriminator=Phase("discriminator", "discriminator", lambda batch: discriminator_loss(parts, batch)),
            generator=[Phase("generator", "generator", lambda batch: generator_loss(parts, batch))],
        )
        self.schedule.check(parts)
        self.adversarial_from = self.schedule.adversarial_from

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"generator": self.generator, "discriminator": self.discriminator}

    def phases(self, step: int) -> Sequence[Phase]:
        return self.schedule.phases(step)
