"""One run of a sweep in its own process, on the machine of the caller. Every engine trains through this module."""

import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any, Protocol

from ganlm_core.bundle.manifest import is_run
from ganlm_core.config.run_config import parse_toml
from ganlm_core.errors import WeightsError
from ganlm_core.system.files import read_json, write_json, writing
from ganlm_core.system.lock import holder_of
from ganlm_core.training.run_folder import RunFolder

POLL = 0.2
"""Seconds between two checks of a process."""

PATIENCE = 120.0
"""Seconds without a sign of life after which the process that holds a run is taken for gone."""

KEPT = ("GANLM_CACHE", "GANLM_DISABLE_PLUGINS", "GANLM_PLUGINS", "GANLM_PLUGIN_TIMEOUT", "GANLM_STRICT_PLUGINS")
"""Variables that a run inherits; all other GANLM variables would override the plan."""

ERROR = "ganlm: error: "


@dataclass(frozen=True)
class Job:
    """A run to train: its folder, the file of its configuration, its log, the threads and the plugin files."""

    name: str
    run: Path
    config: Path
    log: Path
    threads: int = 1
    plugins: Sequence[str] = ()

    @property
    def prune(self) -> Path:
        """The file whose existence asks the run to save and stop, on any machine."""
        return self.log.with_suffix(".prune")

    @property
    def attempt(self) -> Path:
        """The file that tells who trains the run and how that ended."""
        return self.log.with_suffix(".json")


@dataclass(frozen=True)
class Attempt:
    """The last time that a run was started: where, when, from which step, and the error that ended it, if one did."""

    host: str
    began: float
    step: int = 0
    failure: str = ""

    @classmethod
    def read(cls, path: Path) -> "Attempt | None":
        """Return the attempt that :func:`train` wrote; None if there is none, or if another version wrote it."""
        try:
            return cls(**read_json(path))
        except (WeightsError, TypeError):
            return None


@dataclass(frozen=True)
class Trained:
    """A run folder and the outcome of its training. ``failure`` is the error line of a run that failed."""

    run: Path
    failure: str = ""
    interrupted: bool = False

    @property
    def evaluation(self) -> dict[str, Any]:
        return {} if self.failure else RunFolder(self.run).results()

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of training and evaluation, summed over cores. Raises KeyError for a run that failed."""
        return float(RunFolder(self.run).info()["cpu_seconds"])

    @property
    def config(self) -> str:
        """The text of its config.toml."""
        return RunFolder(self.run).config()

    @property
    def samples(self) -> list[str]:
        """The sentences of the last evaluation."""
        return RunFolder(self.run).last_samples()


class Stop(Protocol):
    """Asks runs to stop: ``level`` 0 to continue, 1 to save and stop, 2 to stop at once."""

    @property
    def level(self) -> int: ...


class Engine(Protocol):
    """Trains jobs somewhere. ``watch`` is called about once a second while it does."""

    def train(self, jobs: Sequence[Job], stop: Stop, watch: Callable[[], None]) -> list[Trained]:
        """Train all jobs and return their outcomes in the same order. A job that fails does not end the others."""
        ...


def train(job: Job, stop: Stop, surroundings: Mapping[str, str] | None = None) -> Trained:
    """Start, resume or skip a run, and wait until it ends.

    ``surroundings`` are more environment variables, such as the GPU. If another process holds the run, wait for it: a
    lost worker may still train.
    """
    _wait_until_free(job.run, stop)
    if stop.level:
        return Trained(job.run, "stopped before it began", interrupted=True)
    folder = RunFolder(job.run)
    if folder.is_finished:
        return Trained(job.run)
    known = is_run(job.run)
    rest = ["--resume", str(job.run)] if known else ["--config", str(job.config), "--out", str(job.run)]
    environment = environment_of(job.threads) | dict(surroundings or {})
    with writing(job.log):
        job.log.parent.mkdir(parents=True, exist_ok=True)
        write_json(job.attempt, asdict(Attempt(platform.node(), time.time(), last_step(folder))))
        with job.log.open("wb") as log:
            process = Popen(
                [*_command(job), "run", "--json", *rest],
                env=environment,
                stdin=DEVNULL,
                stdout=DEVNULL,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches it through this process alone
            )
    stopped = _wait(process, stop, job.prune)
    if process.returncode == 0:
        return Trained(job.run)
    lines = job.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    failure = (lines or [f"exit code {process.returncode}"])[-1].removeprefix(ERROR)
    return Trained(job.run, failure, interrupted=True) if stopped else _ended(job, failure)


def _command(job: Job) -> list[str]:
    words = [sys.executable, "-m", "ganlm_core"]
    return words + [word for file in job.plugins for word in ("--plugin", file)]


def environment_of(threads: int) -> dict[str, str]:
    """Return the environment of a run with so many threads, without settings that would override its plan."""
    found = {key: value for key, value in os.environ.items() if not key.startswith("GANLM_") or key in KEPT}
    return found | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))


def _wait(process: Popen[bytes], stop: Stop, prune: Path) -> bool:
    """Wait for a process; pass on what ``stop`` and the file ``prune`` ask for. Return whether it was asked to stop."""
    told = 0
    while process.poll() is None:
        if max(stop.level, int(prune.exists())) > told:
            told += 1
            process.send_signal(signal.SIGINT)
        time.sleep(POLL)
    return told > 0


def _ended(job: Job, failure: str) -> Trained:
    """Keep the error of a run in a file for other machines."""
    before = Attempt.read(job.attempt) or Attempt(platform.node(), time.time())
    write_json(job.attempt, asdict(before) | {"failure": failure})
    return Trained(job.run, failure)


def _wait_until_free(run: Path, stop: Stop) -> None:
    """Wait while another process has the run and writes to it.

    A host that is gone leaves its name in the lock; after PATIENCE the lock itself decides, when the run starts.
    """
    while run.is_dir() and not stop.level and holder_of(run) and silence(run) < PATIENCE:
        time.sleep(5 * POLL)


def silence(run: Path) -> float:
    """Return the seconds since a file of a run changed."""
    return time.time() - _last_sign(run)


def _last_sign(run: Path) -> float:
    """Return the time of the last change of a file of a run, 0 if there is none."""
    times = [0.0]
    for path in (run, *run.glob("*"), *run.glob("checkpoints/*")):
        with suppress(FileNotFoundError):  # another process renames and removes files
            times.append(path.stat().st_mtime)
    return max(times)


def last_step(folder: RunFolder) -> int:
    """Return the step of the last line in the metrics of a run; 0 for a run that has none."""
    try:
        return int((folder.metrics.last() or {"step": 0})["step"])
    except WeightsError:
        return 0


def steps_of(config: str, name: str) -> int:
    """Return the steps of a configuration in TOML."""
    return int(parse_toml(config, name)["training"]["steps"])
