"""Disturb a small run at every file operation, then recover it: the bytes must be those of the undisturbed run.

    python benchmarks/faults.py            all operations, in three ways
    python benchmarks/faults.py --count 20 --seed 0

The run has everything that writes: checkpoints at every step, interim evaluations, a bundle before adversarial
training, a collapse with its rollback, early stopping, the final evaluation and a bundle of the best weights. It is
disturbed in one of the WAYS at its N-th operation on a file of its folder: opening, renaming, removing, making, fsync.
Then it is resumed or, where its start was cut short, started again; a start that was cut short is tried both ways.
"""

import errno
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ganlm_core.cli import main as ganlm
from ganlm_core.cli import run_command
from ganlm_core.metrics.judge import Values
from ganlm_core.training import monitor
from ganlm_core.training.run_folder import RunFolder
from ganlm_core.training.setup import Setup

WAYS = ("fail", "full", "kill")
"""The operation fails; this and all later ones fail; the process is killed before it."""

RUN = ["run", "--gen", "lstm", "--gen.hidden-size", "4", "--gen.embedding-size", "4", "--disc", "conv",
       "--disc.filters", "2", "--disc.embedding-size", "4", "--corpus.size", "150", "--steps", "7", "--batch-size", "4",
       "--noise-size", "2", "--device", "cpu", "--log-every", "1", "--evaluate-every", "2", "--checkpoint-every", "1",
       "--evaluation-samples", "4", "--algorithm.warmup", "0.3", "--algorithm.discriminator-warmup", "0.15",
       "--on-collapse", "rollback", "--keep", "best", "--patience", "1", "--json"]  # fmt: skip

EVENTS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.fsync")
"""Audit events of Python, and one of our own: fsync has none."""


