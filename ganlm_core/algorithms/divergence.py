"""Divergences between the next-word distributions of two generators, after prefixes that one of them drew."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ganlm_core import sampling
from ganlm_core.protocol import EOS, Batch, Generator


def next_words(generator: Generator, noise: Tensor, tokens: Tensor) -> Tensor:
    """Return log p(word | noise, earlier tokens), (B, T, V - 2): without ``<pad>`` and ``<bos>``, which have p = 0."""
    return sampling.log_probabilities(generator(noise, tokens))[..., EOS:]


def divergence(generator: Generator, other: Generator, batch: Batch) -> Tensor:
    """Return the exact KL(generator || other) of the next word, summed over prefixes of generated samples.

    The prefixes are held fixed: the gradient passes through the next-word distributions only. The gradient through the
    probability of each prefix, which has high variance, is left out (Lu et al. 2019, section 3.3).
    """
    drawn = sampling.sample(generator, batch.noise)
    own = next_words(generator, batch.noise, drawn.tokens)
    with torch.no_grad():
        others = next_words(other, batch.noise, drawn.tokens)
    differences = F.kl_div(others, own, log_target=True, reduction="none").sum(dim=-1)
    return torch.where(drawn.mask, differences, 0.0).sum(dim=1).mean()
