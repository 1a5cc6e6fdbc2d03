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


class _WeightedLogProbability(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, bias: Tensor, ids: Tensor, weights: Tensor) -> Tensor:
        gradients = torch.empty_like(states), torch.zeros_like(weight), torch.zeros_like(bias)
        scaled, offset = LOG2_E * weight.T, LOG2_E * bias  # exp2 takes half the time of exp
        total = states.new_zeros(())
        rows = rows_at_once(len(weight), states.device)
        parts = zip(*(each.split(rows) for each in (states, ids.unsqueeze(1), weights.unsqueeze(1))), strict=True)
        for part, (some, words, shares) in enumerate(parts):
            logits = torch.addmm(offset, some, scaled)
            chosen = logits.gather(1, words)
            highest = logits.amax(dim=1, keepdim=True)
            exponentials = logits.sub_(highest).exp2_()
            sums = exponentials.sum(dim=1, keepdim=True)
            total += (shares * ((chosen - highest) / LOG2_E - sums.log())).sum()
            difference = exponentials.mul_(-shares / sums).scatter_add_(1, words, shares)  # weight * (one-hot - p)
            torch.mm(difference, weight, out=gradients[0][part * rows : part * rows + len(some)])
            gradients[1].addmm_(difference.T, some)
            gradients[2].add_(difference.sum(dim=0))
        ctx.save_for_backward(*gradients)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return *(gradient * each for each in ctx.saved_tensors), None, None
