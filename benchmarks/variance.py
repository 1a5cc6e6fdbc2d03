"""Measure the variance and the time of score functions, for the networks of one bundle, which stay as they are.

    python benchmarks/variance.py zoo:lstm-lstm.scratchgan-grammar

The variance is the trace of the covariance of the generator's gradient, as a multiple of the first row's. An estimator
that takes twice the time must have half the variance to be worth it: the last column is the product of both. Further
rows are named with the options of their estimator: ``--add "two samples=reinforce samples=2"``.
"""

import sys
import time
from collections.abc import Mapping

import click
import torch
from torch import Tensor

from ganlm_core import load, make_config
from ganlm_core.algorithms.losses import ReverseKL
from ganlm_core.algorithms.options import NonSaturatingOptions
from ganlm_core.bundle.model import Model
from ganlm_core.cli import run_command
from ganlm_core.evaluation.tables import Table
from ganlm_core.plugins.host import Host, default_host
from ganlm_core.protocol import PAD, Batch, Estimator

ROWS = {
    "no baseline": "reinforce baseline=none",
    "moving average": "reinforce baseline=moving-average",
    "leave one out": "reinforce",
    "same length": "reinforce baseline=same-length",
    "learned": "reinforce baseline=learned decay=0.98",
    "stratified, moving average": "reinforce baseline=moving-average stratified=true",
    "stratified, learned": "reinforce baseline=learned decay=0.98 stratified=true",
    "16 rollouts": "rollout",
}

LEARNING = 50
"""Estimates before those that count, in which a baseline learns."""


@click.command(context_settings={"show_default": True})
@click.argument("bundle")
@click.option("--add", multiple=True, metavar="NAME=ESTIMATOR [OPTION=VALUE]...", help="further rows")
@click.option("--batch-size", default=64, help="noise vectors of each estimate")
@click.option("--repeats", default=300, help="estimates of each row")
@click.option("--seed", default=0)
def main(bundle: str, add: tuple[str, ...], batch_size: int, repeats: int, seed: int) -> None:
    """Print the variance and the time of each estimator."""
    torch.set_num_threads(1)
    host, model = default_host(), load(bundle)
    rows = ROWS | dict(each.split("=", 1) for each in add)
    found: dict[str, tuple[float, float]] = {}
    for name, estimator in rows.items():
        torch.manual_seed(seed)
        found[name] = measure(model, built(host, estimator), batch_size, repeats)
    (first, seconds), *_ = found.values()
    cells = [
        [name, f"{variance / first:.2f}", f"{time / seconds:.2f}", f"{variance / first * time / seconds:.2f}"]
        for name, (variance, time) in found.items()
    ]
    click.echo(Table(["estimator", "variance", "time", "product"], cells).markdown())


def built(host: Host, text: str) -> Estimator:
    """Return the estimator of a row: its name, and OPTION=VALUE for each option."""
    name, *settings = text.split()
    options: Mapping[str, str] = dict(each.split("=", 1) for each in settings)
    chosen = make_config("lstm", "lstm", estimator=name, estimator_options=options, host=host).estimator
    estimator: Estimator = host.build("estimator", chosen.name, chosen.options)
    return estimator


def measure(model: Model, estimator: Estimator, batch_size: int, repeats: int) -> tuple[float, float]:
    """Return the variance of an estimate of the gradient, summed over the weights, and the CPU seconds of one."""
    generator, discriminator, loss = model.generator, model.discriminator, ReverseKL(NonSaturatingOptions())
    assert discriminator is not None
    weights = list(generator.requires_grad_().parameters())
    nothing = torch.full((batch_size, generator.shape.length), PAD)

    def cost(sequence: Tensor, mask: Tensor) -> Tensor:
        logits = discriminator(sequence, mask)
        return loss.generator(discriminator.per_sequence(logits, mask), logits)

    total, squares, started = torch.zeros(()), torch.zeros(()), 0.0
    for repeat in range(LEARNING + repeats):
        if repeat == LEARNING:
            started = time.process_time()
        batch = Batch(nothing, nothing != PAD, torch.randn(batch_size, generator.shape.noise))
        found = torch.autograd.grad(estimator(generator, batch, cost), weights)
        gradient = torch.cat([each.flatten() for each in found]).double()
        if repeat >= LEARNING:
            total, squares = total + gradient, squares + gradient.square().sum()
    variance = (squares / repeats - (total / repeats).square().sum()) * repeats / (repeats - 1)
    return float(variance), (time.process_time() - started) / repeats


if __name__ == "__main__":
    sys.exit(run_command(main))
