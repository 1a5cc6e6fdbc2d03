"""The likelihood of sentences under a generator."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ganlm_core.layers import reads_out
from ganlm_core.protocol import EOS, Generator, mask_of
from ganlm_core.sampling.drawing import LOGITS, PLAIN, Policy, log_probabilities
from ganlm_core.sampling.fused import fuses, log_probability, weighted_log_probability
from ganlm_core.system.devices import asynchronous


def log_likelihood(generator: Generator, noise: Tensor, tokens: Tensor, mask: Tensor, policy: Policy = PLAIN) -> Tensor:
    """Return log p(token | noise, earlier tokens) of ids (N, T) as (N, T), zero outside the mask. Differentiable.

    N may be any multiple of the B rows of noise; row i of the ids belongs to row i % B of the noise. p is the
    distribution under the policy. With a :class:`ganlm_core.layers.ReadoutGenerator` on a CPU, it is differentiable
    once, and logits are computed for the mask alone and never kept.
    """
    if generator.autoregressive:
        noise = noise.repeat(len(tokens) // len(noise), 1)
    if policy == PLAIN and reads_out(generator) and fuses(tokens.device):
        found = log_probability(generator(noise, tokens, readout=False)[mask], *generator.readout(), tokens[mask])
        return torch.zeros(mask.shape, dtype=found.dtype).masked_scatter(mask, found)
    return of_tokens(log_probabilities(generator(noise, tokens), policy), tokens, mask)


def longest(mask: Tensor) -> int:
    """Return the length of the longest sequence of a mask (N, T), or T where reading it would wait or be traced."""
    if asynchronous(mask.device) or torch.compiler.is_compiling():
        return mask.shape[1]
    return int(mask.any(dim=0).cumsum(dim=0).argmax()) + 1


def short_and_long(mask: Tensor) -> Sequence[Tensor]:
    """Return the row numbers of a mask (N, T) in two parts, shorter sequences first, that leave the least padding.

    They are one part if two would save less than an eighth of all positions.
    """
    ends = mask * torch.arange(1, mask.shape[1] + 1, device=mask.device)
    lengths, rows = ends.amax(dim=1).sort(stable=True)
    shorter = torch.arange(1, len(rows) + 1, device=mask.device)
    positions = shorter * lengths + (len(rows) - shorter) * lengths[-1]  # the last: all rows in one part
    best = positions.argmin()
    if 8 * positions[best] >= 7 * positions[-1]:
        return [rows]
    return rows.tensor_split([int(best) + 1])


def weighted_log_likelihood(
    generator: Generator, noise: Tensor, tokens: Tensor, mask: Tensor, weights: Tensor
) -> Tensor:
    """Return the sum of weights (N, T) times :func:`log_likelihood` of ids (N, T), a scalar.

    Differentiable once, in the generator only. With a :class:`ganlm_core.layers.ReadoutGenerator` on a CPU, logits are
    computed for the mask alone and never kept, and states for short sequences apart from long ones, with less padding.
    Other generators and other devices keep all logits.
    """
    if not (reads_out(generator) and fuses(tokens.device)):
        return (weights.detach() * log_likelihood(generator, noise, tokens, mask)).sum()
    noise = noise.repeat(len(tokens) // len(noise), 1)
    states, ids, shares = [], [], []
    for rows in short_and_long(mask):
        upto = longest(mask[rows])
        some, kept = tokens[rows, :upto], mask[rows, :upto]
        states.append(generator(noise[rows], some, readout=False)[kept])
        ids.append(some[kept])
        shares.append(weights[rows, :upto][kept])
    return weighted_log_probability(torch.cat(states), *generator.readout(), torch.cat(ids), torch.cat(shares))


def log_marginal(generator: Generator, noise: Tensor, tokens: Tensor, mask: Tensor, policy: Policy = PLAIN) -> Tensor:
    """Return :func:`log_marginals` for one policy: (B,)."""
    return log_marginals(generator, noise, tokens, mask, [policy])[0]


@torch.no_grad()
def log_marginals(
    generator: Generator, noise: Tensor, tokens: Tensor, mask: Tensor, policies: Sequence[Policy]
) -> Tensor:
    """Return the log of the mean of p(tokens | noise) over K draws of noise (K, B, Z), for ids (B, T): (policies, B).

    It is exact for generators without noise. Otherwise it is on average lower than log p(tokens) by Jensen's
    inequality; the gap shrinks as K grows (Burda et al. 2016, theorem 1, with the prior as the proposal).
    """
    lengths = mask_of(tokens).sum(dim=1)  # the mask may leave out a prompt
    scores = torch.empty(len(policies), *noise.shape[:2], device=tokens.device)
    rows = max(1, LOGITS // (tokens.shape[1] * generator.shape.vocabulary))
    for part in lengths.argsort().split(rows):  # by length, so that little padding is scored
        upto = slice(int(lengths[part].max()))
        for k, each in enumerate(noise):
            logits = generator(each[part], tokens[part, upto])
            for place, policy in enumerate(policies):
                found = of_tokens(log_probabilities(logits, policy), tokens[part, upto], mask[part, upto])
                scores[place, k, part] = found.sum(dim=1)
    return scores.logsumexp(dim=1) - math.log(len(noise))


def of_tokens(distribution: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    """Return log-probabilities (B, T', V) of ids (N, T), whose row i reads row i % B: (N, T), zero off the mask.

    T' is at least the length of the longest sequence; it may be above T, as from generators of all positions at once.
    """
    distribution = distribution[:, : tokens.shape[1]]
    upto = distribution.shape[1]
    ids = tokens.masked_fill(~mask, EOS)[:, :upto].unflatten(0, (-1, len(distribution))).movedim(0, -1)
    found = torch.where(mask[:, :upto], distribution.gather(-1, ids).movedim(-1, 0).flatten(0, 1), 0.0)
    return F.pad(found, (0, tokens.shape[1] - upto))
