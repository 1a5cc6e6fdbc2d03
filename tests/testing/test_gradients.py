"""Slopes by gradient and by central differences."""

import pytest
import torch
from torch import nn

from ganlm_core.testing.gradients import same, slopes


def parameter() -> nn.Parameter:
    return nn.Parameter(torch.tensor([0.5, -1.5, 2.0], dtype=torch.float64))


def test_both_slopes_of_a_correct_gradient_agree() -> None:
    torch.manual_seed(0)
    weights = parameter()
    slope, expected = slopes(lambda: weights.pow(3).sum(), [weights])
    assert slope == pytest.approx(expected, rel=1e-6)
    assert same(slope, expected)


def test_a_gradient_that_detach_made_wrong_is_found() -> None:
    torch.manual_seed(0)
    weights = parameter()
    slope, expected = slopes(lambda: (weights.detach() * weights).sum(), [weights])
    assert expected == pytest.approx(2 * slope, rel=1e-6)
    assert not same(slope, expected)


def test_a_parameter_without_gradient_counts_as_zero() -> None:
    torch.manual_seed(0)
    weights, unused = parameter(), parameter()
    slope, expected = slopes(lambda: weights.square().sum(), [weights, unused])
    assert same(slope, expected)
