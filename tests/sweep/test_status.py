"""The progress of runs, read from another shell."""

import os
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from ganlm_core.sweep.job import Attempt, Job
from ganlm_core.sweep.status import State, SweepStates, duration, failures, state_of, summary, time_left
from ganlm_core.system.files import write_json
from ganlm_core.system.lock import locked
from ganlm_core.training.run_folder import RunFolder
from tests.sweep.runs import finish, sweep


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (found,) = sweep(tmp_path / "s", seed=[3]).jobs()
    return found


def begin(job: Job) -> RunFolder:
    folder = RunFolder(job.run)
    job.run.mkdir()
    (job.run / "config.toml").write_text(job.config.read_text())
    return folder


def test_a_run_waits_trains_and_finishes(job: Job) -> None:
    assert state_of(job) == State("run", "waiting", 0, 6)
    folder = begin(job)
    folder.metrics.append({"step": 4})
    write_json(job.attempt, asdict(Attempt("there", time.time() - 20, step=2)))
    with locked(job.run):
        state = state_of(job)
    assert (state.status, state.step, state.host) == ("training", 4, "there")
    assert state.seconds == pytest.approx(20, abs=5)  # two steps took 20 seconds, and two are left
    assert state_of(job).status == "interrupted"
    finish(folder, job.config.read_text())
    assert state_of(job) == State("run", "finished", 6, 6)


def test_a_run_on_a_host_without_a_sign_of_life_is_interrupted(job: Job) -> None:
    """The lock of another host cannot be asked. A run of this host may take long for a step."""
    folder = begin(job)
    folder.metrics.append({"step": 4})
    write_json(job.attempt, asdict(Attempt("there", time.time() - 20)))
    lock = job.run.with_name(f".{job.run.name}.lock")
    lock.write_text("process 7 on host there\n")
    assert state_of(job).status == "training"
    for path in (job.run, *job.run.iterdir()):
        os.utime(path, (time.time() - 720,) * 2)
    assert str(state_of(job)) == (
        "run: interrupted, 4 of 6 steps: process 7 on host there gave no sign of life for 12 min"
    )
    lock.unlink()
    with locked(job.run):
        os.utime(job.run, (0, 0))
        assert state_of(job).status == "training"


def test_the_time_left_is_not_told_from_the_first_steps(job: Job) -> None:
    job.config.write_text(job.config.read_text().replace("steps = 6", "steps = 600"))
    folder = begin(job)
    write_json(job.attempt, asdict(Attempt("there", time.time() - 20)))
    with locked(job.run):
        folder.metrics.append({"step": 30})
        assert state_of(job).seconds is None
        folder.metrics.append({"step": 40})
        assert state_of(job).seconds == pytest.approx(20 * 560 / 40, rel=0.3)


def test_a_run_that_has_only_made_its_folder_waits(job: Job) -> None:
    job.run.mkdir()
    assert state_of(job) == State("run", "waiting", 0, 6)


def test_a_configuration_is_read_again_only_when_it_changes(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = SweepStates([job])
    assert [state.steps for state in watched.look()] == [6]
    text = job.config.read_text()
    with monkeypatch.context() as patched:
        patched.setattr("ganlm_core.sweep.status.steps_of", None)
        assert [state.steps for state in watched.look()] == [6]
    job.config.write_text(text.replace("steps = 6", "steps = 8"))
    os.utime(job.config, ns=(0, 0))
    assert [state.steps for state in watched.look()] == [8]


def test_a_failure_is_told(job: Job) -> None:
    write_json(job.attempt, asdict(Attempt("there", 0.0, failure="no such thing")))
    assert str(state_of(job)) == "run: failed, 0 of 6 steps: no such thing"
    assert failures([state_of(job)]) == {"run": "no such thing"}


def test_finished_runs_are_not_read_again(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    finish(begin(job), job.config.read_text())
    watched = SweepStates([job])
    first = watched.look()
    monkeypatch.setattr("ganlm_core.sweep.status.state_of", None)
    assert watched.look() == first


def test_the_summary_counts_and_estimates() -> None:
    """Two runs make one step a second each; fourteen steps are left."""
    states = [
        State("a", "training", 5, 10, seconds=5.0),
        State("b", "training", 5, 10, seconds=5.0),
        State("c", "waiting", 0, 4),
        State("d", "finished", 10, 10),
    ]
    assert time_left(states) == 7
    assert summary(states) == "1 of 4 runs finished, 2 training, 1 waiting; about 7 s left"
    assert time_left(states[2:]) is None


@pytest.mark.parametrize(("seconds", "text"), [(40, "40 s"), (720, "12 min"), (12600, "3.5 h")])
def test_durations_are_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text
