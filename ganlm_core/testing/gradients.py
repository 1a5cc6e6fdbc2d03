"""Gradients against finite differences."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

STEP = 1e-6
"""At this step, rounding in float64 and curvature are both far below SAME."""
SAME = 1e-4


def slopes(function: Callable[[], Tensor], parameters: Sequence[nn.Parameter]) -> tuple[float, float]:
    """Return the slope of a scalar function along a random direction of its parameters, computed in two ways.

    The first is by its gradient, the second by central differences. Raises the errors of its backward pass.
    """
    directions = [torch.randn_like(parameter) for parameter in parameters]
    found = torch.autograd.grad(function(), parameters, allow_unused=True)
    pairs = zip(found, directions, strict=True)
    slope = sum((gradient * direction).sum().item() for gradient, direction in pairs if gradient is not None)
    values = []
    for distance in (STEP, -2 * STEP):
        for parameter, direction in zip(parameters, directions, strict=True):
            parameter.data.add_(direction, alpha=distance)
        values.append(function().item())
    return slope, (values[0] - values[1]) / (2 * STEP)


def same(slope: float, expected: float) -> bool:
    return abs(slope - expected) <= SAME * abs(expected) + 1e-8
