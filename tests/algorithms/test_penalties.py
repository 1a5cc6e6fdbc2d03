"""Penalties on critics with known gradients, and the gradients of the penalties by finite differences."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from ganlm_core.algorithms.options import PenaltyOptions
from ganlm_core.algorithms.penalties import R1, R1R2, R2, WGANGP, NoPenalty, relaxed
from ganlm_core.components import NoOptions
from ganlm_core.protocol import Discriminator, Penalty, Sequences, Shape, mask_of
from tests.tiny import TinyDiscriminator

SHAPE = Shape(vocabulary=4, length=2, noise=0)
WEIGHTS = torch.tensor([[1.0, 2.0, 2.0, 4.0], [0.0, 0.0, 3.0, 4.0]])
"""The squared weights of each of the two positions sum to 25."""

ENDED, FULL = torch.tensor([[2, 0]]), torch.tensor([[3, 3]])
POINTS: dict[str, type[R1 | R2 | R1R2 | WGANGP]] = {"r1": R1, "r2": R2, "r1-r2": R1R2, "wgan-gp": WGANGP}


class Critic(Discriminator):
    """D = sum over the mask of w . x (linear), or of w . x^2 / 2 (quadratic). It keeps its inputs in ``seen``."""

    def __init__(self, power: int = 1, per_position: bool = False) -> None:
        super().__init__(SHAPE)
        self.per_position = per_position
        self.power = power
        self.weights = nn.Parameter(WEIGHTS.clone())
        self.seen: list[Sequences] = []

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        self.seen.append(Sequences(sequence, mask))
        scores = (self.weights * sequence**self.power / self.power).sum(dim=-1) * mask
        return scores if self.per_position else scores.sum(dim=1)


def hot(tokens: Tensor) -> Sequences:
    return Sequences(relaxed(tokens, SHAPE.vocabulary), mask_of(tokens))


def options(weight: float = 1.0) -> PenaltyOptions:
    return PenaltyOptions(weight=weight)


def value(penalty: Penalty, critic: Discriminator, real: Tensor, generated: Tensor) -> float:
    return penalty(critic, hot(real), hot(generated)).item()


def test_no_penalty_is_zero_and_has_interval_zero() -> None:
    penalty, critic = NoPenalty(NoOptions()), Critic()
    assert value(penalty, critic, FULL, ENDED) == 0
    assert penalty.interval == 0
    assert not critic.seen


@pytest.mark.parametrize(
    ("name", "real", "generated", "expected"),
    [
        ("r1", FULL, ENDED, 25.0),  # half of 25 + 25
        ("r1", ENDED, FULL, 12.5),  # the second position is padding
        ("r2", FULL, ENDED, 12.5),
        ("r2", ENDED, FULL, 25.0),
        ("r1-r2", ENDED, FULL, 37.5),
        ("r1", torch.cat([ENDED, FULL]), FULL, 18.75),  # the mean of two sequences
    ],
)
def test_r1_and_r2_of_a_linear_critic(name: str, real: Tensor, generated: Tensor, expected: float) -> None:
    """The gradient is w on the mask, for every sequence."""
    assert value(POINTS[name](options()), Critic(), real, generated) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("r1", (2.0**2) / 2), ("r2", (4.0**2 + 4.0**2) / 2), ("r1-r2", (2.0**2 + 4.0**2 + 4.0**2) / 2)],
)
def test_r1_and_r2_of_a_quadratic_critic(name: str, expected: float) -> None:
    """The gradient at one-hots is w at the words of the sequence, so real and generated data differ."""
    assert value(POINTS[name](options()), Critic(power=2), ENDED, FULL) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("real", "generated", "norm"), [(ENDED, ENDED, 5.0), (ENDED, FULL, 50**0.5), (FULL, ENDED, 50**0.5)]
)
def test_wgan_gp_of_a_linear_critic(real: Tensor, generated: Tensor, norm: float) -> None:
    """The norm of w over the union of both masks is pulled to 1."""
    assert value(WGANGP(options()), Critic(), real, generated) == pytest.approx((norm - 1) ** 2)


def test_wgan_gp_of_a_critic_with_gradient_norm_one_is_zero() -> None:
    critic = Critic()
    with torch.no_grad():
        critic.weights.mul_(0).add_(torch.tensor([[0.6, 0, 0, 0], [0, 0, 0, 0.8]]))
    assert value(WGANGP(options()), critic, FULL, FULL) == pytest.approx(0, abs=1e-9)


def test_wgan_gp_takes_one_uniform_point_between_each_generated_and_real_sequence() -> None:
    torch.manual_seed(0)
    critic, real, generated = Critic(), hot(FULL.repeat(500, 1)), hot(ENDED.repeat(500, 1))
    WGANGP(options())(critic, real, generated)
    (seen,) = critic.seen
    share = seen.sequence[:, 0, 3]  # a word that only the real sequences have there
    line = share[:, None, None] * real.sequence + (1 - share)[:, None, None] * generated.sequence
    torch.testing.assert_close(seen.sequence, line)
    assert seen.mask.all()
    # Uniform on [0, 1]: the mean of 500 is within 4.5 standard errors of one half.
    assert share.mean().item() == pytest.approx(0.5, abs=4.5 / (12 * 500) ** 0.5)
    assert 0 <= share.min() < 0.05
    assert 0.95 < share.max() <= 1


@pytest.mark.parametrize("name", POINTS)
def test_logits_per_position_are_averaged(name: str) -> None:
    """The mean over two positions has half the gradient of the sum."""
    whole, mean = (Critic(per_position=per_position) for per_position in (False, True))
    with torch.no_grad():
        mean.weights.mul_(2)
    penalty = POINTS[name](options())
    assert value(penalty, mean, FULL, FULL) == pytest.approx(value(penalty, whole, FULL, FULL))


@pytest.mark.parametrize("name", POINTS)
def test_the_penalty_is_proportional_to_its_weight(name: str) -> None:
    light, heavy = (value(POINTS[name](options(weight)), Critic(), ENDED, FULL) for weight in (1.0, 7.0))
    assert heavy == pytest.approx(7 * light)
    assert light > 0


@pytest.mark.parametrize("name", POINTS)
@pytest.mark.parametrize("per_position", [False, True])
def test_gradients_of_the_parameters_agree_with_finite_differences(name: str, per_position: bool) -> None:
    torch.manual_seed(0)
    discriminator = TinyDiscriminator(SHAPE, per_position=per_position).double()
    real, generated = (
        Sequences(torch.rand(3, 2, 4, dtype=torch.float64), torch.tensor([[True, True], [True, False], [True, True]]))
        for _ in range(2)
    )
    penalty = POINTS[name](options(weight=3.0))

    def penalised(score: Tensor) -> Tensor:
        torch.manual_seed(1)  # the same points between real and generated data in every evaluation
        return torch.func.functional_call(
            _Penalised(penalty, discriminator), {"discriminator.score": score}, (real, generated)
        )

    assert torch.autograd.gradcheck(penalised, (discriminator.score.detach().clone().requires_grad_(),))


class _Penalised(nn.Module):
    """A penalty as a function of its discriminator's parameters."""

    def __init__(self, penalty: Penalty, discriminator: Discriminator) -> None:
        super().__init__()
        self.penalty = penalty
        self.discriminator = discriminator

    def forward(self, real: Sequences, generated: Sequences) -> Tensor:
        return self.penalty(self.discriminator, real, generated)


@pytest.mark.parametrize("name", POINTS)
def test_the_penalty_has_no_gradient_for_the_generated_sequences(name: str) -> None:
    discriminator = TinyDiscriminator(SHAPE)
    real, generated = hot(FULL), hot(ENDED)
    made = replace(generated, sequence=generated.sequence.requires_grad_())
    penalty = POINTS[name](options())(discriminator, real, made)
    penalty.backward()
    assert generated.sequence.grad is None
    assert discriminator.score.grad is not None
    assert discriminator.score.grad.any()


def test_relaxed_turns_ids_into_one_hots_and_keeps_relaxed_input() -> None:
    soft = torch.rand(1, 2, 4)
    assert relaxed(torch.tensor([[3, 0]]), 4).tolist() == [[[0, 0, 0, 1], [1, 0, 0, 0]]]
    assert relaxed(soft, 4) is soft
