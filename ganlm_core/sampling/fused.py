"""The log-probability of words straight from states: loss and gradients in one pass, without logits in memory.

As Liger (Hsu et al. 2024) and Cut Cross-Entropy (Wijmans et al. 2024) do on GPUs, here with blocks of rows that stay in
the cache of a CPU.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ganlm_core.layers import autocasts
from ganlm_core.sampling.drawing import LOG2_E, rows_at_once, without_specials


def weighted_log_probability(states: Tensor, weight: Tensor, bias: Tensor, ids: Tensor, weights: Tensor) -> Tensor:
    """Return the sum of weights (N,) times log p(id) of ids (N,), a scalar.

    p is the softmax of the linear layer (V, H) and (V,) on states (N, H); ``<pad>`` and ``<bos>`` have probability
    zero. Differentiable once, in states, weight and bias, not in the weights. The weights are known before the backward
    pass, so one pass makes all gradients; computing the logits again in the backward pass takes 1.4 times as long.
    """
    value: Tensor = _WeightedLogProbability.apply(
        states, weight, without_specials(bias), ids, weights.detach().to(states.dtype)
    )
    return value


def fuses(device: torch.device) -> bool:
    """Return whether the fused pass is used: on a CPU, in full precision, outside of code that torch.compile traces."""
    return device.type == "cpu" and not torch.compiler.is_compiling() and not autocasts(device)


def log_probability(states: Tensor, weight: Tensor, bias: Tensor, ids: Tensor) -> Tensor:
    """Return log p(id) of each of the ids (N,), as :func:`weighted_log_probability`. Differentiable once.

    The backward pass computes the logits again, because only then the gradient of each value is known.
    """
    found: Tensor = _LogProbability.apply(states, weight, without_specials(bias), ids)
    return found


def _base_2(weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Return (H, V) and (V,) that give the logits to base 2: exp2 takes half the time of exp."""
    return LOG2_E * weight.T, LOG2_E * bias


class _Gradients:
    """The gradients of a sum of weighted log-probabilities, block by block of rows."""

    def __init__(self, states: Tensor, weight: Tensor, bias: Tensor) -> None:
        self.weight = weight
        self.all = torch.empty_like(states), torch.zeros_like(weight), torch.zeros_like(bias)
        self.row = 0

    def add(self, states: Tensor, words: Tensor, shares: Tensor, negative_p: Tensor) -> None:
        """Add the gradients of rows with ``shares`` (R, 1) of the sum, from -shares * p (R, V), which it overwrites."""
        difference = negative_p.scatter_add_(1, words, shares)  # weight * (one-hot - p)
        torch.mm(difference, self.weight, out=self.all[0][self.row : self.row + len(states)])
        self.all[1].addmm_(difference.T, states)
        self.all[2].add_(difference.sum(dim=0))
        self.row += len(states)


class _WeightedLogProbability(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, bias: Tensor, ids: Tensor, weights: Tensor) -> Tensor:
        gradients, (scaled, offset) = _Gradients(states, weight, bias), _base_2(weight, bias)
        total = states.new_zeros(())
        rows = rows_at_once(len(weight), states.device)
        parts = zip(*(each.split(rows) for each in (states, ids.unsqueeze(1), weights.unsqueeze(1))), strict=True)
        for some, words, shares in parts:
            logits = torch.addmm(offset, some, scaled)
            chosen = logits.gather(1, words)
            highest = logits.amax(dim=1, keepdim=True)
            exponentials = logits.sub_(highest).exp2_()
            sums = exponentials.sum(dim=1, keepdim=True)
            total += (shares * ((chosen - highest) / LOG2_E - sums.log())).sum()
            gradients.add(some, words, shares, exponentials.mul_(-shares / sums))
        ctx.save_for_backward(*gradients.all)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return *(gradient * each for each in ctx.saved_tensors), None, None


class _LogProbability(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, bias: Tensor, ids: Tensor) -> Tensor:
        scaled, offset = _base_2(weight, bias)
        rows = rows_at_once(len(weight), states.device)
        found, totals = states.new_empty(2, len(states), 1).unbind()  # log p, and the base-2 logarithm of the sums
        parts = zip(*(each.split(rows) for each in (states, ids.unsqueeze(1), found, totals)), strict=True)
        for some, words, values, total in parts:
            logits = torch.addmm(offset, some, scaled)
            torch.gather(logits, 1, words, out=values)
            highest = logits.amax(dim=1, keepdim=True)
            torch.add(logits.sub_(highest).exp2_().sum(dim=1, keepdim=True).log2(), highest, out=total)
            values.sub_(total).div_(LOG2_E)
        ctx.save_for_backward(states, weight, bias, ids, totals)
        return found.squeeze(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        states, weight, bias, ids, totals = ctx.saved_tensors
        gradients, (scaled, offset) = _Gradients(states, weight, bias), _base_2(weight, bias)
        rows = rows_at_once(len(weight), states.device)
        columns = (each.split(rows) for each in (states, ids.unsqueeze(1), totals, gradient.unsqueeze(1)))
        for some, words, total, shares in zip(*columns, strict=True):
            p = torch.addmm(offset, some, scaled).sub_(total).exp2_()
            gradients.add(some, words, shares, p.mul_(-shares))
        return *gradients.all, None
