"""Measure the speed at the sizes of papers and write ``docs/performance.md``.

    OMP_NUM_THREADS=1 python benchmarks/speed.py

takes minutes, most of them for the textbook's ways, and needs an otherwise idle machine. ``ganlm bench`` measures the
same works. ``--device cuda`` measures them on a GPU and writes ``docs/performance-cuda.md``.
"""

import platform
import sys
from pathlib import Path

import click
import jinja2
import torch

from ganlm_core.cli import run_command
from ganlm_core.cli.bench import HEADER, cells
from ganlm_core.cli.bench.measuring import Growth, grow, loop_overhead, measure, spending
from ganlm_core.cli.bench.workloads import GOALS, OVERHEAD, Sizes
from ganlm_core.evaluation.figures import Curve, Figure, svg
from ganlm_core.system.threads import wait_briefly

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "performance.md"
FIGURE = ROOT / "docs" / "performance.svg"
KEPT = "## The LSTM of the default run\n"
"""The first heading of the page that the script leaves as it is: what follows was measured by hand."""

CUDA_PAGE = ROOT / "docs" / "performance-cuda.md"

STEP, LSTM, _, TRANSFORMER, MLP, *_ = GOALS
SMALL = Sizes(length=10, rollouts=2, long=64)
"""The other sizes while one of them grows."""

GROWTHS = (
    Growth(LSTM, "length", (10, 20, 40, 80), order=1),
    Growth(LSTM, "batch", (32, 64, 128, 256), order=1),
    Growth(LSTM, "vocabulary", (2500, 5000, 10_000, 20_000), order=1),
    Growth(TRANSFORMER, "long", (32, 64, 128, 256), order=2),
    Growth(MLP, "batch", (32, 64, 128, 256), order=1),
    Growth(STEP, "rollouts", (2, 4, 8, 16), order=1),
    Growth(STEP, "length", (10, 20, 40), order=2),
)


@click.command(context_settings={"show_default": True})
@click.option("--rounds", type=click.IntRange(1), default=3, help="rounds in which both ways take turns")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", help="device to measure")
def main(rounds: int, device: str) -> None:
    """Measure, then write the page and its figure."""
    wait_briefly()
    if device == "cuda":
        _on_cuda(rounds)
        return
    found = [measure(goal, Sizes(), rounds) for goal in GOALS]
    overhead = loop_overhead(steps=200)
    spent = spending(steps=500)
    growths = [grow(growth, SMALL) for growth in GROWTHS]
    FIGURE.write_text(svg(_figure(growths)))
    page = _template("speed.md.j2").render(
        machine=_machine(),
        sizes=Sizes(),
        rounds=rounds,
        header=HEADER,
        rows=[cells(each) for each in found],
        found=found,
        overhead=overhead,
        overhead_goal=OVERHEAD,
        spent=spent[:12],
        growths=growths,
    )
    old = PAGE.read_text()
    PAGE.write_text(page + old[old.index(KEPT) :])


def _on_cuda(rounds: int) -> None:
    if not torch.cuda.is_available():
        click.echo("there is no CUDA device here, so nothing was measured on one; skipped", err=True)
        return
    found = [measure(goal, Sizes(), rounds, "cuda") for goal in GOALS]
    machine = f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    rows = [cells(each) for each in found]
    CUDA_PAGE.write_text(
        _template("speed-cuda.md.j2").render(machine=machine, rounds=rounds, header=HEADER, rows=rows, found=found)
    )


def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(Path(__file__).with_name(name).read_text())


def _figure(growths: list[Growth]) -> Figure:
    return Figure(
        "cost against size",
        "size, as a multiple of the smallest",
        "time, as a multiple",
        [
            Curve(
                f"{each.goal.title}: {each.size} ({each.exponent:.2f})",
                [value / each.values[0] for value in each.values],
                [taken / each.seconds[0] for taken in each.seconds],
            )
            for each in growths
        ],
        logarithmic=True,
    )


def _machine() -> str:
    """Return the name of the processor, its instruction set, the version of torch and the number of threads."""
    names = [line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    simd, threads = torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()
    return f"{name} with {simd}, torch {torch.__version__}, {threads} thread{'s' if threads > 1 else ''}"


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


if __name__ == "__main__":
    sys.exit(run_command(main))
