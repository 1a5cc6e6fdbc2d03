"""CatGAN (Liu et al. 2020): a relativistic loss of each label and of all labels, and a generator that evolves.

In each step the generator has several children, one for each mutation: an objective and a temperature. The fittest
child is the next generator.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ganlm_core import sampling
from ganlm_core.algorithms.adversarial import accuracy
from ganlm_core.algorithms.options import CatGANOptions
from ganlm_core.algorithms.schedule import ScheduledAlgorithm
from ganlm_core.errors import UsageError
from ganlm_core.layers import without_dropout
from ganlm_core.protocol import Batch, Cost, Generator, Parts, Phase, without_prompt

Against = Callable[[Tensor, Batch], Sequence[Tensor]]
"""(logits (B,) of real sequences, their batch) -> the real logits with which the generated one of a row is compared."""


def pairs(real: Tensor, batch: Batch) -> Sequence[Tensor]:
    """Return the logits (B,) of a real sequence of the same label, and of another row, whatever its label.

    Real and generated sequences have the same label row by row, and the rows of a batch are in random order.
    """
    return real, real.roll(1)


def averages(real: Tensor, batch: Batch) -> Sequence[Tensor]:
    """Return the mean logits of the real sequences of each row's label (B,), and of all."""
    whole = real.mean().expand_as(real)
    if batch.labels is None:
        return whole, whole
    same = (batch.labels.unsqueeze(1) == batch.labels).to(real.dtype)
    return same @ real / same.sum(dim=1), whole


OBJECTIVES: Mapping[str, Against] = {"pairs": pairs, "averages": averages}
"""Relativistic (Jolicoeur-Martineau 2019, eq. 8-9), and relativistic average (eq. 12-13) on the generated sequences."""


@dataclass(frozen=True)
class Mutation:
    """A way to make a child: what its samples are compared with, and a move of the progress of the annealing."""

    against: Against
    shift: float

    def of(self, batch: Batch) -> Batch:
        return replace(batch, progress=min(1.0, max(0.0, batch.progress + self.shift)))


def mutations(shift: float) -> list[Mutation]:
    """Return every objective at the temperature of the annealing, and at one that is earlier by ``shift``."""
    shifts = dict.fromkeys((0.0, -shift))
    return [Mutation(against, each) for against in OBJECTIVES.values() for each in shifts]


def discriminator_loss(parts: Parts, batch: Batch) -> Tensor:
    """Return -log sigmoid of real minus generated logits within the labels, plus the same over all labels.

    Differs: labels weigh by their frequency, and the discriminator reads the label, which the paper's does not.
    """
    drawn = parts.estimator.draw(parts.generator, batch)
    real = parts.discriminator.verdict(batch.tokens, batch.mask)
    generated = parts.discriminator.verdict(drawn.sequence, drawn.mask)
    batch.log("accuracy", accuracy(real, generated))
    return sum((F.softplus(generated - other).mean() for other in pairs(real, batch)), torch.zeros_like(real[0]))


def cost_of(parts: Parts, batch: Batch, against: Against) -> Cost:
    """Return the generator's cost: -log sigmoid of generated minus real logits, within the labels and over all."""
    with torch.no_grad():
        others = against(parts.discriminator.verdict(batch.tokens, batch.mask), batch)

    def cost(sequence: Tensor, mask: Tensor) -> Tensor:
        logits = parts.discriminator.verdict(sequence, mask)
        times = len(logits) // len(batch.tokens)
        return torch.stack([F.softplus(other.repeat(times) - logits) for other in others]).sum(dim=0)

    return parts.pay(cost, batch)


@torch.no_grad()
def fitness(parts: Parts, child: Generator, batch: Batch, real: Tensor, diversity: float, seed: int) -> Tensor:
    """Return the quality of a child's samples plus ``diversity`` times their entropy in nats per token, a scalar.

    The quality is the mean of sigmoid(generated - real logit) within the labels, for the logits ``real`` (B,) of the
    batch. All children of a step draw with one seed, and without dropout.
    """
    with without_dropout(child):
        drawn = sampling.sample(child, batch.noise, rng=seeded(batch.noise.device, seed))
    quality = (parts.discriminator.verdict(drawn.tokens, drawn.mask) - real).sigmoid().mean()
    return quality - diversity * drawn.log_probs.sum() / without_prompt(drawn.mask, batch.given).sum()


def seeded(device: torch.device, seed: int) -> torch.Generator:
    """Return a generator of random numbers on the device."""
    return torch.Generator(device).manual_seed(seed)


def child_of(generator: Generator, loss: Tensor, step: float) -> Generator:
    """Return a copy of the generator after a step against the gradient of a loss, of a length ``step``."""
    parameters = [parameter for parameter in generator.parameters() if parameter.requires_grad]
    gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    norm = torch.stack([each.norm() for each in gradients if each is not None]).norm().clamp(min=1e-12)
    child = copy.deepcopy(generator)
    moved = [parameter for parameter in child.parameters() if parameter.requires_grad]
    with torch.no_grad():
        for parameter, gradient in zip(moved, gradients, strict=True):
            if gradient is not None:
                parameter.sub_(step / norm * gradient)
    return child


class CatGAN(ScheduledAlgorithm):
    """A warm-up by maximum likelihood, then rounds of discriminator and evolution (Liu et al. 2020, Alg. 1).

    Differs: a child is the generator after a step of ``child_step`` against the gradient of its mutation, and decides
    which mutation is fittest; the optimiser then makes the step of this mutation. The paper makes a step of the
    optimiser for each child and keeps the weights of the fittest, so each child has an optimiser. The rewards of a run
    are part of the losses, and not of the fitness, which is the paper's.
    """

    unused = ("loss", "penalty")
    pays = True

    def __init__(self, parts: Parts, options: CatGANOptions) -> None:
        if parts.estimator.steps > 1:
            raise UsageError(
                "algorithm 'catgan' makes one step of the generator on each batch, and this estimator makes "
                f"{parts.estimator.steps} on the same samples; choose another --estimator"
            )
        super().__init__(
            parts,
            options,
            judging=Phase("discriminator", "discriminator", lambda batch: discriminator_loss(parts, batch)),
            generator=[Phase("generator", "generator", self._generator_loss)],
        )
        self.options = options
        self.mutations = mutations(options.shift)

    def _generator_loss(self, batch: Batch) -> Tensor:
        """Return the loss of the mutation whose child is the fittest. The choice is made on the device."""
        seed = int(torch.randint(2**31, ()).item())
        losses = [self._loss(mutation, batch) for mutation in self.mutations]
        children = [child_of(self.generator, loss, self.options.child_step) for loss in losses]
        with torch.no_grad():
            real = self.parts.discriminator.verdict(batch.tokens, batch.mask)
        diversity = self.options.diversity
        found = torch.stack([fitness(self.parts, each, batch, real, diversity, seed) for each in children])
        best, fittest = found.max(dim=0)
        batch.log("fitness", best)
        batch.log("mutation", fittest.float())
        return torch.stack(losses).gather(0, fittest.unsqueeze(0)).squeeze(0)

    def _loss(self, mutation: Mutation, batch: Batch) -> Tensor:
        own = mutation.of(batch)
        return self.estimator(self.generator, own, cost_of(self.parts, own, mutation.against))
