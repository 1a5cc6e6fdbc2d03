"""Divergences between the next-word distributions of two generators, after prefixes that one of them drew."""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ganlm_core import sampling
from ganlm_core.protocol import EOS, Batch, Generator

DIVERGENCES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "reverse-kl": lambda own, other: _kl(own, other),
    "forward-kl": lambda own, other: _kl(other, own),
    "jensen-shannon": lambda own, other: (_kl(own, _mixed(own, other)) + _kl(other, _mixed(own, other))) / 2,
    "skewed": lambda own, other: _kl(own, _mixed(own, other, SKEW)),
}
"""Divergences (...,) of log p (..., V) of the generator and of another model; ``skewed``: Lee 2001, eq. 3."""

SKEW = 0.9
"""The share of the other model in the mixture of the skewed divergence."""


def divergence(generator: Generator, others: Sequence[Generator], batch: Batch, kind: str = "reverse-kl") -> Tensor:
    """Return the exact divergence of the next word from the mean of others, summed over prefixes of generated samples.

    The prefixes are held fixed: the gradient passes through the next-word distributions only. The gradient through the
    probability of each prefix, which has high variance, is left out (Lu et al. 2019, section 3.3). ``kind``: one of
    DIVERGENCES. The caller disables dropout (:func:`ganlm_core.layers.without_dropout`).
    """
    drawn = sampling.draws(generator, batch)
    own = drawn.distributions[..., EOS:]
    tokens, mask = drawn.trimmed
    with torch.no_grad():
        upto = tokens.shape[1]  # a generator that writes all positions at once gives the rest too
        logits = [other(batch.noise, tokens)[:, :upto] for other in others]
        found = torch.stack([sampling.log_probabilities(each)[..., EOS:] for each in logits])
        mean = found.logsumexp(dim=0) - math.log(len(others))
    return torch.where(mask, DIVERGENCES[kind](own, mean), 0.0).sum(dim=1).mean()


def _kl(one: Tensor, other: Tensor) -> Tensor:
    """Return KL(one || other) of log-probabilities (..., V)."""
    return F.kl_div(other, one, log_target=True, reduction="none").sum(dim=-1)


def _mixed(own: Tensor, other: Tensor, share: float = 0.5) -> Tensor:
    """Return the log of a mixture of log-probabilities, ``share`` of it the other."""
    return torch.logaddexp(own + math.log(1 - share), other + math.log(share))
