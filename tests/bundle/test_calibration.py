"""Calibration: the regression against known densities, and its edge cases."""

import math

import pytest
import torch

from ganlm_core.bundle.calibration import Calibration, fit
from ganlm_core.errors import DataError


def logits(mean: float, n: int, seed: int, spread: float = 1.5) -> torch.Tensor:
    return mean + spread * torch.randn(n, generator=torch.Generator().manual_seed(seed))


def test_between_two_normal_densities_the_log_ratio_is_known() -> None:
    """log N(x; 1, s^2) / N(x; -1, s^2) = 2 x / s^2; of 20,000 draws the slope has a standard error of 1%."""
    found = fit(logits(1, 20_000, 0), logits(-1, 20_000, 1))
    assert found.slope == pytest.approx(2 / 1.5**2, rel=0.04)
    assert found.offset == pytest.approx(0, abs=0.05)
    assert found.bound == pytest.approx(found.slope * logits(-1, 20_000, 1).max().item() + found.offset)
    assert (found.real, found.generated) == (20_000, 20_000)


def test_the_scale_of_the_logits_does_not_matter() -> None:
    real, generated = logits(1, 500, 0), logits(-1, 500, 1)
    plain, moved = fit(real, generated), fit(1000 * real + 7, 1000 * generated + 7)
    assert torch.allclose(moved.probability(1000 * real + 7), plain.probability(real), atol=1e-4)


def test_both_kinds_have_equal_weight_whatever_their_numbers() -> None:
    found = fit(logits(0, 4000, 0), logits(0, 100, 1))
    assert found.probability(torch.zeros(1)).item() == pytest.approx(0.5, abs=0.02)


def test_it_minimises_the_cross_entropy_with_platts_targets() -> None:
    real, generated = logits(0.3, 50, 0), logits(-0.2, 30, 1)
    found = fit(real, generated)
    inputs = torch.cat([real, generated]).double()
    targets = torch.cat([torch.full((50,), 51 / 52), torch.full((30,), 1 / 32)]).double()
    weights = torch.cat([torch.full((50,), 1 / 50), torch.full((30,), 1 / 30)]).double()
    excess = weights * (found.probability(inputs) - targets)
    assert excess.sum().item() == pytest.approx(0, abs=1e-6)
    assert (excess * inputs).sum().item() == pytest.approx(0, abs=1e-6)


def test_perfect_separation_is_not_certainty() -> None:
    found = fit(torch.full((9,), 5.0), torch.full((9,), -5.0))
    assert found.probability(torch.tensor([5.0, -5.0])).tolist() == pytest.approx([10 / 11, 1 / 11], abs=1e-3)


def test_equal_logits_tell_nothing() -> None:
    found = fit(torch.ones(20), torch.ones(20))
    assert found.probability(torch.tensor([1.0, 9.0])).tolist() == pytest.approx([0.5, 0.5])


def test_logits_that_are_not_finite() -> None:
    with pytest.raises(DataError, match="gives logits that are not finite, so it cannot be calibrated; train"):
        fit(torch.tensor([1.0, math.inf]), torch.zeros(2))


def test_a_log_ratio_and_its_probability() -> None:
    calibration = Calibration(slope=2.0, offset=-1.0, bound=0.0, real=1, generated=1)
    assert calibration.log_ratio(torch.tensor([1.5])).tolist() == [2.0]
    assert calibration.probability(torch.tensor([1.5])).tolist() == pytest.approx([1 / (1 + math.exp(-2))])
