"""What is promised of adversarial losses."""

import torch
from torch import Tensor

from ganlm_core.protocol import Loss
from ganlm_core.testing.case import Case
from ganlm_core.testing.kinds import build
from ganlm_core.testing.networks import close

ROWS, LENGTH = 4, 3
FAR = 1e4
"""A logit beyond which exp() overflows, in float32 and float64."""


def check_shapes(case: Case) -> None:
    """A cost for each logit: (B,) per sequence, and (B, T) per position unless the loss is paired."""
    loss: Loss = build(case)
    for shape in [(ROWS,)] if loss.paired else [(ROWS,), (ROWS, LENGTH)]:
        real, generated = _logits(shape)
        pair = loss.discriminator(real, generated)
        case.expect(
            isinstance(pair, tuple) and len(pair) == 2,
            f"gives {type(pair).__name__} as discriminator(); wanted two costs, of real logits and of generated ones",
        )
        for cost in _costs(loss, real, generated):
            case.expect(cost.shape == shape, f"gives costs {tuple(cost.shape)} for logits {shape}; take no mean")


def check_elementwise(case: Case) -> None:
    """What a logit costs depends on no other logit of its kind."""
    loss: Loss = build(case)
    real, generated = _logits((ROWS,))
    costs = _costs(loss, real, generated)
    changed_real, changed_generated = real.clone(), generated.clone()
    changed_real[0] += 1
    changed_generated[0] += 1
    for before, after in zip(costs, _costs(loss, changed_real, changed_generated), strict=True):
        case.expect(close(before[1:], after[1:]), "mixes the logits of a batch; keep costs elementwise, one for each")


def check_direction(case: Case) -> None:
    """Higher logits of real data please the discriminator, of generated data the generator."""
    loss: Loss = build(case)
    low, high = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    case.expect(
        sum(loss.discriminator(high, low)) < sum(loss.discriminator(low, high)),
        "lets the discriminator pay more for telling real from generated; the higher a logit, the more real",
    )
    case.expect(
        loss.generator(high, low) < loss.generator(low, low),
        "lets the generator pay more for a higher logit; the higher a logit, the more real",
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
        case.expect(finite, f"gives NaN or infinity for logits of {FAR:g}; write it with softplus or logsigmoid")


def check_finite_differences(case: Case) -> None:
    """The gradients of the costs are those of finite differences."""
    loss: Loss = build(case)
    real, generated = (logits.requires_grad_() for logits in _logits((ROWS,)))
    try:
        torch.autograd.gradcheck(lambda real, generated: _costs(loss, real, generated), (real, generated))
    except RuntimeError as error:
        first = str(error).splitlines()[0]
        raise AssertionError(
            f"{case} has gradients that are not those of its costs ({first}); mend its backward, detach nothing"
        ) from error


def _logits(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    return torch.randn(shape, dtype=torch.float64), torch.randn(shape, dtype=torch.float64)


def _costs(loss: Loss, real: Tensor, generated: Tensor) -> tuple[Tensor, ...]:
    return (*loss.discriminator(real, generated), loss.generator(generated, real))


FIRST = (check_shapes,)
CHECKS = (check_elementwise, check_direction, check_finite, check_finite_differences)
