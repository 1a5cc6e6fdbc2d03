"""Measure training phases on a GPU: precisions, CUDA graphs, and the largest batches that fit. Prints Markdown.

    python benchmarks/gpu.py

stops beginning new rows after ``--seconds``, so that a lent machine is given back in time. ``benchmarks/gpu.sh`` runs
it after ``benchmarks/speed.py``.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import click
import torch

from ganlm_core.algorithms.adversarial import discriminator_loss, generator_loss
from ganlm_core.algorithms.mle import negative_log_likelihood
from ganlm_core.cli import run_command
from ganlm_core.cli.bench.limits import count_products, matrix_rate, operations, seconds
from ganlm_core.cli.bench.workloads import make_batch, make_parts
from ganlm_core.protocol import Parts, Phase, Shape
from ganlm_core.system.devices import arithmetic, keep_memory
from ganlm_core.training.compilation import as_graphs, as_it_is

HEADER = ["networks", "batch", "precision", "graphs", "phase", "ms", "tokens/s", "share of the rate", "memory"]


@dataclass(frozen=True)
class Case:
    """A generator against the text CNN, its sizes, and the number of sequences in a batch."""

    generator: str
    options: dict[str, Any]
    shape: Shape
    batch: int

    @property
    def title(self) -> str:
        return (
            f"{self.generator} {self.options.get('hidden_size', '')}, V {self.shape.vocabulary}, T {self.shape.length}"
        )


CASES = (
    Case("lstm", {"hidden_size": 128}, Shape(200, 20, 32), 64),
    Case("lstm", {"hidden_size": 1024, "embedding_size": 512}, Shape(20_000, 40, 0), 256),
    Case("transformer", {"hidden_size": 512, "heads": 8, "layers": 6}, Shape(20_000, 128, 0), 64),
)
SMALL = Case("lstm", {"hidden_size": 8}, Shape(30, 5, 0), 4)


@click.command(context_settings={"show_default": True})
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cuda", help="device to measure")
@click.option("--seconds", "limit", type=float, default=200, help="begin no new row after this time")
@click.option("--small", is_flag=True, help="check the script with tiny networks")
def main(device: str, limit: float, small: bool) -> None:
    """Print the tables."""
    if device == "cuda" and not torch.cuda.is_available():
        click.echo("there is no CUDA device here, so nothing was measured on one; skipped", err=True)
        return
    end = time.monotonic() + limit
    if device == "cuda":
        torch.set_default_device(device)
    keep_memory()
    rate = matrix_rate()
    click.echo(f"\n## Phases of training\n\n| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}")
    for case in [SMALL] if small else CASES:
        for precision in ["float32", "tf32", "bf16"] if device == "cuda" else ["float32"]:
            for graphs in [False, True] if device == "cuda" else [False]:
                if time.monotonic() < end:
                    show(rows(case, precision, graphs, rate))
    click.echo("\n## Largest batches of maximum likelihood\n\n| networks | largest batch |\n|---|---|")
    for case in [SMALL] if small else CASES:
        if time.monotonic() < end:
            click.echo(f"| {case.title} | {largest(case, end, 64 if small else 2**20)} |")


def show(found: Iterator[list[str]]) -> None:
    for row in found:
        click.echo(f"| {' | '.join(row)} |")


def rows(case: Case, precision: str, graphs: bool, rate: float) -> Iterator[list[str]]:
    """Yield a row for each phase: its time with the backward pass, and the share of the rate of a large product."""
    parts, batch = networks(case), make_batch(case.shape, case.batch)
    if graphs:
        parts.generator.compile()
        parts.discriminator.compile()
    tokens = case.batch * case.shape.length
    for phase in phases(parts):
        work = step(parts, phase, batch, precision, graphs)
        count = operations(count_products(work)) if not graphs and precision == "float32" else 0
        taken = statistics.median(seconds(work, at_least=0.3) for _ in range(3))
        share = f"{count / taken / rate:.0%}" if count else "-"
        memory = f"{torch.cuda.max_memory_allocated() / 2**20:.0f} MB" if torch.cuda.is_available() else "-"
        sizes = [case.title, str(case.batch), precision, "on" if graphs else "off", phase.name]
        yield [*sizes, f"{1000 * taken:.2f}", f"{tokens / taken:,.0f}", share, memory]


def networks(case: Case) -> Parts:
    return make_parts("autoregressive", case.shape, generator=case.generator, generator_options=case.options)[0]


def phases(parts: Parts) -> list[Phase]:
    losses = {"mle": lambda batch: negative_log_likelihood(parts.generator, batch)}
    losses |= {"discriminator": lambda batch: discriminator_loss(parts, batch)}
    losses |= {"generator": lambda batch: generator_loss(parts, batch)}
    return [Phase(name, "discriminator" if name == "discriminator" else "generator", losses[name]) for name in losses]


def step(parts: Parts, phase: Phase, batch: Any, precision: str, graphs: bool) -> Callable[[], None]:
    """Return a function that computes the gradients of a phase."""
    moved = parts.discriminator if phase.network == "discriminator" else parts.generator
    parameters = [each for each in moved.parameters() if each.numel()]
    prepared = (as_graphs(()) if graphs else as_it_is)(phase)
    context = arithmetic(batch.tokens.device, precision)

    def gradients() -> None:
        with context:
            loss = prepared(batch)
        torch.autograd.grad(loss, parameters, allow_unused=True)

    gradients()
    return gradients


def largest(case: Case, end: float, most: int) -> int:
    """Return the largest power of two that is a batch size of maximum likelihood without running out of memory."""
    fits = 0
    parts, rows = networks(case), case.batch
    while rows <= most and time.monotonic() < end:
        try:
            step(parts, phases(parts)[0], make_batch(case.shape, rows), "float32", graphs=False)
        except torch.OutOfMemoryError:
            break
        fits, rows = rows, 2 * rows
    return fits


if __name__ == "__main__":
    sys.exit(run_command(main))
