"""From a discriminator's logits to the probability that a sentence is real, and to density ratios.

At its best a discriminator gives the logit log p(x) - log q(x), with p the density of real text and q that of the
generator (Goodfellow et al. 2014, proposition 1). A trained one does not: losses such as the hinge have no such
optimum, and an opponent that is still learning leaves any of them off scale. A logistic regression on sentences of
both kinds that nobody was trained on puts the logits on scale (Platt 1999, as in Turner et al. 2019, section 3.2).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganlm_core.errors import DataError

STEPS = 100
"""Newton steps at most; a handful are enough."""


@dataclass(frozen=True)
class Calibration:
    """log p(x) - log q(x) is ``slope`` * logit + ``offset``; fitted to so many ``real`` and ``generated`` sentences.

    ``bound``: the largest of these that a generated sentence had, which bounds the ratio for rejection sampling.
    """

    slope: float
    offset: float
    bound: float
    real: int
    generated: int

    def log_ratio(self, logits: Tensor) -> Tensor:
        """log p(x) - log q(x), of the shape of ``logits``."""
        return self.slope * logits + self.offset

    def probability(self, logits: Tensor) -> Tensor:
        """That a sentence is real, if half of all are."""
        return self.log_ratio(logits).sigmoid()


def fit(real: Tensor, generated: Tensor) -> Calibration:
    """The logistic regression on the logits (N,) of real and (M,) of generated sentences; both kinds count the same.

    The targets are Platt's: (N + 1) / (N + 2) and 1 / (M + 2) instead of 1 and 0, so that logits which tell both kinds
    apart without a fault do not become certainties. Raises DataError for logits that are not finite.
    """
    logits = torch.cat([real, generated]).double()
    if not logits.isfinite().all():
        raise DataError("the discriminator gives logits that are not finite, which no calibration can mend")
    centre, spread = logits.mean(), logits.std().clamp(min=1e-12)
    inputs = torch.stack([(logits - centre) / spread, torch.ones_like(logits)], dim=1)
    kinds = torch.cat([torch.ones(len(real)), torch.zeros(len(generated))]).double()
    counts = torch.where(kinds == 1, len(real), len(generated)).double()
    targets = torch.where(kinds == 1, (counts + 1) / (counts + 2), 1 / (counts + 2))
    slope, offset = _regress(inputs, targets, 1 / counts).tolist()
    slope, offset = slope / spread.item(), offset - slope * centre.item() / spread.item()
    bound = (slope * generated.double() + offset).max().item()
    return Calibration(slope, offset, bound, len(real), len(generated))


def _regress(inputs: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """The coefficients (F,) of inputs (N, F) that minimise the weighted cross-entropy, by Newton's method."""
    coefficients = torch.zeros(inputs.shape[1], dtype=inputs.dtype)
    for _ in range(STEPS):
        probabilities = (inputs @ coefficients).sigmoid()
        gradient = inputs.T @ (weights * (probabilities - targets))
        curvature = weights * probabilities * (1 - probabilities)
        hessian = inputs.T @ (curvature[:, None] * inputs) + 1e-9 * torch.eye(inputs.shape[1], dtype=inputs.dtype)
        step = torch.linalg.solve(hessian, gradient)
        coefficients -= step.clamp(-1, 1)  # far from the minimum a full step may overshoot
        if step.abs().max() < 1e-10:
            break
    return coefficients
