"""The engine of this machine: outcomes in order, failures that stop nothing, GPUs by turns, signals, equal bytes."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ganlm_core.cli import main
from ganlm_core.plugins.host import default_host
from ganlm_core.sweep import processes
from ganlm_core.sweep.folder import SweepFolder
from ganlm_core.sweep.job import Job, Stop, Trained
from ganlm_core.sweep.processes import Processes, gpus, run_plan, train_all
from tests.conftest import files_of
from tests.sweep.runs import FLAGS, Pretended, StopLevel, sweep, tiny_plan


def test_a_failed_run_does_not_stop_the_others(tmp_path: Path, pretended: Pretended) -> None:
    plan = tiny_plan(variants={"one": {"seed": 1}, "bad": {"seed": 2}, "three": {"seed": 3}})
    looks: list[int] = []
    done = run_plan(plan, default_host(), tmp_path / "s", Processes(2), lambda: looks.append(1))
    assert [(each.run.name, each.failure) for each in done] == [("one", ""), ("bad", "no such thing"), ("three", "")]
    assert looks


def test_gpus_are_shared_out(tmp_path: Path, pretended: Pretended) -> None:
    run_plan(tiny_plan(seed=[1, 2, 3]), default_host(), tmp_path / "s", Processes(1, ["4"]))
    assert {each["CUDA_VISIBLE_DEVICES"] for each in pretended.environments} == {"4"}


def test_calls_at_the_same_time_share_the_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search trains each trial by a call of its own."""
    engine, jobs = Processes(2, ["4", "5"]), sweep(tmp_path / "s", seed=[1, 2]).jobs()
    together, places = threading.Barrier(2, timeout=30), []

    def train(job: Job, stop: Stop, surroundings: dict[str, str]) -> Trained:
        places.append(surroundings["CUDA_VISIBLE_DEVICES"])
        together.wait()
        return Trained(job.run)

    monkeypatch.setattr(processes, "train", train)
    threads = [threading.Thread(target=engine.train, args=([job], StopLevel(), lambda: None)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(places) == ["4", "5"]


def test_visible_gpus_come_from_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,2")
    assert gpus() == ["0", "2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert gpus() == []


def test_a_signal_stops_all_runs_and_those_that_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = f"import signal, sys, time\nsignal.signal({signal.SIGINT:d}, lambda *_: sys.exit(130))\ntime.sleep(60)"
    popen, started = subprocess.Popen, threading.Event()

    def start(words: list[str], **given: object) -> "subprocess.Popen[bytes]":
        process = popen([sys.executable, "-c", program], **given)  # type: ignore[call-overload]
        threading.Timer(1.5, started.set).start()
        return process  # type: ignore[no-any-return]

    def interrupt() -> None:
        started.wait()
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("ganlm_core.sweep.job.Popen", start)
    threading.Thread(target=interrupt).start()
    began = time.monotonic()
    done = train_all(Processes(1), sweep(tmp_path / "s", seed=[1, 2]).jobs())
    assert [each.interrupted for each in done] == [True, True]
    assert time.monotonic() - began < 50


def test_a_run_in_a_sweep_has_the_bytes_of_the_run_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The threads of the plan are those of this process, see conftest.py."""
    (done,) = run_plan(tiny_plan(seed=[5]), default_host(), tmp_path / "s", Processes())
    assert done.failure == ""
    monkeypatch.chdir(tmp_path)
    assert main(["run", *FLAGS, "--seed", "5", "--out", "alone"]) == 0
    assert files_of(done.run) == files_of(tmp_path / "alone")
    assert SweepFolder(tmp_path / "s").plan(default_host()).threads == 1


def test_cores_are_those_that_the_process_may_use() -> None:
    assert 1 <= processes.cores() <= (os.cpu_count() or 1)