@dataclass
class Disturbance:
    """Counts the operations on files below a folder, and disturbs at the N-th in one of the WAYS."""

    folder: Path
    at: int = 0
    way: str = ""
    seen: int = 0
    watching: bool = False

    def start(self) -> None:
        sync = os.fsync

        def fsync(descriptor: int) -> None:
            self.happened("os.fsync", (self.folder,))
            sync(descriptor)

        os.fsync = fsync  # type: ignore[assignment]
        sys.addaudithook(self.happened)
        self.watching = True

    def happened(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.watching or event not in EVENTS or not self._is_ours(arguments[0]):
            return
        self.seen += 1
        if self.seen == self.at and self.way == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.seen == self.at or (self.seen > self.at and self.way == "full"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _is_ours(self, path: Any) -> bool:
        """Whether a path is in the folder, or relative to a descriptor as ``shutil.rmtree`` gives it."""
        return isinstance(path, str | os.PathLike) and (
            not Path(path).is_absolute() or os.fspath(path).startswith(str(self.folder))
        )


def script_interims() -> None:
    """Make a run collapse at step 4 and get no better after step 2, as long as its weights are those of the first time.

    The first run in this process is the undisturbed one; the processes that are forked later know its weights.
    """
    interim, first = monitor.interim_evaluation, []

    def scripted(setup: Setup, step: int) -> tuple[Values, list[str]]:
        values, samples = interim(setup, step)
        values |= {"validation_nll": 1.0 if step == 2 else 2.0}
        if step == 4:
            first.append(values["entropy"])
            if values["entropy"] == first[0]:
                values |= {"distinct": 0.01, "entropy": 0.1}
        return values, samples

    monitor.interim_evaluation = scripted


def fork(work: Callable[[], int], log: Path) -> int:
    """Do some work in a process of its own, whose id is returned."""
    child = os.fork()
    if child == 0:
        code = 99
        with log.open("a") as file, redirect_stdout(file), redirect_stderr(file):
            code = work()
            file.flush()
        os._exit(code)
    return child


def wait(child: int) -> int:
    """Return the exit code of a process, or the negative number of the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def forked(work: Callable[[], int], log: Path) -> int:
    """Do some work in a process of its own; return its exit code."""
    return wait(fork(work, log))


def begin(run: Path) -> int:
    return ganlm([*RUN, "--out", str(run)])


def resume(run: Path) -> int:
    return ganlm(["run", "--resume", str(run), "--json"])


def files_of(run: Path) -> dict[str, bytes]:
    """Every file of a run but run.json, which tells its times."""
    files = (path for path in sorted(run.rglob("*")) if path.is_file() and path.name != "run.json")
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


def ways_to_recover(run: Path) -> Iterator[Callable[[Path], int]]:
    """Yield what the user may do with a run that was disturbed. Neither may send the user to the other."""
    has_config = (run / "config.toml").is_file()
    if has_config:
        yield resume
    if not has_config or RunFolder(run).is_starting:
        yield begin


def recovered(run: Path, wanted: dict[str, bytes], log: Path) -> str:
    """Recover copies of a run in all ways; return the first problem."""
    for number, recover in enumerate(ways_to_recover(run)):
        copy = run.parent / f"copy-{number}" / run.name
        if run.exists():
            shutil.copytree(run, copy)
        if code := forked(lambda copy=copy, recover=recover: recover(copy), log):  # type: ignore[misc]
            return f"{recover.__name__} ended with {code}: {log.read_text().splitlines()[-1:]}"
        if different := sorted(
            name for name in wanted | files_of(copy) if files_of(copy).get(name) != wanted.get(name)
        ):
            return f"{recover.__name__} gives other bytes: {', '.join(different)}"
        if left := [path.name for path in copy.parent.iterdir() if path != copy]:
            return f"{recover.__name__} leaves {', '.join(left)}"
    return ""


def undisturbed(folder: Path) -> tuple[dict[str, bytes], int]:
    """Run once in this process and once in another; return the bytes, and the number of file operations."""
    script_interims()
    log = folder / "log"
    with log.open("w") as file, redirect_stdout(file), redirect_stderr(file):
        assert begin(folder / "first" / "run") == 0
    wanted = files_of(folder / "first" / "run")
    place = folder / "counted"

    def count() -> int:
        disturbance = Disturbance(place)
        disturbance.start()
        code = begin(place / "run")
        disturbance.watching = False
        (folder / "count").write_text(str(disturbance.seen))
        return code

    assert forked(count, log) == 0, log.read_text()
    assert files_of(place / "run") == wanted
    return wanted, int((folder / "count").read_text())


def disturb(folder: Path, way: str, at: int, wanted: dict[str, bytes]) -> str:
    """Disturb a run in one way at one operation and recover it; return the problem, if there is one."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        run, log = Path(place) / "run", Path(place) / "log"
        (folder_of_run := Path(place) / "disturbed").mkdir()
        run = folder_of_run / "run"

        def disturbed() -> int:
            Disturbance(folder_of_run, at, way).start()
            return begin(run)

        code = forked(disturbed, log)
        text = log.read_text()
        if "Traceback" in text or "unexpected" in text:
            return f"ended with {code} and {text.splitlines()[-1:]}"
        return recovered(run, wanted, log)


@click.command()
@click.option("--count", default=0, help="cases to draw at random; 0: every operation in every way")
@click.option("--seed", default=0, help="random seed of the cases")
@click.option("--way", "ways", multiple=True, type=click.Choice(WAYS), default=WAYS, help="way to disturb")
def main(count: int, seed: int, ways: tuple[str, ...]) -> None:
    """Disturb a small run at its file operations and recover it."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        wanted, operations = undisturbed(folder)
        cases = [(way, at) for way in ways for at in range(1, operations + 1)]
        if count:
            cases = sorted(random.Random(seed).sample(cases, min(count, len(cases))))
        click.echo(f"{operations} file operations, {len(cases)} cases")
        failures = 0
        for way, at in cases:
            if problem := disturb(folder, way, at, wanted):
                failures += 1
                click.echo(f"{way} at operation {at}: {problem}")
        click.echo(f"{len(cases)} cases, {failures} failures")
    sys.exit(bool(failures))


if __name__ == "__main__":
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # its threads and forks do not go together
    sys.exit(run_command(main))
