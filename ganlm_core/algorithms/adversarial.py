"""Generator against discriminator (Goodfellow et al. 2014, Alg. 1), after a warm-up by maximum likelihood.

The loss, the penalty and the estimator are chosen by the configuration, so this file covers every classic text GAN.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ganlm_core.algorithms.mismatched import mismatched, require_labels
from ganlm_core.algorithms.mle import likelihood_phase
from ganlm_core.algorithms.options import AdversarialOptions
from ganlm_core.algorithms.penalties import relaxed
from ganlm_core.algorithms.schedule import Schedule
from ganlm_core.protocol import Algorithm, Batch, Cost, Parts, Phase, Sequences, conditions_of, per_sequence


def discriminator_loss(parts: Parts, batch: Batch, wrong: float = 0.0) -> Tensor:
    """Return the discriminator's loss on real and newly generated sequences, penalty included.

    ``wrong``: the share of real sequences with a wrong label in the loss of what is to be rejected.
    """
    real = Sequences(batch.tokens, batch.mask)
    generated = parts.estimator.draw(parts.generator, batch)
    real_logits, generated_logits = _logits_of_both(parts, real, generated)
    real_cost, generated_cost = parts.loss.discriminator(real_logits, generated_logits)
    batch.log(
        "accuracy", accuracy(per_sequence(real_logits, real.mask), per_sequence(generated_logits, generated.mask))
    )
    rejected = per_sequence(generated_cost, generated.mask)
    if wrong > 0:
        rejected = torch.lerp(rejected, _mismatched_cost(parts, batch, real_logits), wrong)
    loss = per_sequence(real_cost, real.mask).mean() + rejected.mean()
    if parts.penalty.interval == 0 or batch.step % parts.penalty.interval != 0:
        return loss
    vocabulary = parts.discriminator.shape.vocabulary
    dense = (Sequences(relaxed(each.sequence, vocabulary), each.mask) for each in (real, generated))
    return loss + parts.penalty.interval * parts.penalty(parts.discriminator, *dense)


def _mismatched_cost(parts: Parts, batch: Batch, real_logits: Tensor) -> Tensor:
    """Return the discriminator's cost (B,) of real sequences with a wrong label, as of generated ones."""
    with conditions_of(mismatched(batch, parts.discriminator.shape.labels)):
        logits = _logits(parts, Sequences(batch.tokens, batch.mask))
    _, cost = parts.loss.discriminator(real_logits, logits)
    right, wrong = (per_sequence(each, batch.mask) for each in (real_logits, logits))
    batch.log("label_accuracy", accuracy(right, wrong))
    return per_sequence(cost, batch.mask)


def generator_loss(parts: Parts, batch: Batch) -> Tensor:
    """Return the estimator's surrogate loss for the generator's cost."""
    return parts.estimator(parts.generator, batch, generator_cost(parts, batch))


def generator_cost(parts: Parts, batch: Batch) -> Cost:
    """Return the function that computes the generator's cost of sequences from the discriminator's logits.

    A paired loss compares each generated sequence with a real one of the batch. The discriminator stays in training
    mode, so its dropout is on, as when it learns. The cost of a sequence is then random, and an unbiased estimator is
    unbiased for its mean.
    """
    rows = batch.tokens.shape[0]
    real = batch.noise.new_zeros(rows)
    if parts.loss.paired:
        with torch.no_grad():
            real = _logits(parts, Sequences(batch.tokens, batch.mask))

    def cost(sequence: Tensor, mask: Tensor) -> Tensor:
        logits = _logits(parts, Sequences(sequence, mask))
        return parts.loss.generator(logits, real.repeat(logits.shape[0] // rows) if parts.loss.paired else real)

    return parts.pay(cost, batch)


def _logits_of_both(parts: Parts, real: Sequences, generated: Sequences) -> tuple[Tensor, Tensor]:
    """Return the logits of both, in one call if the network allows it: one call takes a tenth less time than two."""
    if not parts.discriminator.rowwise or generated.sequence.shape != real.sequence.shape:
        return _logits(parts, real), _logits(parts, generated)
    both = Sequences(torch.cat([real.sequence, generated.sequence]), torch.cat([real.mask, generated.mask]))
    real_logits, generated_logits = _logits(parts, both).chunk(2)
    return real_logits, generated_logits


def _logits(parts: Parts, sequences: Sequences) -> Tensor:
    logits = parts.discriminator(sequences.sequence, sequences.mask).float()
    return per_sequence(logits, sequences.mask) if parts.loss.paired else logits


@torch.no_grad()
def accuracy(real: Tensor, generated: Tensor) -> Tensor:
    """Return the discriminator's accuracy on logits (B,) of real and generated sequences.

    The threshold is the midpoint between the means of both, not zero, because the logits of some losses (Wasserstein)
    have no fixed origin.
    """
    midpoint = (real.mean() + generated.mean()) / 2
    return ((real > midpoint).float().mean() + (generated <= midpoint).float().mean()) / 2


class Adversarial(Algorithm):
    """A discriminator phase and a generator phase, in the order that :class:`Schedule` gives."""

    pays = True

    def __init__(self, parts: Parts, options: AdversarialOptions) -> None:
        super().__init__()
        require_labels(parts, options.mismatched)
        self.parts = parts
        self.generator = parts.generator
        self.discriminator = parts.discriminator
        self.estimator = parts.estimator
        self.schedule = Schedule(
            options,
            parts.steps,
            likelihood=[likelihood_phase(parts.generator)],
            discriminator=Phase(
                "discriminator", "discriminator", lambda batch: discriminator_loss(parts, batch, options.mismatched)
            ),
            generator=[Phase("generator", "generator", lambda batch: generator_loss(parts, batch))],
        )
        self.schedule.check(parts)
        self.adversarial_from = self.schedule.adversarial_from

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"generator": self.generator, "discriminator": self.discriminator}

    def phases(self, step: int) -> Sequence[Phase]:
        return self.schedule.phases(step)
