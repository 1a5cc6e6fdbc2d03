"""Errors that mean a lack of memory: Python, numpy and torch each raise their own."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from ganlm_core.system.memory import lacks_memory

NO_MACHINE = 2**62


@pytest.mark.parametrize(
    "ask",
    [
        lambda: bytearray(NO_MACHINE),
        lambda: np.zeros(NO_MACHINE // 8),
        lambda: np.zeros(10 * NO_MACHINE),
        lambda: torch.empty(2**45),
        lambda: torch.empty(NO_MACHINE, 32),
        lambda: torch.empty(4 * NO_MACHINE),
    ],
)
def test_what_no_machine_can_hold_is_a_lack_of_memory(ask: Callable[[], object]) -> None:
    with pytest.raises(Exception) as caught:
        ask()
    assert lacks_memory(caught.value)


class Silent(RuntimeError):
    def __str__(self) -> str:
        raise SystemExit(0)


def test_other_errors_are_none() -> None:
    assert not lacks_memory(Silent())
    assert not lacks_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)"))
    assert not lacks_memory(ValueError("could not convert string to float: 'a'"))
