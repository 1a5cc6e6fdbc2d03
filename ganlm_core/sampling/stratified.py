"""Stratified samples: sentences by arithmetic decoding of evenly spaced numbers (Vilnis et al. 2023, section 3).

Each word owns an interval of the numbers from 0 to 1, as long as its probability. A number selects the word in whose
interval it lies, and its place within that interval is the number that selects the next word. A uniform number gives an
ordinary sample. Evenly spaced numbers, all shifted by one uniform number, give sentences that share each beginning in
proportion to its probability.
"""

import torch
from torch import Tensor

from ganlm_core.sampling.drawing import Policy, log_probabilities

Points = tuple[Tensor, Tensor]
"""The number of the rest of each sentence, (B,), and the length of its interval as a multiple of the spacing, (B,)."""

LARGEST = 1 - 2**-53
"""The largest number below 1 in float64."""


def even_points(rows: int, samples: int, device: torch.device, rng: torch.Generator | None = None) -> Points:
    """Return evenly spaced numbers for ``samples`` sentences of each of B rows: (samples * B,).

    The numbers of all sentences are evenly spaced, and so are the numbers of the sentences of each row. Each number by
    itself is uniform, because the sentences of a row are in a random order.
    """
    shift = torch.rand((), generator=rng, device=device, dtype=torch.float64)
    places = torch.randperm(rows, generator=rng, device=device) + shift
    within = torch.rand(samples, rows, generator=rng, device=device).argsort(dim=0)
    points = (within + places / rows) / samples
    return points.flatten(), torch.full((rows * samples,), float(rows * samples), device=device, dtype=torch.float64)


def decode(
    logits: Tensor, points: Points, policy: Policy, rng: torch.Generator | None
) -> tuple[Tensor, Tensor, Points]:
    """Return the next words (B,) for logits (B, V), the log-probability of each, and the points of the rest.

    A sentence whose interval has become shorter than the spacing has it alone, and goes on with a new uniform number:
    the digits of a number are used up after about 50 bits of text.
    """
    point, width = points
    log_p = log_probabilities(logits, policy)
    p = log_p.double().exp()
    ends = p.cumsum(dim=-1)
    target = (point * ends[:, -1]).unsqueeze(1)
    words = torch.searchsorted(ends, target, right=True).clamp_(max=ends.shape[1] - 1)
    share = p.gather(1, words)
    rest = ((target - ends.gather(1, words) + share) / share).clamp(0, LARGEST).squeeze(1)
    width = width * share.squeeze(1)
    anew = torch.rand(point.shape, generator=rng, device=point.device, dtype=point.dtype)
    points = torch.where(width < 1, anew, rest), width
    return words.squeeze(1), log_p.gather(1, words).squeeze(1), points
