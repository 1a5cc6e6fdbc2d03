"""Select generated sentences with the discriminator, so that they are closer to real text.

Each method is a pure function of the log density ratios log p(x) - log q(x) of candidates drawn from the generator q,
as a calibrated discriminator estimates them (:mod:`ganlm_core.bundle.calibration`). If the ratios are exact, all
methods but ``rerank`` draw from p, which is q(x) D(x) / (1 - D(x)) up to a constant. Candidates come in groups (G, K).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ganlm_core.bundle.options import METHODS


@dataclass(frozen=True)
class Selected:
    """Boolean (G, K): the candidates that are ``taken``, and the candidates that were ``accepted`` before."""

    taken: Tensor
    accepted: Tensor


Selection = Callable[[Tensor, float, torch.Generator], Selected]
"""(log ratios (G, K), their bound, random generator) -> the selected candidates."""


def rejection(log_ratios: Tensor, bound: float, rng: torch.Generator) -> Selected:
    """Take each candidate with probability p(x) / (M q(x)), where log M is the bound (Azadi et al. 2019, section 3.1).

    Differs: this is the exact case of the paper's eq. 8, with gamma = 0 and epsilon = 0. A candidate above the bound
    raises it for its own group alone, not for all later ones, so that groups can be drawn in any order.
    """
    bounds = log_ratios.amax(dim=1, keepdim=True).clamp(min=bound)
    taken = _uniform(log_ratios, rng) < (log_ratios - bounds).exp()
    return Selected(taken, taken)


def metropolis_hastings(log_ratios: Tensor, bound: float, rng: torch.Generator) -> Selected:
    """Take the last state of an independence chain over the K candidates (Turner et al. 2019, Alg. 1).

    Differs: the chain starts at the first candidate, in the paper at real text; in a long chain that matters little.
    """
    thresholds = _uniform(log_ratios, rng).log()
    accepted = torch.zeros_like(log_ratios, dtype=torch.bool)
    current, place = log_ratios[:, 0], torch.zeros(len(log_ratios), dtype=torch.int64)
    for k in range(1, log_ratios.shape[1]):
        accepted[:, k] = thresholds[:, k] < log_ratios[:, k] - current
        current = torch.where(accepted[:, k], log_ratios[:, k], current)
        place = place.masked_fill(accepted[:, k], k)
    return Selected(_only(place, log_ratios), accepted)


def resample(log_ratios: Tensor, bound: float, rng: torch.Generator) -> Selected:
    """Take one of the K candidates with probability proportional to p(x) / q(x) (Deng et al. 2020, Alg. 2).

    This is self-normalised importance sampling. Differs: the paper's candidates are the k likeliest continuations.
    """
    cumulative = log_ratios.softmax(dim=1).cumsum(dim=1)
    point = _uniform(log_ratios[:, :1], rng) * cumulative[:, -1:]
    place = torch.searchsorted(cumulative, point, right=True).squeeze(1).clamp(max=log_ratios.shape[1] - 1)
    taken = _only(place, log_ratios)
    return Selected(taken, taken)


def rerank(log_ratios: Tensor, bound: float, rng: torch.Generator) -> Selected:
    """Take the best of the K candidates. The result follows no known distribution and is less diverse than p."""
    taken = _only(log_ratios.argmax(dim=1), log_ratios)
    return Selected(taken, taken)


SELECTIONS: dict[str, Selection] = dict(
    zip(METHODS, (rejection, metropolis_hastings, resample, rerank), strict=True),
)


class Tally:
    """Counts of candidates. The logs of the sum of the ratios p(x) / q(x), and of the sum of their squares."""

    def __init__(self) -> None:
        self.candidates = self.taken = self.accepted = 0
        self.log_weights = self.log_squares = torch.tensor(-math.inf, dtype=torch.float64)

    def add(self, log_ratios: Tensor, selected: Selected) -> None:
        logs = log_ratios.double().flatten()
        self.candidates += log_ratios.numel()
        self.taken += int(selected.taken.sum())
        self.accepted += int(selected.accepted.sum())
        self.log_weights = torch.logaddexp(self.log_weights, logs.logsumexp(dim=0).cpu())
        self.log_squares = torch.logaddexp(self.log_squares, (2 * logs).logsumexp(dim=0).cpu())

    @property
    def effective(self) -> float:
        """The effective sample size as a share of the candidates (Kish 1965): 1 if all weights are equal."""
        if self.log_squares == -math.inf:
            return 0.0
        return (2 * self.log_weights - self.log_squares).exp().item() / self.candidates

    @property
    def acceptance(self) -> float:
        """The share of the candidates that was accepted."""
        return self.accepted / max(self.candidates, 1)


def _uniform(like: Tensor, rng: torch.Generator) -> Tensor:
    return torch.rand(like.shape, generator=rng, dtype=like.dtype)


def _only(place: Tensor, like: Tensor) -> Tensor:
    """Return booleans in the shape of ``like`` (G, K), true at one place of each group (G,)."""
    return torch.zeros_like(like, dtype=torch.bool).scatter_(1, place[:, None], True)
