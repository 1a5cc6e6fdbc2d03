"""Checks of adversarial losses."""

import torch
from torch import Tensor

from ganlm_core.protocol import Loss
from ganlm_core.testing.case import Case
from ganlm_core.testing.kinds import build
from ganlm_core.testing.networks import close
from ganlm_core.training.checks import problem_with_costs

ROWS, LENGTH = 4, 3
FAR = 1e4
"""A logit at which exp() overflows in float32 and float64."""


def check_shapes(case: Case) -> None:
    """Every logit gets a cost of its type with a gradient: (B,), and (B, T) per position unless the loss is paired."""
    loss: Loss = build(case)
    for shape in [(ROWS,)] if loss.paired else [(ROWS,), (ROWS, LENGTH)]:
        problem = problem_with_costs(loss, *_logits(shape))
        case.expect(not problem, problem)


def check_elementwise(case: Case) -> None:
    """The cost of a logit does not depend on other rows."""
    loss: Loss = build(case)
    real, generated = _logits((ROWS,))
    costs = _costs(loss, real, generated)
    changed_real, changed_generated = real.clone(), generated.clone()
    changed_real[0] += 1
    changed_generated[0] += 1
    for before, after in zip(costs, _costs(loss, changed_real, changed_generated), strict=True):
        case.expect(close(before[1:], after[1:]), "mixes the logits of a batch; compute each cost from its own logit")


def check_direction(case: Case) -> None:
    """Costs fall with higher logits of real data (discriminator) and of generated data (generator)."""
    loss: Loss = build(case)
    low, high = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    case.expect(
        sum(loss.discriminator(high, low)) < sum(loss.discriminator(low, high)),
        "gives the discriminator a higher cost for separating real from generated; a higher logit means more real",
    )
    case.expect(
        loss.generator(high, low) < loss.generator(low, low),
        "gives the generator a higher cost for a higher logit; a higher logit means more real",
    )


def check_finite(case: Case) -> None:
    """Costs and their gradients are finite for logits of any size."""
    loss: Loss = build(case)
    for one, other in ((FAR, -FAR), (-FAR, FAR)):
        real, generated = (torch.full((ROWS,), value, requires_grad=True) for value in (one, other))
        costs = _costs(loss, real, generated)
        found = torch.autograd.grad(
            torch.stack([cost.sum() for cost in costs]).sum(), (real, generated), allow_unused=True
        )
        finite = all(part.isfinite().all() for part in (*costs, *found) if part is not None)
        case.expect(finite, f"gives NaN or infinity for logits of {FAR:g}; use softplus or logsigmoid")


def check_finite_differences(case: Case) -> None:
    """The gradients of the costs agree with finite differences."""
    loss: Loss = build(case)
    real, generated = (logits.requires_grad_() for logits in _logits((ROWS,)))
    try:
        torch.autograd.gradcheck(lambda real, generated: _costs(loss, real, generated), (real, generated))
    except RuntimeError as error:
        first = str(error).splitlines()[0]
        raise case.failed(
            f"has gradients that differ from finite differences ({first}); correct its backward, detach nothing"
        ) from error


def _logits(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    return torch.randn(shape, dtype=torch.float64), torch.randn(shape, dtype=torch.float64)


def _costs(loss: Loss, real: Tensor, generated: Tensor) -> tuple[Tensor, ...]:
    return (*loss.discriminator(real, generated), loss.generator(generated, real))


FIRST = (check_shapes,)
CHECKS = (check_elementwise, check_direction, check_finite, check_finite_differences)
