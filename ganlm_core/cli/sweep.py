"""Train several runs, each in its own process, for ``ganlm matrix`` and the benchmarks."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganlm_core.cli.context import current_host
from ganlm_core.cli.output import note
from ganlm_core.cli.run import configuration
from ganlm_core.config.run_config import difference
from ganlm_core.errors import UsageError
from ganlm_core.system.files import read_json
from ganlm_core.training.run_folder import RunFolder


@dataclass(frozen=True)
class Trained:
    """A run folder and the outcome of its training. ``failure`` is the error line of a run that failed."""

    run: Path
    failure: str = ""

    @property
    def evaluation(self) -> dict[str, Any]:
        return {} if self.failure else read_json(self.run / "bundle" / "evaluation.json")

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


def train_all(
    runs: Mapping[Path, Sequence[str]], jobs: int, before: Sequence[str] = (), threads: int | None = None
) -> list[Trained]:
    """Train the runs that are not finished, ``jobs`` at once. ``runs`` has the arguments of ``ganlm run`` by folder.

    Each process uses ``threads`` threads, on which its bytes depend; by default ``OMP_NUM_THREADS``, or an equal share
    of the cores. A finished run is not trained again, and an interrupted one is resumed. ``before`` are arguments
    before ``run``, such as ``--plugin FILE``. Raises UsageError, before anything is trained, if a folder has a run of
    another configuration, because its numbers would be reported for the requested one.
    """
    for run, arguments in runs.items():
        if run.is_dir():
            _refuse_another(run, arguments)
    environment = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // jobs)), **os.environ}
    if threads is not None:
        environment |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(lambda run: _train(run, [*before, "run", "--json"], runs[run], environment), runs))


def _refuse_another(run: Path, arguments: Sequence[str]) -> None:
    changes = difference(RunFolder.open(run).load_config(current_host()), configuration(arguments))
    if changes:
        raise UsageError(
            f"the run in {run} has another configuration ({', '.join(changes)}); "
            "choose another --out, or give the options that it was started with"
        )


def _train(run: Path, command: Sequence[str], arguments: Sequence[str], environment: Mapping[str, str]) -> Trained:
    if (run / "bundle").is_dir():
        return Trained(run)
    rest = ["--resume", str(run)] if run.is_dir() else ["--out", str(run), *arguments]
    note(f"training {run}")
    words = [sys.executable, "-m", "ganlm_core", *command, *rest]
    done = subprocess.run(words, env=dict(environment), capture_output=True, text=True)
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return Trained(run, "" if done.returncode == 0 else lines[-1].removeprefix("ganlm: error: "))
