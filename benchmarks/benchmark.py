"""Train recipes on corpora with several seeds, keep the results beside the recipes, and write the two pages of them.

    python benchmarks/benchmark.py --recipes mle,seqgan --corpora grammar --seeds 0,1 --jobs 2

trains that part of ``benchmark.toml``. Recipes and corpora that the plan lacks can be named too. The results are added
to ``measured.json`` beside each recipe, which ``ganlm show RECIPE`` prints, so that the tables can be completed in
parts and on several machines. ``--page`` writes ``docs/benchmark.md`` and ``docs/methods.md`` without training.
"""

import json
import math
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import jinja2

from ganlm_core.cli import run_command
from ganlm_core.config.recipes import MEASURED, About, beside_paper, measured
from ganlm_core.config.run_config import read_layer
from ganlm_core.evaluation.scores import REFERENCES, column_of
from ganlm_core.evaluation.tables import Cell, Number, Table
from ganlm_core.metrics.formatting import SHARES
from ganlm_core.plugins.host import Host
from ganlm_core.sweep.job import Trained
from ganlm_core.sweep.plan import Plan, PlannedRun, make_plan
from ganlm_core.sweep.processes import Processes, run_plan
from ganlm_core.sweep.settings import values_of
from ganlm_core.system.devices import machine
from ganlm_core.system.files import write_file

ROOT = Path(__file__).parent.parent
PLAN = Path(__file__).with_suffix(".toml")

COLUMNS = ("valid", "distinct", "copied", "process_nll", "test_nll", "tv")
"""The measures of the tables. Selection by a recipe sees the validation split alone; these are of the test split."""

FEWEST = 3
"""Seeds that a row of the page has at least: no number is there without its spread."""

COMMANDS = {
    "one-shot": "ganlm run --gen mlp --disc conv",
    "discriminator": "ganlm run --recipe discriminator --from BUNDLE",
}
"""The commands of recipes without results of their own."""

Seeds = Mapping[str, Mapping[str, Any]]
"""The results of a recipe on a corpus by seed."""


@click.command(context_settings={"show_default": True})
@click.option("--recipes", default="", help="recipes, comma-separated; by default all of the plan")
@click.option("--corpora", default="grammar,oracle", help="corpora of the plan or others, comma-separated")
@click.option("--seeds", default="0..4", help="seeds, comma-separated or a range")
@click.option("--captions", type=click.Path(exists=True), help="file of captions, one a line, for --corpora captions")
@click.option("--jobs", type=click.IntRange(1), default=1, help="runs at once")
@click.option("--folder", type=click.Path(path_type=Path), default=Path("runs/benchmark"), help="folder of the runs")
@click.option("--page", is_flag=True, help="write the pages from the results that are kept, and train nothing")
def main(recipes: str, corpora: str, seeds: str, captions: str | None, jobs: int, folder: Path, page: bool) -> None:
    """Train a part of the plan and write the pages."""
    host = Host.discover(no_plugins=True)
    if not page:
        plan = part(host, values_of(recipes), values_of(corpora), values_of(seeds), captions)
        for run, done in zip(plan.runs, run_plan(plan, host, folder, Processes(jobs)), strict=True):
            if done.failure:
                click.echo(f"{run.name} failed: {done.failure}", err=True)
            else:
                keep(host.recipes()[run.settings["recipe"]], run, done)
    for name, text in pages(host, host.recipes()).items():
        (ROOT / "docs" / name).write_text(text, encoding="utf-8")


def part(
    host: Host, recipes: Sequence[str], corpora: Sequence[str], seeds: Sequence[str], captions: str | None = None
) -> Plan:
    """Return the runs of recipes (without a name, all of the plan) on corpora with seeds, named as in the plan.

    A recipe that is named is trained on all of the corpora, also where the plan leaves it out.
    """
    table = read_layer(PLAN)["sweep"]
    if "captions" in corpora and captions is None:
        raise click.UsageError("the corpus captions is a file of yours; give it with --captions FILE")
    excluded = table.pop("exclude")
    table["exclude"] = [] if recipes else [each for each in excluded if each["variant"] in corpora]
    wanted = list(recipes) or table["recipe"]
    table["recipe"] = list(dict.fromkeys([*table["recipe"], *wanted]))
    table["seed"] = sorted({int(seed) for seed in [*values_of(table["seed"]), *seeds]})
    table["variants"] |= {corpus: {"data": corpus} for corpus in corpora if corpus not in table["variants"]}
    if captions is None:
        del table["variants"]["captions"]
    else:
        table["variants"]["captions"]["data"] = captions
    plan = make_plan(host, [], table)
    runs = [
        run
        for run in plan.runs
        if run.settings["recipe"] in wanted
        and run.settings["variant"] in corpora
        and str(run.settings["seed"]) in seeds
    ]
    if not runs:
        raise click.UsageError("the plan has no such run; give recipes, corpora and seeds as they are in it")
    return Plan(runs, plan.threads)


