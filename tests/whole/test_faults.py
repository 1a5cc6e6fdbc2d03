"""Runs that are disturbed at a file operation or killed at a moment: benchmarks/faults.py and kills.py in small.

The scripts run in processes of their own, because they fork.
"""

import os
import subprocess
import sys

import pytest

from tests.environments import ROOT

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="fork and SIGKILL are POSIX's")


def script(name: str, *arguments: object) -> str:
    command = [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), *map(str, arguments)]
    done = subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_run_is_disturbed_at_some_of_its_file_operations_and_recovered() -> None:
    """A seeded part of all: the script without --count disturbs at each."""
    first, last = script("faults", "--count", 9, "--seed", 3).splitlines()
    assert int(first.split()[0]) > 300, "file operations"
    assert last == "9 cases, 0 failures"


def test_a_run_is_killed_at_some_moments_and_recovered() -> None:
    (last,) = script("kills", "--count", 4, "--seed", 3).splitlines()
    assert last.startswith("4 runs killed, ")
    assert last.endswith(" ended before, 0 failures")
