"""Train the pairs of the zoo, write their bundles to ``ganlm_core/bundle/zoo``, and write ``docs/zoo.md``.

    python benchmarks/build_zoo.py --jobs 2

Runs that are finished in the folder of runs are not trained again. The same machine and the same version of torch give
the same bytes, whatever the number of jobs: every run has one thread.
"""

import shlex
import shutil
import sys
from pathlib import Path

import click
import jinja2

from ganlm_core.bundle import zoo
from ganlm_core.cli import run_command
from ganlm_core.evaluation.scores import column_of
from ganlm_core.evaluation.tables import Table
from ganlm_core.metrics.formatting import format_metric
from ganlm_core.plugins.host import default_host
from ganlm_core.sweep.plan import named_plan
from ganlm_core.sweep.processes import Processes, run_plan
from ganlm_core.system.files import read_json
from ganlm_core.training.export import export

LARGEST = 20 * 10**6
"""Largest size of the whole zoo in bytes: it is part of every download of the package."""

THREADS = 1
"""Threads of each run. The order of a sum of floats, and so its digits, depends on the threads."""

PAIRS = {
    "mlp-conv.one-shot-grammar": "--gen mlp --disc conv",
    "conv-conv.one-shot-grammar": "--gen conv --disc conv",
    "lstm-conv.autoregressive-grammar": "--gen lstm --disc conv",
    "transformer-transformer.autoregressive-grammar": "--gen transformer --disc transformer",
    "lstm-conv.autoregressive-grammar-char": (
        "--gen lstm --disc conv --tokenizer char --tokenizer.max-length 75 --steps 4000"
        " --algorithm.warmup 0.93 --algorithm.discriminator-warmup 0.05"
    ),
    "lstm.mle-grammar": "--recipe mle",
    "lstm-lstm-lm.likelihood-ratio-grammar": "--recipe likelihood-ratio",
    "lstm-conv.seqgan-grammar": "--recipe seqgan",
    "lstm-lstm.scratchgan-grammar": "--recipe scratchgan",
    "lstm-conv.cooperative-grammar": "--recipe cooperative",
    "lstm.cot-grammar": "--recipe cot",
    "relational-memory-multi-embedding.relgan-grammar": "--recipe relgan",
}
"""The arguments of ``ganlm run``, by a name of the form generator-discriminator.method-corpus."""

SAMPLES = "--evaluation-samples 5000"
"""The argument that all pairs share, as in ``benchmark.toml``, whose runs with seed 0 are the same."""

PAGE = Path(__file__).parent.parent / "docs" / "zoo.md"

COLUMNS = ("valid", "distinct", "copied", "process_nll", "test_nll", "tv")


@click.command(context_settings={"show_default": True})
@click.option("--jobs", type=click.IntRange(1), default=1, help="parallel runs, which share the cores")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/zoo"), help="folder of the runs")
def main(jobs: int, out: Path) -> None:
    """Train the pairs of the zoo and install their bundles. Remove bundles of pairs that are no longer listed."""
    host = default_host()
    plan = named_plan(host, {name: shlex.split(f"{arguments} {SAMPLES}") for name, arguments in PAIRS.items()}, THREADS)
    runs = run_plan(plan, host, out, Processes(jobs))
    for run in runs:
        if run.failure:
            raise click.ClickException(f"{run.run.name} failed: {run.failure}")
    for run in runs:
        export(run.run, zoo.FOLDER / run.run.name, host, force=True)
    for entry in zoo.entries():
        if entry.name not in PAIRS:
            shutil.rmtree(zoo.FOLDER / entry.name)
    total = 0
    for entry in zoo.entries():
        total += entry.size
        click.echo(f"{entry.name}: {entry.size:,} bytes; {entry.sample}")
    PAGE.write_text(page(), encoding="utf-8")
    if total > LARGEST:
        raise click.ClickException(f"the zoo has {total:,} bytes; wanted {LARGEST:,} at most")


def page() -> str:
    """Return the text of the page about the bundles of the zoo."""
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined)
    evaluations = {name: read_json(zoo.FOLDER / name / "evaluation.json") for name in PAIRS}
    rows = [
        [name, *(format_metric(column, found["after"].get(column)) for column in COLUMNS), f"{found['tokens_read']:,}"]
        for name, found in evaluations.items()
    ]
    template = Path(__file__).with_name("zoo.md.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        samples=next(iter(evaluations.values()))["samples"],
        table=Table(["name", *map(column_of, COLUMNS), "tokens read"], rows).markdown(),
        pairs=PAIRS,
    )


if __name__ == "__main__":
    sys.exit(run_command(main))
