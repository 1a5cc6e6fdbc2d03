"""Train recipes on the oracle of the literature and print NLL_test where samples have a given NLL_oracle.

    python benchmarks/oracle.py --recipes mle,cot --seeds 0,1 --jobs 2

10,000 training and 10,000 test sequences of exactly 20 of 5,000 words, without ``<eos>`` (Yu et al. 2017, section 4.1;
Caccia et al. 2020, section 5.1): NLL_test, in nats per token over all test sequences, where the curve over temperatures
passes NLL_oracle = 9, 8.736, 8 and 7. The published numbers are from another oracle with another entropy, so a second
table compares distances from the entropy at equal distances. Finished runs in the folder are not trained again.
"""

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from ganlm_core.cli import run_command
from ganlm_core.errors import UsageError
from ganlm_core.evaluation.compare import compare
from ganlm_core.evaluation.evaluate import EvaluationSettings, choose_metrics, evaluate
from ganlm_core.evaluation.scores import Scores
from ganlm_core.evaluation.sources import open_sources, real_text
from ganlm_core.evaluation.tables import Cell, Number, Table
from ganlm_core.plugins.host import Host, default_host
from ganlm_core.sweep.plan import named_plan
from ganlm_core.sweep.processes import Processes, run_plan
from ganlm_core.sweep.settings import values_of
from ganlm_core.training.run_folder import RunFolder

AT = (9.0, 8.736, 8.0, 7.0)
"""NLL_oracle of the comparison, in nats per token."""

PUBLISHED = {
    "tuned MLE (Caccia et al. 2020)": (7.699, 7.777, 8.064, 8.532),
    "CoT (Lu et al. 2019)": (7.631, 7.687, 7.920, 8.454),
    "RL-GAN (Caccia et al. 2020)": (7.963, 8.070, 8.452, 9.161),
}
"""NLL_test at AT, as published; read from a curve."""

PUBLISHED_ENTROPY = 5.75
"""NLL_oracle of the published oracle's own sequences (Guo et al. 2018, table 1)."""

TEMPERATURES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1)
METRICS = ("process-likelihood", "likelihood")

Groups = Mapping[str, Sequence[Scores]]


@click.command(context_settings={"show_default": True})
@click.option("--recipes", default="mle", help="recipes, comma-separated")
@click.option("--seeds", default="0", help="seeds of the training, comma-separated or a range")
@click.option("--oracle", default=0, help="seed of the oracle")
@click.option("--size", default=10_000, help="training sequences")
@click.option("--test-size", default=10_000, help="test sequences")
@click.option("--vocabulary", default=5000, help="words of the oracle")
@click.option("--at", default=",".join(f"{each:g}" for each in AT), help="values of NLL_oracle, comma-separated")
@click.option("--temperatures", default=",".join(map(str, TEMPERATURES)), help="of the curve, comma-separated")
@click.option("--mean", is_flag=True, help="also evaluate the mean of the models of all seeds, for each recipe")
@click.option("--options", default="", help="further options of every run")
@click.option("--jobs", type=click.IntRange(1), default=1, help="runs at once")
@click.option("--folder", type=click.Path(path_type=Path), default=Path("runs/oracle"), help="folder of the runs")
def main(
    recipes: str, seeds: str, oracle: int, size: int, test_size: int, vocabulary: int, at: str, temperatures: str,
    mean: bool, options: str, jobs: int, folder: Path,
) -> None:  # fmt: skip
    """Train the recipes, evaluate them, and print both tables as Markdown."""
    host = default_host()
    corpus = f"--data oracle --corpus.seed {oracle} --corpus.size {size} --corpus.test-size {test_size} "
    corpus += f"--corpus.vocabulary {vocabulary} --corpus.fixed-length"
    runs = {
        f"{recipe}-{seed}": shlex.split(f"--recipe {recipe} --seed {seed} {corpus} {options}")
        for recipe in values_of(recipes)
        for seed in values_of(seeds)
    }
    trained = run_plan(named_plan(host, runs), host, folder, Processes(jobs))
    groups: dict[str, list[Scores]] = {}
    folders: dict[str, list[Path]] = {}
    curve = [float(each) for each in values_of(temperatures)]
    for name, run in zip(runs, trained, strict=True):
        if run.failure:
            click.echo(f"{name} failed: {run.failure}", err=True)
        else:
            recipe = name.rpartition("-")[0]
            folders.setdefault(recipe, []).append(run.run)
            groups.setdefault(recipe, []).append(evaluated(host, [run.run], RunFolder(run.run).evaluation, curve))
    for recipe, some in folders.items() if mean else ():
        place = folder / f"mean-of-{'-'.join(each.name for each in some)}.json"
        groups[f"mean of {len(some)} {recipe}"] = [evaluated(host, some, place, curve)]
    for table in tables(groups, [float(each) for each in values_of(at)]):
        click.echo(table.text("markdown"))


