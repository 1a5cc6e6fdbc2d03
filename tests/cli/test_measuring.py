"""Measurements of the benchmark, in processes of their own."""

import os

import pytest

from ganlm_core.cli.bench import measuring
from ganlm_core.cli.bench.measuring import Growth
from ganlm_core.cli.bench.workloads import GOALS
from ganlm_core.system.threads import BRIEFLY


def test_the_exponent_is_the_slope_of_the_upper_half() -> None:
    growth = Growth(GOALS[0], "length", (1, 2, 4, 8), order=2, seconds=(9.0, 4.0, 16.0, 64.0))
    assert growth.exponent == pytest.approx(2)


def test_threads_of_the_textbook_wait_as_in_any_program(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in BRIEFLY.items():
        monkeypatch.setenv(name, value)
    for way, expected in ((measuring.OURS, list(BRIEFLY.values())), (measuring.HAND, [None, None])):
        with measuring._worker(way=way) as call:
            assert [call(os.getenv, name) for name in BRIEFLY] == expected
    assert BRIEFLY.items() <= os.environ.items()