def keep(recipe: Path, run: PlannedRun, done: Trained) -> None:
    """Add the results of a run to the file beside its recipe."""
    file = recipe.with_name(MEASURED)
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"recipes": {}}
    corpus, seed = run.settings["variant"], str(run.settings["seed"])
    entry = found["recipes"].setdefault(recipe.stem, {}).setdefault(corpus, {"seeds": {}})
    rows = {key: done.evaluation[key] for key in ("before", "after", *REFERENCES) if key in done.evaluation}
    entry["command"] = command(recipe.stem, corpus)
    entry["seeds"][seed] = {**rows, "cpu_seconds": round(done.cpu_seconds), "machine": machine()}
    if seed == min(entry["seeds"], key=int):
        entry["text"] = done.samples[:3]
    write_file(file, (json.dumps(found, indent=1, sort_keys=True) + "\n").encode())


def command(recipe: str, corpus: str) -> str:
    """Return the command of a run, without its seed."""
    settings = read_layer(PLAN)["sweep"]["variants"].get(corpus, {"data": corpus})
    flags = [word for key, value in settings.items() for word in (f"--{key}", str(value))]
    return shlex.join(["ganlm", "run", "--recipe", recipe, *flags])


def pages(host: Host, recipes: Mapping[str, Path]) -> dict[str, str]:
    """Return the text of each page for these recipes and the results beside them."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PLAN.parent),
        trim_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    results = {name: found for name, path in recipes.items() if (found := measured(path))}
    by_corpus: dict[str, dict[str, Seeds]] = {}
    for name, result in results.items():
        for corpus, entry in result.items():
            if len(entry["seeds"]) >= FEWEST:
                by_corpus.setdefault(corpus, {})[name] = entry["seeds"]
    runs = [run for found in by_corpus.values() for seeds in found.values() for run in seeds.values()]
    return {
        "benchmark.md": environment.get_template("benchmark.md.j2").render(
            tables={corpus: (table(found), changes(found)) for corpus, found in sorted(by_corpus.items())},
            runs=len(runs),
            hours=sum(run["cpu_seconds"] for run in runs) / 3600,
            machines=sorted({run["machine"] for run in runs}),
        ),
        "methods.md": environment.get_template("methods.md.j2").render(
            results=results,
            about={name: About.of(read_layer(path)) for name, path in recipes.items()},
            departures={name: departures(host, name) for name in recipes},
            commands=COMMANDS,
        ),
    }


def departures(host: Host, recipe: str) -> Table:
    """Return a row for each setting of a recipe that is known to differ from its paper."""
    differ = [each for each in beside_paper(host, recipe) if each.differs]
    rows = [[f"`{each.name}`", "-" if each.here is None else str(each.here), str(each.paper)] for each in differ]
    return Table(["setting", "here", "paper"], rows)


def table(found: Mapping[str, Seeds]) -> Table:
    """Return the table of one corpus: a row for each recipe, and the references over the runs of all."""
    rows: list[list[Cell]] = []
    for recipe, seeds in found.items():
        runs = list(seeds.values())
        cost = Number.of(run["cpu_seconds"] for run in runs)
        after = [run["after"] for run in runs]
        values = [Number.of_each(after, name, name in SHARES) for name in COLUMNS]
        rows.append([f"`{recipe}`", str(len(runs)), *values, cost])
    for title, shared in _references(found):
        rows.append([title, "", *(Number.of_shared(shared, name, name in SHARES) for name in COLUMNS), ""])
    return Table(["", "seeds", *map(column_of, COLUMNS), "CPU seconds"], rows)


def changes(found: Mapping[str, Seeds]) -> Table:
    """Return a row for each recipe with a warm-up: the change by what follows it, paired by seed."""
    rows: list[list[Cell]] = []
    for recipe, seeds in found.items():
        runs = [run for run in seeds.values() if _is_warm(run)]
        if runs:
            rows.append([f"`{recipe}`", str(len(runs)), *(_change(name, runs) for name in COLUMNS)])
    return Table(["", "seeds", *map(column_of, COLUMNS)], rows)


def _is_warm(run: Mapping[str, Any]) -> bool:
    """Whether adversarial training began with a generator that had learned more than the frequencies of words."""
    return "before" in run and run["before"].get("test_nll", math.inf) < run["unigram"]["test_nll"] - 0.1


def _change(name: str, runs: Sequence[Mapping[str, Any]]) -> Number:
    pairs = [(run["before"], run["after"]) for run in runs if name in run["before"] and name in run["after"]]
    return Number.of((after[name] - before[name] for before, after in pairs), name in SHARES)


def _references(found: Mapping[str, Seeds]) -> Iterator[tuple[str, list[tuple[str, Mapping[str, float]]]]]:
    """Yield the title and the rows of each reference with their seeds, from the runs of the plan if there are any."""
    planned = [seeds for recipe, seeds in found.items() if recipe in read_layer(PLAN)["sweep"]["recipe"]]
    runs = [(seed, run) for seeds in planned or found.values() for seed, run in seeds.items()]
    for key, title in REFERENCES.items():
        if rows := [(seed, run[key]) for seed, run in runs if key in run]:
            yield title, rows


if __name__ == "__main__":
    sys.exit(run_command(main))