def evaluated(host: Host, runs: Sequence[Path], place: Path, temperatures: Sequence[float]) -> Scores:
    """Return the evaluation of a run, or of the mean of several, which is made at these temperatures if there is none.

    The mean has no row of its warm-up.
    """
    if not place.exists():
        sources = open_sources(host, [str(run) for run in runs])
        corpus = real_text(host, sources)
        if len(runs) > 1:
            sources = open_sources(host, ["mean:" + ",".join(map(str, runs))])
        metrics = choose_metrics(host, METRICS)
        settings = EvaluationSettings(metrics, temperatures, sentences=len(corpus.test), scored=0)
        evaluate(host, sources, corpus, settings).write(place)
    return Scores.read(place)


def tables(groups: Groups, at: Sequence[float]) -> Iterator[Table]:
    """Yield NLL_test at values of NLL_oracle, and distances from the entropy at the same distances of NLL_oracle."""
    published = list(PUBLISHED.items()) if tuple(at) == AT else []
    first = next(iter(groups.values()))[0]
    assert first.real is not None
    entropy = first.real.values["process_nll_token"]
    header = ["", "seeds", *(f"NLL_test at NLL_oracle {place:g}" for place in at)]
    theirs: list[list[Cell]] = [[title, "", *map(Number, values)] for title, values in published]
    ours = rows(groups, [matched(groups, place, 0) for place in at])
    yield Table(header, [*ours, *theirs], "", [f"The entropy of this oracle is {entropy:.3f} nats per token."])
    gaps = [place - PUBLISHED_ENTROPY for place in at]
    header = ["", "seeds", *(f"NLL_test - entropy at NLL_oracle - entropy {gap:.3g}" for gap in gaps)]
    theirs = [[title, "", *(Number(value - PUBLISHED_ENTROPY) for value in values)] for title, values in published]
    ours = rows(groups, [matched(groups, entropy + gap, entropy) for gap in gaps])
    yield Table(header, [*ours, *theirs], "", [f"The entropy of the published oracle is {PUBLISHED_ENTROPY}."])


def rows(groups: Groups, columns: Sequence[Mapping[str, Number]]) -> list[list[Cell]]:
    """Return the row of each recipe and of its warm-up."""
    titles = dict.fromkeys([*groups, *(title for column in columns for title in column)])
    return [[title, *_seeds(title, columns), *(each.get(title, Number(None)) for each in columns)] for title in titles]


def _seeds(title: str, columns: Sequence[Mapping[str, Number]]) -> list[Cell]:
    return [next((str(each[title].count) for each in columns if title in each), "")]


def matched(groups: Groups, place: float, less: float) -> dict[str, Number]:
    """Return NLL_test minus ``less`` where NLL_oracle is ``place``; without recipes whose curves do not reach it."""
    try:
        found = compare(groups, "test_nll", "process_nll_token", at=place)
    except UsageError as error:
        click.echo(str(error), err=True)
        return {}
    return {one.title: Number(one.quality - less, one.spread, one.seeds) for one in found.standings}


if __name__ == "__main__":
    sys.exit(run_command(main))
