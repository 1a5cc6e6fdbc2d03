"""Measure the language model in a discriminator as a generator: it is what the run's generator can learn from it.

    python benchmarks/taught.py runs/pays/seed3?-frozen
    python benchmarks/taught.py runs/pays/seed3?-likelihood-ratio

The runs of one call are seeds of one configuration, with a discriminator such as ``lstm-lm``. In the first call the
discriminator learned by maximum likelihood alone; in the second it learned from samples too.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace

import click

from ganlm_core.bundle.model import Model
from ganlm_core.cli import run_command
from ganlm_core.errors import UsageError
from ganlm_core.evaluation.evaluate import EvaluationSettings, choose_metrics, evaluate
from ganlm_core.evaluation.scores import Row, warm_up
from ganlm_core.evaluation.sources import Source, open_sources, real_text
from ganlm_core.evaluation.tables import Number, Table
from ganlm_core.plugins.host import default_host
from ganlm_core.sampling import LikelihoodRatio, MeanGenerator

METRICS = ("validity", "likelihood", "distance")
COLUMNS = {"valid": "valid", "test_nll": "held-out NLL", "tv": "TV"}
TAUGHT, GENERATOR, BEFORE = "the discriminator's language model", "the generator", "the generator before"


@click.command(context_settings={"show_default": True})
@click.argument("runs", nargs=-1, required=True)
@click.option("-n", "count", default=5000, help="sentences of each row")
def main(runs: tuple[str, ...], count: int) -> None:
    """Print the mean over the runs of each network's values at temperature 1."""
    found: dict[str, list[Row]] = {BEFORE: [], TAUGHT: [], GENERATOR: []}
    for run in runs:
        for title, row in rows(run, count):
            found[title].append(row)
    table = [
        [title, *(Number.of_each([row.values for row in some], name) for name in COLUMNS)]
        for title, some in found.items()
    ]
    click.echo(Table(["", *COLUMNS.values()], table, "").text("markdown"))


def rows(run: str, count: int) -> Iterator[tuple[str, Row]]:
    """Yield the rows of a run by their titles."""
    host = default_host()
    sources = open_sources(host, [run])
    corpus = real_text(host, sources)
    (source,) = (each for each in sources if each.title != warm_up(sources[0].title))
    sources.append(Source("model", TAUGHT, _taught(source)))
    settings = EvaluationSettings(choose_metrics(host, METRICS), [1.0], count)
    titles = {source.title: GENERATOR, warm_up(source.title): BEFORE, TAUGHT: TAUGHT}
    for row in evaluate(host, sources, corpus, settings).rows:
        if row.title in titles:
            yield titles[row.title], row


def _taught(source: Source) -> Model:
    model = source.model
    if model is None or not isinstance(model.discriminator, LikelihoodRatio):
        raise UsageError(f"{source.title} has no language model as its discriminator; train one with --disc lstm-lm")
    return replace(model, generator=MeanGenerator(model.discriminator.models).eval(), discriminator=None)


if __name__ == "__main__":
    sys.exit(run_command(main))
