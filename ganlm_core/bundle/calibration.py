"""From a discriminator's logits to the probability that a sentence is real, and to density ratios.

An optimal discriminator gives the logit log p(x) - log q(x), where p is the density of real text and q the density of
the generator (Goodfellow et al. 2014, proposition 1). A trained one does not: losses such as the hinge have another
optimum, and with any loss the logits are off scale while the generator still learns. A logistic regression on real and
generated sentences that neither network was trained on puts the logits on scale (Platt 1999, as in Turner et al. 2019,
section 3.2).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganlm_core.errors import DataError

STEPS = 100
"""Maximum number of Newton steps; about five are enough."""


@dataclass(frozen=True)
class Calibration:
    """The line from logits to log density ratios: log p(x) - log q(x) = ``slope`` * logit + ``offset``.

    ``real`` and ``generated`` are the numbers of sentences that it was fitted to. ``bound`` is the largest log ratio of
    a generated sentence; rejection sampling uses it as the bound of all ratios.
    """

    slope: float
    offset: float
    bound: float
    real: int
    generated: int

    def log_ratio(self, logits: Tensor) -> Tensor:
        """Return log p(x) - log q(x), in the shape of ``logits``."""
        return self.slope * logits + self.offset

    def probability(self, logits: Tensor) -> Tensor:
        """Return P(real) under equal priors, in the shape of ``logits``."""
        return self.log_ratio(logits).sigmoid()


def fit(real: Tensor, generated: Tensor) -> Calibration:
    """Fit the calibration to the logits (N,) of real and (M,) of generated sentences. Both kinds have equal weight.

    It is a logistic regression with Platt's targets, (N + 1) / (N + 2) and 1 / (M + 2) instead of 1 and 0, so that a
    perfect separation does not become certainty. Raises DataError for logits that are not finite.
    """
    logits = torch.cat([real, generated]).double()
    if not logits.isfinite().all():
        raise DataError(
            "the discriminator gives logits that are not finite, so it cannot be calibrated; train it again"
        )
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
    """Return the coefficients (F,) of inputs (N, F) that minimise the weighted cross-entropy, by Newton's method."""
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
