"""Checks of penalties."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ganlm_core.protocol import Discriminator, Penalty, Sequences, Shape, mask_of
from ganlm_core.testing import references
from ganlm_core.testing.case import Case, Skipped
from ganlm_core.testing.gradients import same, slopes
from ganlm_core.testing.kinds import build
from ganlm_core.testing.networks import close
from ganlm_core.testing.references import DISCRIMINATORS, SHAPE, one_hot

ROWS = 4


def check_scalar(case: Case) -> None:
    """The value is a finite scalar of at least 0 for every kind of discriminator, and depends on the seed alone."""
    penalty: Penalty = build(case)
    for kind in DISCRIMINATORS:
        discriminator, real, generated = _arguments(kind)
        value, again = (case.scalar(_value(penalty, discriminator, real, generated)) for _ in range(2))
        case.expect(value.isfinite() and value >= 0, f"is {value.item():g}; wanted a finite number of at least 0")
        case.expect(close(value, again), "has another value with the same seed; use torch's random state only")


def check_interval(case: Case) -> None:
    """``interval`` is an integer of at least 0, and 0 only for a penalty that is always zero."""
    penalty: Penalty = build(case)
    case.expect(
        isinstance(penalty.interval, int) and penalty.interval >= 0,
        f"has an interval of {penalty.interval!r}; wanted a whole number of steps, or 0 for never",
    )
    if penalty.interval == 0:
        discriminator, real, generated = _arguments(DISCRIMINATORS[0])
        value = _value(penalty, discriminator, real, generated)
        case.expect(value == 0, "has an interval of 0, so it is never computed, and is not zero; give it an interval")


def check_slope(case: Case) -> None:
    """Its gradient for the discriminator agrees with finite differences."""
    penalty: Penalty = build(case)
    if penalty.interval == 0:
        raise Skipped("it is never computed")
    discriminator, real, generated = _arguments(DISCRIMINATORS[0])
    value = _value(penalty, discriminator, real, generated)
    case.expect(value.requires_grad, "gives the discriminator no gradient; use create_graph=True and detach nothing")
    slope, expected = slopes(lambda: _value(penalty, discriminator, real, generated), list(discriminator.parameters()))
    case.expect(
        same(slope, expected),
        f"has a slope of {slope:.6g}, by finite differences {expected:.6g}; use create_graph=True and detach nothing",
    )


def check_padding(case: Case) -> None:
    """Padding has no effect."""
    penalty: Penalty = build(case)
    discriminator, real, generated = _arguments(DISCRIMINATORS[0])

    def with_other_padding(sequences: Sequences) -> Sequences:
        others = torch.where(sequences.mask[..., None], sequences.sequence, references.soft(ROWS))
        return replace(sequences, sequence=others)

    before = _value(penalty, discriminator, real, generated)
    after = _value(penalty, discriminator, with_other_padding(real), with_other_padding(generated))
    case.expect(close(before, after), "changes with the padding; apply the mask")


def _arguments(kind: Callable[[Shape], Discriminator]) -> tuple[Discriminator, Sequences, Sequences]:
    """Return a discriminator, and real and generated one-hots of the same lengths."""
    discriminator = kind(SHAPE).double()
    pair = []
    for _ in range(2):
        tokens = references.tokens(ROWS)
        pair.append(Sequences(one_hot(tokens), mask_of(tokens)))
    return discriminator, pair[0], pair[1]


def _value(penalty: Penalty, discriminator: Discriminator, real: Sequences, generated: Sequences) -> Tensor:
    torch.manual_seed(3)
    return penalty(discriminator, real, generated)


FIRST = (check_scalar,)
CHECKS = (check_interval, check_slope, check_padding)
