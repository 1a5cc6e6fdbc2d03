"""Baselines: what a score function subtracts from the returns of tokens, to lower its variance.

A baseline of a token may depend on everything but the token itself and what follows it in its own sentence. Then its
product with the gradient of log p has the mean zero (Williams 1992; Greensmith et al. 2004). ``same-length`` depends on
the length of its own sentence: on purpose, it removes the gradient through the length.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganlm_core.sampling import Draws, of_tokens

BUCKETS = 64
"""Classes of words whose probability a value function reads: word w is in class w % BUCKETS."""

FEATURES = BUCKETS + 5

RIDGE = 1e-3
"""The ridge penalty of a value function, as a share of the mean square of its features."""


class Baseline(nn.Module, ABC):
    """The baseline (N, T) of returns (N, T) for N drawn sequences. What it keeps from step to step is in buffers."""

    @abstractmethod
    def forward(self, drawn: Draws, returns: Tensor) -> Tensor: ...


class NoBaseline(Baseline):
    """Zero."""

    def forward(self, drawn: Draws, returns: Tensor) -> Tensor:
        return torch.zeros_like(returns)


class MovingAverage(Baseline):
    """The mean return of past batches, in which older batches weigh less by the factor ``decay``."""

    average: Tensor
    updates: Tensor

    def __init__(self, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("average", torch.zeros(()))
        self.register_buffer("updates", torch.zeros(()))

    def forward(self, drawn: Draws, returns: Tensor) -> Tensor:
        expected = self.average / (1 - self.decay**self.updates).clamp(min=1e-8)
        self.average.lerp_((returns * drawn.mask).sum() / drawn.mask.sum(), 1 - self.decay)
        self.updates += 1
        return expected


class LeaveOneOut(Baseline):
    """The mean return of the other sequences that reach the position (Kool et al. 2019).

    These are the sequences with the same noise vector or, with one sample per noise vector, the rest of the batch.
    """

    def __init__(self, samples: int) -> None:
        super().__init__()
        self.samples = samples

    def forward(self, drawn: Draws, returns: Tensor) -> Tensor:
        mask = drawn.mask
        groups = (self.samples if self.samples > 1 else len(mask), -1, mask.shape[1])
        counts, paid = mask.int().view(groups), (returns * mask).view(groups)
        others = counts.sum(dim=0) - counts
        return ((paid.sum(dim=0) - paid) / others.clamp(min=1)).view(mask.shape)


class SameLength(Baseline):
    """The mean return of the other sequences of the same length, so that the length is neither rewarded nor punished.

    A sequence that has its length alone gets no gradient.
    """

    def forward(self, drawn: Draws, returns: Tensor) -> Tensor:
        lengths = drawn.mask.sum(dim=1)
        same = (lengths[:, None] == lengths) & ~torch.eye(len(lengths), dtype=torch.bool, device=lengths.device)
        means = same.to(returns.dtype) @ returns / same.sum(dim=1, keepdim=True).clamp(min=1)
        return torch.where(same.any(dim=1, keepdim=True), means, returns)


class Learned(Baseline):
    """A value function: the linear regression of past returns on what the generator knows before a token.

    As the linear baseline of Duan et al. 2016, with other features: the probabilities of the next word,
    summed over BUCKETS classes of words, the position and its square, log p of the tokens so far, and log p of the
    unlikeliest of them. It is fitted by least squares, in which older batches weigh less by the factor ``decay``, and
    its first batch has the baseline zero.
    """

    moments: Tensor

    def __init__(self, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("moments", torch.zeros(FEATURES, FEATURES + 1, dtype=torch.float64))

    def forward(self, drawn: Draws, returns: Tensor) -> Tensor:
        features, (_, mask) = _features(drawn), drawn.trimmed
        expected = features @ self._weights().to(features.dtype)
        seen = (features * mask.unsqueeze(-1)).flatten(0, 1).double()
        paid = returns[:, : mask.shape[1]].flatten().double()
        self.moments.mul_(self.decay).add_(seen.T @ torch.cat([seen, paid.unsqueeze(1)], dim=1))
        return F.pad(expected, (0, returns.shape[1] - expected.shape[1]))

    def _weights(self) -> Tensor:
        """Return the weights (FEATURES,) of least squares, with a small ridge penalty; zeros before the first batch."""
        squares, products = self.moments[:, :-1], self.moments[:, -1]
        ridge = (RIDGE * squares.diagonal().mean()).clamp(min=1e-12)
        return torch.linalg.solve_ex(squares + ridge * torch.eye(FEATURES, device=squares.device), products).result


def _features(drawn: Draws) -> Tensor:
    """Return what is known before each token, (N, T', FEATURES)."""
    tokens, mask = drawn.trimmed
    rows, length = tokens.shape
    log_p = drawn.distributions.repeat(rows // len(drawn.distributions), 1, 1)
    own = F.pad(of_tokens(log_p, tokens, mask), (1, 0))[:, :-1]
    position = (torch.arange(length, device=own.device) / drawn.tokens.shape[1]).expand(rows, -1)
    known = [torch.ones_like(own), position, position.square(), own.cumsum(dim=1), own.cummin(dim=1).values]
    next_word = F.pad(log_p.exp(), (0, -log_p.shape[-1] % BUCKETS)).unflatten(-1, (-1, BUCKETS)).sum(dim=-2)
    return torch.cat([next_word, torch.stack(known, dim=-1)], dim=-1)


def make_baseline(name: str, decay: float, samples: int = 1) -> Baseline:
    """Return the baseline of this name. ``samples``: how many of the drawn sequences have the same noise vector."""
    if name == "moving-average":
        return MovingAverage(decay)
    if name == "leave-one-out":
        return LeaveOneOut(samples)
    if name == "learned":
        return Learned(decay)
    return SameLength() if name == "same-length" else NoBaseline()
