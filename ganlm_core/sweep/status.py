"""The progress of each run of a sweep, read from its folder: from any shell or machine that has the disk."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ganlm_core.bundle.manifest import RUN_CONFIG, is_run
from ganlm_core.errors import GanlmError
from ganlm_core.sweep.folder import SweepFolder
from ganlm_core.sweep.job import PATIENCE, Attempt, Job, last_step, silence, steps_of
from ganlm_core.system.files import read_text
from ganlm_core.system.lock import holder_of, is_here
from ganlm_core.training.run_folder import RunFolder

STATES = ("finished", "training", "interrupted", "failed", "waiting")
"""The states of a run in a sweep, in the order in which they are counted."""

SOON = 0.05
"""After this share of its steps, the time that a run needs is estimated."""


@dataclass(frozen=True)
class State:
    """The progress of a run. ``seconds`` is the time that it still needs; None if that is not known.

    ``failure`` is the error of a run that failed, or why a run on another host counts as interrupted.
    """

    name: str
    status: str
    step: int
    steps: int
    host: str = ""
    seconds: float | None = None
    failure: str = ""

    def __str__(self) -> str:
        where = f" on {self.host}" if self.host and self.status == "training" else ""
        left = f", about {duration(self.seconds)} left" if self.seconds is not None else ""
        steps = f" {self.step:,} of {self.steps:,} steps" if self.status != "waiting" else f" {self.steps:,} steps"
        return f"{self.name}: {self.status}{where},{steps}{left}" + (f": {self.failure}" if self.failure else "")

    def to_dict(self) -> dict[str, Any]:
        return vars(self).copy()


@dataclass
class SweepStates:
    """The states of a sweep's jobs, read again at each look; finished runs are not read twice."""

    jobs: Sequence[Job]
    _done: dict[str, State] = field(default_factory=dict)

    @classmethod
    def of(cls, sweep: SweepFolder) -> "SweepStates":
        return cls(sweep.jobs())

    def look(self) -> list[State]:
        """Return the state of each run."""
        states = [self._done.get(job.name) or state_of(job) for job in self.jobs]
        self._done |= {state.name: state for state in states if state.status == "finished"}
        return states


def state_of(job: Job) -> State:
    """Return the progress of a run."""
    steps = _steps(job)
    folder, attempt = RunFolder(job.run), Attempt.read(job.attempt)
    failure = attempt.failure if attempt else ""
    if not is_run(job.run):  # a run that starts makes its folder, locks it, and writes this file
        return State(job.name, "failed" if failure else "waiting", 0, steps, failure=failure)
    if folder.is_finished:
        return State(job.name, "finished", steps, steps)
    step = last_step(folder)
    if holder := holder_of(job.run):
        host, silent = attempt.host if attempt else "", silence(job.run)
        if is_here(holder) or silent < PATIENCE:
            return State(job.name, "training", step, steps, host, _seconds_left(attempt, step, steps))
        failure = f"{holder} gave no sign of life for {duration(silent)}"
        return State(job.name, "interrupted", step, steps, host, failure=failure)
    return State(job.name, "failed" if failure else "interrupted", step, steps, failure=failure)


def summary(states: Sequence[State]) -> str:
    """Return a line on the whole sweep: ``3 of 9 runs finished, 2 training, 4 waiting; about 5 min left``."""
    count = Counter(state.status for state in states)
    others = "".join(f", {count[status]} {status}" for status in STATES[1:] if count[status])
    left = time_left(states)
    return f"{count['finished']} of {len(states)} runs finished{others}" + (
        f"; about {duration(left)} left" if left else ""
    )


def time_left(states: Sequence[State]) -> float | None:
    """Return the seconds that the sweep needs: the remaining steps at the speed of the runs that train now."""
    training = [state for state in states if state.status == "training" and state.seconds is not None]
    speed = sum((state.steps - state.step) / state.seconds for state in training if state.seconds)
    remaining = sum(state.steps - state.step for state in states if state.status in ("training", "waiting"))
    return remaining / speed if speed else None


def duration(seconds: float) -> str:
    """Return a time in words: ``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def failures(states: Sequence[State]) -> Mapping[str, str]:
    """Return the error of each run that failed, by name."""
    return {state.name: state.failure for state in states if state.status == "failed"}


def _steps(job: Job) -> int:
    """Return the steps that are planned for a run; a run that was given more has its own."""
    for file in (job.run / RUN_CONFIG, job.config):
        with suppress(GanlmError, OSError, KeyError, ValueError):
            return _steps_in(file, file.stat().st_mtime_ns)
    return 0


@cache
def _steps_in(file: Path, changed: int) -> int:
    """Return the steps in a file. It is cached, because reading the files of all runs each time is slow."""
    return steps_of(read_text(file), str(file))


def _seconds_left(attempt: Attempt | None, step: int, steps: int) -> float | None:
    """Return the seconds that a run needs at its speed so far; None while most of its time was its start."""
    if attempt is None or step - attempt.step <= SOON * (steps - attempt.step):
        return None
    return (time.time() - attempt.began) / (step - attempt.step) * (steps - step)
