"""The fixture of tests/sweep/runs.py for all tests of sweeps."""

from tests.sweep.runs import pretended

__all__ = ["pretended"]
