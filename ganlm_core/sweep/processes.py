"""The engine for one machine: so many runs at once, which share its cores and its GPUs."""

import os
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue

from ganlm_core.errors import GanlmError
from ganlm_core.plugins.host import Host
from ganlm_core.sweep.folder import SweepFolder
from ganlm_core.sweep.job import Engine, Job, Stop, Trained, train
from ganlm_core.sweep.plan import Plan
from ganlm_core.system.signals import caught_signals

WATCH = 1.0
"""Seconds between two calls of ``watch``."""


@dataclass
class StopLevel:
    """A Stop whose level this process sets."""

    level: int = 0


@dataclass(frozen=True)
class Processes:
    """Trains ``jobs`` runs at once, in all calls together; each gets one of ``gpus``, by turns, if there are any."""

    jobs: int = 1
    gpus: Sequence[str] = field(default_factory=tuple)
    _free: "Queue[str]" = field(default_factory=Queue, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for place in range(self.jobs):
            self._free.put(self.gpus[place % len(self.gpus)] if self.gpus else "")

    def train(self, jobs: Sequence[Job], stop: Stop, watch: Callable[[], None]) -> list[Trained]:
        """Train all jobs and return their outcomes in the same order."""
        with ThreadPoolExecutor(self.jobs) as pool:
            futures = [pool.submit(_on_a_gpu, job, stop, self._free) for job in jobs]
            follow(futures, watch)
            return [future.result() for future in futures]


def _on_a_gpu(job: Job, stop: Stop, free: "Queue[str]") -> Trained:
    gpu = free.get()
    try:
        return train(job, stop, {"CUDA_VISIBLE_DEVICES": gpu} if gpu else {})
    except GanlmError as error:  # such as a full disk, which must not end the other runs
        return Trained(job.run, str(error))
    finally:
        free.put(gpu)


def follow(futures: Sequence["Future[Trained]"], watch: Callable[[], None]) -> None:
    """Call ``watch`` until all futures are done."""
    while wait_for(futures, timeout=WATCH).not_done:
        watch()
    watch()


def train_all(engine: Engine, jobs: Sequence[Job], watch: Callable[[], None] = lambda: None) -> list[Trained]:
    """Train all jobs with an engine. At the first signal all runs save and stop, at the second they stop at once."""
    asked = StopLevel()

    def stop() -> None:
        asked.level = 1

    with caught_signals(stop), ThreadPoolExecutor(1) as pool:
        future = pool.submit(engine.train, jobs, asked, watch)
        while not future.done():
            try:
                wait_for([future], timeout=WATCH)
            except KeyboardInterrupt:
                asked.level = 2
        return future.result()


def run_plan(
    plan: Plan, host: Host, folder: Path, engine: Engine, watch: Callable[[], None] = lambda: None
) -> list[Trained]:
    """Write the plan into the folder of a sweep and train its runs. Raises as :meth:`SweepFolder.write`."""
    sweep = SweepFolder(folder)
    sweep.write(plan, host)
    return train_all(engine, sweep.jobs([run.name for run in plan.runs]), watch)


def cores() -> int:
    """Return the cores that this process may use."""
    with suppress(AttributeError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def gpus() -> list[str]:
    """Return the GPUs that runs may use, as CUDA_VISIBLE_DEVICES names them. Without torch, which takes seconds."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [word for word in visible.split(",") if word.strip() and word != "-1"]
    with suppress(OSError, subprocess.SubprocessError):
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=10, check=True)
        return [str(place) for place, line in enumerate(listed.stdout.splitlines()) if line.startswith("GPU ")]
    return []
