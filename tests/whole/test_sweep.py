"""``ganlm sweep`` in a process of its own: stopped, resumed, and equal to runs that were never stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Ganlm, files_of
from tests.sweep.runs import FLAGS

WAIT = 120.0


@pytest.mark.slow
def test_a_sweep_that_is_stopped_and_resumed_gives_the_bytes_of_runs_alone(ganlm: Ganlm, tmp_path: Path) -> None:
    settings = [*FLAGS, "--checkpoint-every", "5", "--evaluate-every", "50"]
    settings[settings.index("--steps") + 1] = "200"
    command = [sys.executable, "-m", "ganlm_core", "sweep", "--seed", "0..2", *settings, "--folder", "s", "--jobs", "1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    metrics, ends = tmp_path / "s" / "seed0" / "metrics.jsonl", time.monotonic() + WAIT
    while not (metrics.exists() and metrics.stat().st_size):
        assert time.monotonic() < ends and process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=WAIT)
    assert process.returncode == 130
    assert err.splitlines()[-1].endswith("go on with: ganlm sweep --resume s")

    code, out, err = ganlm("sweep", "--resume", "s", "--format", "latex", "--jobs", "2")
    assert code == 0, err
    assert r"all runs & 3 & " in out and r"\bottomrule" in out
    assert ganlm("sweep", "--status", "s")[1].splitlines()[-1] == "3 of 3 runs finished"
    assert ganlm("run", *settings, "--seed", 0, "--out", "alone")[0] == 0
    assert files_of(tmp_path / "s" / "seed0") == files_of(tmp_path / "alone")
