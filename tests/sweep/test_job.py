"""One run of a sweep: how it is started, resumed, skipped, stopped, and how its failure is kept."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ganlm_core.errors import WriteError
from ganlm_core.sweep import job
from ganlm_core.sweep.job import Attempt, Job, environment_of, last_step, train
from ganlm_core.system.lock import locked
from ganlm_core.training.run_folder import RunFolder
from tests.sweep.runs import Pretended, StopLevel, finish, sweep


@pytest.fixture
def only(tmp_path: Path) -> Job:
    (found,) = sweep(tmp_path / "s", seed=[3]).jobs()
    return found


def test_a_new_run_starts_from_its_configuration(only: Job, pretended: Pretended) -> None:
    assert train(only, StopLevel()).failure == ""
    assert pretended.words == [["run", "--json", "--config", str(only.config), "--out", str(only.run)]]
    assert train(only, StopLevel()) == job.Trained(only.run)
    assert len(pretended.words) == 1  # it is finished


def test_an_interrupted_run_is_resumed(only: Job, pretended: Pretended) -> None:
    only.run.mkdir()
    (only.run / "config.toml").write_text(only.config.read_text())
    train(only, StopLevel())
    assert pretended.words == [["run", "--json", "--resume", str(only.run)]]


def test_plugin_files_come_before_the_command(only: Job, pretended: Pretended) -> None:
    train(Job(only.name, only.run, only.config, only.log, 2, ("p.py",)), StopLevel(), {"CUDA_VISIBLE_DEVICES": "1"})
    assert pretended.words[0][:3] == ["--plugin", "p.py", "run"]
    (environment,) = pretended.environments
    assert (environment["OMP_NUM_THREADS"], environment["CUDA_VISIBLE_DEVICES"]) == ("2", "1")


def test_no_variable_overrides_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GANLM_STEPS", "GANLM_OUT", "GANLM_PLUGINS", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "7")
    found = environment_of(3)
    assert {"GANLM_STEPS", "GANLM_OUT"}.isdisjoint(found)
    assert (found["GANLM_PLUGINS"], found["OMP_NUM_THREADS"], found["MKL_NUM_THREADS"]) == ("7", "3", "3")


def test_the_error_of_a_run_is_kept_for_other_machines(tmp_path: Path, pretended: Pretended) -> None:
    (failing,) = sweep(tmp_path / "s", variants={"bad": {"seed": 1}, "good": {"seed": 2}}).jobs(["bad"])
    assert train(failing, StopLevel()).failure == "no such thing"
    attempt = Attempt.read(failing.attempt)
    assert attempt is not None and attempt.failure == "no such thing"


def test_nothing_starts_on_a_full_disk(only: Job, pretended: Pretended, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, value: object) -> None:
        raise WriteError(f"cannot write {path}: No space left on device")

    monkeypatch.setattr(job, "write_json", fail)
    with pytest.raises(WriteError):
        train(only, StopLevel())
    assert pretended.words == []


def test_nothing_starts_after_a_stop(only: Job, pretended: Pretended) -> None:
    assert train(only, StopLevel(1)).interrupted
    assert pretended.words == []


def test_pruning_reaches_the_process_as_an_interrupt(only: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process tells by its exit code that it got SIGINT."""
    program = f"import signal, sys, time\nsignal.signal({signal.SIGINT:d}, lambda *_: sys.exit(130))\ntime.sleep(60)"
    popen = subprocess.Popen
    monkeypatch.setattr(job, "Popen", lambda words, **given: popen([sys.executable, "-c", program], **given))
    threading.Timer(1.5, only.prune.touch).start()  # by then it has set its handler
    done = train(only, StopLevel())
    assert done.interrupted and done.failure == "exit code 130"


def test_a_run_that_another_process_finishes_is_waited_for(
    only: Job, pretended: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was lost may train on; its run is not trained by two."""
    only.run.mkdir()
    waited: list[float] = []
    with locked(only.run):

        def sleep(seconds: float) -> None:
            waited.append(seconds)
            if len(waited) == 2:
                finish(RunFolder(only.run), only.config.read_text())
                monkeypatch.setattr(job, "holder_of", lambda run: "")

        monkeypatch.setattr(job.time, "sleep", sleep)
        assert train(only, StopLevel()) == job.Trained(only.run)
    assert len(waited) == 2 and pretended.words == []


def test_a_holder_without_a_sign_of_life_is_taken_for_gone(
    only: Job, pretended: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    only.run.mkdir()
    monkeypatch.setattr(job, "holder_of", lambda run: "process 1 on host elsewhere")
    monkeypatch.setattr(job, "_last_sign", lambda run: 0.0)
    assert train(only, StopLevel()).failure == ""
    assert len(pretended.words) == 1


def test_a_file_that_is_gone_when_its_time_is_read_is_no_sign(tmp_path: Path) -> None:
    """As the hidden name of a file that another process renames; a link to nothing has no time either."""
    run = tmp_path / "run"
    run.mkdir()
    (run / ".config.toml.partial").symlink_to("gone")
    os.utime(run, (5, 5))
    assert job._last_sign(run) == 5
    assert job._last_sign(tmp_path / "nowhere") == 0


def test_the_last_step_is_in_the_metrics(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert last_step(folder) == 0
    folder.metrics.append({"step": 3})
    folder.metrics.append({"step": 5})
    assert last_step(folder) == 5
