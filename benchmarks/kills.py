"""Kill a small run at random moments, then resume it: the bytes must be those of the undisturbed run.

    python benchmarks/kills.py --count 200

It is the run of ``benchmarks/faults.py``. Each case has one SIGKILL, at a moment drawn evenly from the time that a run
takes. A run that was killed before its start was complete is started again, any other is resumed.
"""

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import click
from faults import begin, fork, recovered, undisturbed, wait

from ganlm_core.cli import run_command


def killed_after(seconds: float, run: Path, log: Path) -> int:
    """Start a run and kill it after some seconds; return how it ended: 0, if it was faster."""
    child = fork(lambda: begin(run), log)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return wait(child)


def seconds_of_a_run(folder: Path) -> float:
    start = time.monotonic()
    assert wait(fork(lambda: begin(folder / "timed" / "run"), folder / "log")) == 0
    return time.monotonic() - start


@click.command()
@click.option("--count", default=200, show_default=True, help="kills")
@click.option("--seed", default=0, help="random seed of the moments")
def main(count: int, seed: int) -> None:
    """Kill a small run at random moments and resume it."""
    rng, failures, killed, number = random.Random(seed), 0, 0, 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        wanted, _ = undisturbed(folder)
        longest = seconds_of_a_run(folder)
        while killed < count:
            number += 1
            case = folder / f"case-{number}"
            case.mkdir()
            killed += killed_after(rng.uniform(0.001, longest), case / "run", folder / "log") == -signal.SIGKILL
            if problem := recovered(case / "run", wanted, folder / "log"):
                failures += 1
                click.echo(f"kill {number}: {problem}")
            shutil.rmtree(case)
    click.echo(f"{killed} runs killed, {number - killed} ended before, {failures} failures")
    sys.exit(bool(failures))


if __name__ == "__main__":
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # its threads and forks do not go together
    sys.exit(run_command(main))
