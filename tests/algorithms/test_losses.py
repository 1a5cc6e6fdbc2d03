"""Adversarial losses: values by hand, gradients, and the logit of the optimal discriminator."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from ganlm_core.algorithms.losses import (
    LARGEST_LOGIT,
    CentredProbability,
    ForwardKL,
    Hinge,
    LeastSquares,
    NonSaturating,
    Probability,
    Relativistic,
    ReverseKL,
    Wasserstein,
)
from ganlm_core.algorithms.options import NonSaturatingOptions
from ganlm_core.components import NoOptions
from ganlm_core.protocol import Loss

LOSSES: dict[str, Loss] = {
    "non-saturating": NonSaturating(NonSaturatingOptions()),
    "smoothed": NonSaturating(NonSaturatingOptions(smoothing=0.1)),
    "probability": Probability(NonSaturatingOptions()),
    "centred-probability": CentredProbability(NonSaturatingOptions()),
    "reverse-kl": ReverseKL(NonSaturatingOptions()),
    "forward-kl": ForwardKL(NonSaturatingOptions()),
    "hinge": Hinge(NoOptions()),
    "least-squares": LeastSquares(NoOptions()),
    "wasserstein": Wasserstein(NoOptions()),
    "relativistic": Relativistic(NoOptions()),
}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)

REAL, GENERATED = [0.0, 2.0, -1.0], [0.0, -3.0, 0.5]


def cross_entropy(probability: float) -> float:
    return -math.log(probability)


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


WORKED: dict[str, tuple[list[float], list[float], list[float]]] = {
    "non-saturating": (
        [cross_entropy(sigmoid(logit)) for logit in REAL],
        [cross_entropy(1 - sigmoid(logit)) for logit in GENERATED],
        [cross_entropy(sigmoid(logit)) for logit in GENERATED],
    ),
    "smoothed": (
        [0.9 * cross_entropy(sigmoid(logit)) + 0.1 * cross_entropy(1 - sigmoid(logit)) for logit in REAL],
        [cross_entropy(1 - sigmoid(logit)) for logit in GENERATED],
        [cross_entropy(sigmoid(logit)) for logit in GENERATED],
    ),
    "probability": (
        [cross_entropy(sigmoid(logit)) for logit in REAL],
        [cross_entropy(1 - sigmoid(logit)) for logit in GENERATED],
        [-sigmoid(logit) for logit in GENERATED],
    ),
    "centred-probability": (
        [cross_entropy(sigmoid(logit)) for logit in REAL],
        [cross_entropy(1 - sigmoid(logit)) for logit in GENERATED],
        [1 - 2 * sigmoid(logit) for logit in GENERATED],
    ),
    "reverse-kl": (
        [cross_entropy(sigmoid(logit)) for logit in REAL],
        [cross_entropy(1 - sigmoid(logit)) for logit in GENERATED],
        [math.log((1 - sigmoid(logit)) / sigmoid(logit)) for logit in GENERATED],
    ),
    "forward-kl": (
        [cross_entropy(sigmoid(logit)) for logit in REAL],
        [cross_entropy(1 - sigmoid(logit)) for logit in GENERATED],
        [-sigmoid(logit) / (1 - sigmoid(logit)) for logit in GENERATED],
    ),
    "hinge": ([1.0, 0.0, 2.0], [1.0, 0.0, 1.5], [0.0, 3.0, -0.5]),
    "least-squares": ([0.5, 0.5, 2.0], [0.0, 4.5, 0.125], [0.5, 8.0, 0.125]),
    "wasserstein": ([0.0, -2.0, 1.0], [0.0, -3.0, 0.5], [0.0, 3.0, -0.5]),
    "relativistic": (
        [cross_entropy(sigmoid(difference)) / 2 for difference in (0.0, 5.0, -1.5)],
        [cross_entropy(sigmoid(difference)) / 2 for difference in (0.0, 5.0, -1.5)],
        [cross_entropy(sigmoid(difference)) for difference in (0.0, -5.0, 1.5)],
    ),
}


@pytest.mark.parametrize("name", WORKED)
def test_the_cost_of_each_logit_by_hand(name: str) -> None:
    loss, real, generated = LOSSES[name], torch.tensor(REAL), torch.tensor(GENERATED)
    found = (*loss.discriminator(real, generated), loss.generator(generated, real))
    for costs, expected in zip(found, WORKED[name], strict=True):
        assert costs.tolist() == pytest.approx(expected, abs=1e-6)


@every_loss
def test_logits_per_position_have_the_costs_of_single_logits(loss: Loss) -> None:
    real, generated = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0)).unbind()
    flat = loss.discriminator(real.flatten(), generated.flatten())
    for costs, alone in zip(loss.discriminator(real, generated), flat, strict=True):
        assert costs.shape == (4, 3)
        assert costs.flatten().equal(alone)
    assert loss.generator(generated, real).flatten().equal(loss.generator(generated.flatten(), real.flatten()))


@every_loss
def test_gradients_agree_with_finite_differences(loss: Loss) -> None:
    """At logits away from the kinks of the hinge, 1 and -1."""
    real = torch.tensor([0.3, 2.0, -1.4, 0.9], dtype=torch.float64, requires_grad=True)
    generated = torch.tensor([-0.2, 1.7, -2.5, -0.9], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(loss.discriminator, (real, generated))
    assert torch.autograd.gradcheck(lambda logits: loss.generator(logits, real.detach()), (generated,))


@every_loss
def test_discriminator_and_generator_have_opposite_gradients(loss: Loss) -> None:
    """All logits are between 0 and 1: between the labels of least squares and within the margins of the hinge."""
    real, generated = (torch.linspace(0.1, 0.9, 5).requires_grad_() for _ in range(2))
    cost = sum(part.sum() for part in loss.discriminator(real, generated))
    for_real, for_generated = torch.autograd.grad(cost, (real, generated))  # type: ignore[arg-type]
    (for_generator,) = torch.autograd.grad(loss.generator(generated, real.detach()).sum(), generated)
    assert (for_real < 0).all()
    assert (for_generated > 0).all()
    assert (for_generator < 0).all()


@every_loss
@pytest.mark.parametrize("size", [1e3, -1e3])
def test_costs_and_gradients_of_large_logits_are_finite(loss: Loss, size: float) -> None:
    real, generated = torch.tensor([size], requires_grad=True), torch.tensor([-size], requires_grad=True)
    for cost in (*loss.discriminator(real, generated), loss.generator(generated, real)):
        assert cost.isfinite()
        assert all(part is None or part.isfinite() for part in gradients(cost, real, generated))


def gradients(cost: Tensor, *inputs: Tensor) -> Any:
    return torch.autograd.grad(cost.sum(), inputs, allow_unused=True, retain_graph=True)


@pytest.mark.parametrize(("name", "value"), [("non-saturating", 2 * math.log(2)), ("relativistic", math.log(2))])
def test_the_loss_of_equal_logits(name: str, value: float) -> None:
    """All logits are zero: 2 log 2 as in Goodfellow et al. 2014, theorem 1; log 2 for each pair."""
    zero = torch.zeros(5)
    real, generated = LOSSES[name].discriminator(zero, zero)
    assert (real.mean() + generated.mean()).item() == pytest.approx(value)
    assert LOSSES[name].generator(zero, zero).mean().item() == pytest.approx(math.log(2))


@pytest.mark.parametrize(
    ("name", "optimum"),
    [
        ("non-saturating", math.log(0.6 / 0.2)),
        ("probability", math.log(0.6 / 0.2)),
        ("centred-probability", math.log(0.6 / 0.2)),
        ("reverse-kl", math.log(0.6 / 0.2)),
        ("forward-kl", math.log(0.6 / 0.2)),
        ("smoothed", math.log(0.9 * 0.6 / (0.2 + 0.1 * 0.6))),
        ("least-squares", 0.6 / (0.6 + 0.2)),
        ("hinge", 1.0),
    ],
)
def test_the_optimal_logit_for_given_frequencies(name: str, optimum: float) -> None:
    """Real p = 0.6, generated q = 0.2. The optimum is log(p/q), the smoothed log(p/q), p/(p+q) or sign(p-q)."""
    logits = torch.linspace(-3, 3, 6001, dtype=torch.float64)
    real, generated = LOSSES[name].discriminator(logits, logits)
    best = logits[(0.6 * real + 0.2 * generated).argmin()].item()
    assert best == pytest.approx(optimum, abs=1e-3)


@every_loss
def test_the_threshold_is_the_best_logit_of_a_text_that_is_as_likely_real_as_generated(loss: Loss) -> None:
    if loss.threshold is None:
        assert isinstance(loss, Wasserstein | Relativistic)
        return
    logits = torch.tensor([loss.threshold, *torch.linspace(-3, 3, 601).tolist()], dtype=torch.float64)
    costs = sum(loss.discriminator(logits, logits))
    assert costs[0] <= costs.min() + 1e-6  # type: ignore[index, union-attr]


def test_the_reverse_kl_cost_is_the_reverse_kl_at_the_optimal_discriminator() -> None:
    real, generated = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.3, 0.3, 0.4])
    cost = LOSSES["reverse-kl"].generator((real / generated).log(), real)
    divergence = 0.3 * math.log(0.3 / 0.7) + 0.3 * math.log(0.3 / 0.2) + 0.4 * math.log(0.4 / 0.1)
    assert (generated * cost).sum().item() == pytest.approx(divergence)


def test_the_forward_kl_cost_has_the_gradient_of_the_forward_kl_at_the_optimal_discriminator() -> None:
    """The gradient of E_q[cost] with the cost held fixed is that of -E_p[log q] = KL(p || q) + constant."""
    real = torch.tensor([0.7, 0.2, 0.1])
    logits = torch.tensor([0.3, -0.2, 0.5], requires_grad=True)
    own = logits.log_softmax(dim=0)
    cost = LOSSES["forward-kl"].generator(real.log() - own, real).detach()
    (found,) = torch.autograd.grad((own.exp() * cost).sum(), logits, retain_graph=True)
    (wanted,) = torch.autograd.grad(-(real * own).sum(), logits)
    assert found.tolist() == pytest.approx(wanted.tolist(), abs=1e-6)


def test_the_forward_kl_cost_is_bounded() -> None:
    cost = LOSSES["forward-kl"].generator(torch.tensor([LARGEST_LOGIT - 1, LARGEST_LOGIT, LARGEST_LOGIT + 50]), None)
    assert cost.tolist() == pytest.approx([-math.exp(7), -math.exp(8), -math.exp(8)])


@pytest.mark.parametrize("name", ["centred-probability", "reverse-kl", "hinge", "wasserstein"])
def test_a_verdict_of_chance_costs_nothing(name: str) -> None:
    assert not LOSSES[name].generator(torch.zeros(5), torch.zeros(5)).any()


def test_hinge_costs_nothing_beyond_the_margins() -> None:
    real, generated = LOSSES["hinge"].discriminator(torch.tensor([1.0, 5.0]), torch.tensor([-1.0, -5.0]))
    assert [*real.tolist(), *generated.tolist()] == [0, 0, 0, 0]


@pytest.mark.parametrize("name", ["wasserstein", "relativistic"])
def test_a_common_shift_of_all_logits_changes_nothing(name: str) -> None:
    def total(shift: float) -> float:
        costs = LOSSES[name].discriminator(torch.tensor(REAL) + shift, torch.tensor(GENERATED) + shift)
        return sum(cost.mean().item() for cost in costs)

    assert total(7.0) == pytest.approx(total(0.0), abs=1e-6)


def test_only_the_relativistic_loss_compares_pairs() -> None:
    assert [name for name, loss in LOSSES.items() if loss.paired] == ["relativistic"]
