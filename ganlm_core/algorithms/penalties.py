"""Penalties on the gradient of the discriminator with respect to its input, relaxed one-hots (B, T, V)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ganlm_core.algorithms.options import PenaltyOptions
from ganlm_core.components import Options
from ganlm_core.protocol import Discriminator, Penalty, Sequences


class NoPenalty(Penalty):
    interval = 0

    def __init__(self, options: Options) -> None:
        pass

    def __call__(self, discriminator: Discriminator, real: Sequences, generated: Sequences) -> Tensor:
        return torch.zeros((), device=real.mask.device)


class GradientPenalty(Penalty):
    """Base of all penalties on the gradient, with their options."""

    def __init__(self, options: PenaltyOptions) -> None:
        self.weight = options.weight
        self.interval = options.interval


class R1(GradientPenalty):
    """Half the weighted mean squared gradient on real data (Mescheder et al. 2018, eq. 9)."""

    def __call__(self, discriminator: Discriminator, real: Sequences, generated: Sequences) -> Tensor:
        return self.weight / 2 * _squared_gradient(discriminator, real).mean()


class R2(R1):
    """Half the weighted mean squared gradient on generated data (Mescheder et al. 2018, eq. 10)."""

    def __call__(self, discriminator: Discriminator, real: Sequences, generated: Sequences) -> Tensor:
        return super().__call__(discriminator, generated, real)


class R1R2(GradientPenalty):
    """R1 plus R2 with one weight, as in R3GAN (Huang et al. 2024, section 2.2)."""

    def __call__(self, discriminator: Discriminator, real: Sequences, generated: Sequences) -> Tensor:
        squared = _squared_gradient(discriminator, real) + _squared_gradient(discriminator, generated)
        return self.weight / 2 * squared.mean()


class WGANGP(GradientPenalty):
    """Pull the gradient norm to 1 at points between real and generated data (Gulrajani et al. 2017, eq. 3).

    Differs: sequences differ in length, so the mask of such a point is the union of both masks.
    """

    def __call__(self, discriminator: Discriminator, real: Sequences, generated: Sequences) -> Tensor:
        size = discriminator.shape.vocabulary
        share = torch.rand(real.mask.shape[0], 1, 1, device=real.mask.device)
        points = share * relaxed(real.sequence, size) + (1 - share) * relaxed(generated.sequence, size)
        between = Sequences(points, real.mask | generated.mask)
        norm = (_squared_gradient(discriminator, between) + 1e-12).sqrt()
        return self.weight * (norm - 1).square().mean()


def _squared_gradient(discriminator: Discriminator, where: Sequences) -> Tensor:
    """Return |d D / d one-hots|^2 of each sequence, (B,), and keep the graph. Logits per position are averaged."""
    points = relaxed(where.sequence, discriminator.shape.vocabulary).detach().requires_grad_()
    logits = discriminator.verdict(points, where.mask)
    (gradient,) = torch.autograd.grad(logits.sum(), points, create_graph=True)
    return gradient.square().sum(dim=(1, 2))


def relaxed(sequence: Tensor, vocabulary: int) -> Tensor:
    """Return ids (B, T) as one-hots (B, T, V) in float32. Relaxed one-hots are returned unchanged."""
    return sequence if sequence.is_floating_point() else F.one_hot(sequence, vocabulary).float()
