"""What selecting with the discriminator gains on the grammar, at equal diversity, as ``docs/sampling.md``.

    python benchmarks/selection.py

trains one pair, whose discriminator has most of the steps to itself, unless it is in the folder of runs already. A
temperature below 1 is the cheap way to more grammatical sentences; each method is compared with the temperature whose
samples are as diverse.
"""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from math import inf
from pathlib import Path
from typing import Any

import click
import jinja2
import numpy as np

from ganlm_core import load, stream
from ganlm_core.cli.sweep import train_all
from ganlm_core.corpora.grammar import Grammar
from ganlm_core.model import Model
from ganlm_core.selection import SELECTIONS, Tally

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "sampling.md"

ARGUMENTS = shlex.split(
    "--gen lstm --disc lstm --disc.blur 0 --algorithm.warmup 0.35 --algorithm.discriminator-warmup 0.649"
)
TEMPERATURES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)
SEED = 1
"""Not that of the sentences that the run's own evaluation drew."""

Values = dict[str, float]


@click.command(context_settings={"show_default": True})
@click.option("--run", type=click.Path(path_type=Path), default=Path("runs/selection"), help="folder of the run")
@click.option("-n", "count", default=5000, help="sentences of each row")
@click.option("--candidates", default=16, help="of how many one is selected")
def main(run: Path, count: int, candidates: int) -> None:
    (trained,) = train_all({run: ARGUMENTS}, jobs=1)
    if trained.failure:
        raise click.ClickException(trained.failure)
    model = load(run)
    curve = {f"temperature {t}": measure(model.sample(count, SEED, temperature=t)) for t in TEMPERATURES}
    rows, tallies = {}, {}
    for name, selection in SELECTIONS.items():
        tallies[name] = Tally()
        batches = stream.select(model, selection, candidates, tallies[name], SEED)
        rows[name] = measure(islice(chain.from_iterable(batch.texts for batch in batches), count))
        click.echo(f"{name} {rows[name]}", err=True)
    PAGE.write_text(page(model, count, candidates, curve, rows, tallies))


def measure(texts: Iterable[str]) -> Values:
    """The share of grammatical sentences, their exact NLL in nats, and the share of different sentences."""
    texts = list(texts)
    possible = [score for score in Grammar().log_prob(texts) if score > -inf]
    return {
        "valid": len(possible) / len(texts),
        "process_nll": -sum(possible) / len(possible),
        "distinct": len(set(texts)) / len(texts),
    }


def at_diversity(curve: Mapping[str, Values], distinct: float) -> Values | None:
    """What the temperature whose sentences are as diverse would give, between those that were measured."""
    points = sorted(curve.values(), key=lambda values: values["distinct"])
    places = [values["distinct"] for values in points]
    if not places[0] <= distinct <= places[-1]:
        return None
    keys = ("valid", "process_nll")
    return {key: float(np.interp(distinct, places, [values[key] for values in points])) for key in keys}


def accuracy(model: Model) -> float:
    """Of the calibrated discriminator on 2,000 fresh real and as many generated sentences; 0.5 is chance."""
    real, generated = Grammar().sample(2000, 2**33), model.sample(2000, SEED)
    right = [p > 0.5 for p in model.probability(real)] + [p < 0.5 for p in model.probability(generated)]
    return sum(right) / len(right)


def page(
    model: Model,
    count: int,
    candidates: int,
    curve: Mapping[str, Values],
    rows: Mapping[str, Values],
    tallies: Mapping[str, Tally],
) -> str:
    grammar = Grammar()
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(Path(__file__).with_suffix(".md.j2").read_text()).render(
        command=shlex.join(["ganlm", "run", *ARGUMENTS]),
        count=count,
        candidates=candidates,
        accuracy=accuracy(model),
        entropy=grammar.entropy(),
        perfect=cells(measure(grammar.sample(count, 2**33))),
        curve={title: cells(values) for title, values in curve.items()},
        rows={
            name: compared(values, tallies[name], at_diversity(curve, values["distinct"]))
            for name, values in rows.items()
        },
    )


def cells(values: Values) -> list[str]:
    return [f"{values['valid']:.1%}", f"{values['process_nll']:.2f}", f"{values['distinct']:.1%}"]


def compared(values: Values, tally: Tally, tempered: Values | None) -> Sequence[Any]:
    """The cells of a method, of its candidates, and of the temperature that is as diverse."""
    other = [f"{tempered['valid']:.1%}", f"{tempered['process_nll']:.2f}"] if tempered else ["-", "-"]
    return [*cells(values), f"{tally.acceptance:.1%}", f"{tally.effective:.1%}", *other]


if __name__ == "__main__":
    main()
