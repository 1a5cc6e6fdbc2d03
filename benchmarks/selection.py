"""Measure the gain of selecting with the discriminator on the grammar, at equal diversity; write ``docs/sampling.md``.

    python benchmarks/selection.py

trains the pairs that are not yet in the folder of runs. A temperature below 1 is the cheap way to more grammatical
sentences, so each method is compared with the temperature whose samples are equally diverse.
"""

import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from math import inf
from pathlib import Path

import click
import jinja2
import numpy as np

from ganlm_core import load
from ganlm_core.bundle import stream
from ganlm_core.bundle.model import Model
from ganlm_core.bundle.select import SELECTIONS, Tally
from ganlm_core.cli import run_command
from ganlm_core.data.grammar import Grammar
from ganlm_core.data.text import identity
from ganlm_core.plugins.host import default_host
from ganlm_core.sweep.plan import named_plan
from ganlm_core.sweep.processes import Processes, run_plan
from ganlm_core.system.devices import machine

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "sampling.md"

PAIRS = {
    "mlp-conv": "--gen mlp --disc conv --evaluation-samples 5000",
    "lstm-lstm": "--gen lstm --disc lstm --disc.blur 0 --algorithm.warmup 0.35 --algorithm.discriminator-warmup 0.649",
    "lstm-conv": "--gen lstm --disc conv --evaluation-samples 5000",
}
"""The arguments of ``ganlm run``, by the names of the networks. The first and the last are those of the zoo."""

TEMPERATURES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)
SEED = 1
"""The seed of the samples; it differs from the seed of the run's own evaluation."""

Values = dict[str, float]


@dataclass(frozen=True)
class Comparison:
    """One pair of the page: table cells by temperature and by method."""

    command: str
    accuracy: float
    curve: Mapping[str, Sequence[str]]
    rows: Mapping[str, Sequence[str]]


@click.command(context_settings={"show_default": True})
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/selection"), help="folder of the runs")
@click.option("-n", "count", default=5000, help="sentences in each row")
@click.option("--candidates", default=16, help="candidates per sentence")
def main(out: Path, count: int, candidates: int) -> None:
    """Train the pairs, select with their discriminators, and write the page."""
    host = default_host()
    plan = named_plan(host, {name: shlex.split(arguments) for name, arguments in PAIRS.items()})
    trained = run_plan(plan, host, out, Processes())
    comparisons = {}
    for (name, arguments), run in zip(PAIRS.items(), trained, strict=True):
        if run.failure:
            raise click.ClickException(f"{name} failed: {run.failure}")
        comparisons[name] = compare(load(run.run), f"ganlm run {arguments}", count, candidates)
        click.echo(f"{name} {comparisons[name]}", err=True)
    PAGE.write_text(page(comparisons, count, candidates))


def compare(model: Model, command: str, count: int, candidates: int) -> Comparison:
    """Measure a pair at each temperature and with each selection method."""
    curve = {f"temperature {t}": measure(model.sample(count, seed=SEED, temperature=t)) for t in TEMPERATURES}
    rows = {}
    for name, selection in SELECTIONS.items():
        tally = Tally()
        batches = stream.select(model, selection, candidates, tally, SEED)
        values = measure(islice(chain.from_iterable(batch.texts for batch in batches), count))
        rows[name] = compared(values, tally, at_diversity(curve, values["distinct"]))
    return Comparison(command, accuracy(model), {title: cells(values) for title, values in curve.items()}, rows)


def measure(texts: Iterable[str]) -> Values:
    """Return the share of grammatical sentences, their exact NLL in nats, and the share of different sentences."""
    texts = list(texts)
    possible = [score for score in Grammar().log_prob(texts) if score > -inf]
    return {
        "valid": len(possible) / len(texts),
        "process_nll": -sum(possible) / len(possible),
        "distinct": len(set(map(identity, texts))) / len(texts),
    }


def at_diversity(curve: Mapping[str, Values], distinct: float) -> Values | None:
    """Interpolate between the measured temperatures to equally diverse sentences; None outside of their range."""
    points = sorted(curve.values(), key=lambda values: values["distinct"])
    places = [values["distinct"] for values in points]
    if not places[0] <= distinct <= places[-1]:
        return None
    keys = ("valid", "process_nll")
    return {key: float(np.interp(distinct, places, [values[key] for values in points])) for key in keys}


def accuracy(model: Model) -> float:
    """Return the accuracy of the calibrated discriminator on 2,000 fresh real and 2,000 generated sentences."""
    real, generated = Grammar().sample(2000, 2**33), model.sample(2000, seed=SEED)
    right = [p > 0.5 for p in model.probability(real)] + [p < 0.5 for p in model.probability(generated)]
    return sum(right) / len(right)


def page(comparisons: Mapping[str, Comparison], count: int, candidates: int) -> str:
    """Return the page."""
    grammar = Grammar()
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(Path(__file__).with_suffix(".md.j2").read_text()).render(
        comparisons=comparisons,
        count=count,
        candidates=candidates,
        entropy=grammar.entropy(),
        machine=machine(),
        perfect=cells(measure(grammar.sample(count, 2**33))),
    )


def cells(values: Values) -> list[str]:
    return [f"{values['valid']:.1%}", f"{values['process_nll']:.2f}", f"{values['distinct']:.1%}"]


def compared(values: Values, tally: Tally, tempered: Values | None) -> list[str]:
    """Return the cells of a method: its sentences, its candidates, and the equally diverse temperature."""
    other = [f"{tempered['valid']:.1%}", f"{tempered['process_nll']:.2f}"] if tempered else ["-", "-"]
    return [*cells(values), f"{tally.acceptance:.1%}", f"{tally.effective:.1%}", *other]


if __name__ == "__main__":
    sys.exit(run_command(main))
