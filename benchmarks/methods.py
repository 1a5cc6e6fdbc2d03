"""Train every recipe on the two built-in corpora and write the numbers before and after to ``docs/methods.md``.

    python benchmarks/methods.py --jobs 2

writes the page, and ``measured.json`` beside the recipes, which ``ganlm show RECIPE`` prints. Runs that are finished in
the folder of runs are not trained again.
"""

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import jinja2

from ganlm_core.cli.show import MOMENTS
from ganlm_core.config.recipes import MEASURED, About, measured
from ganlm_core.config.run_config import read_layer
from ganlm_core.evaluation.scores import REFERENCES, TITLES, metric_cells
from ganlm_core.metrics.formatting import without_empty_columns
from ganlm_core.plugins.host import Host
from ganlm_core.sweep.job import Trained
from ganlm_core.sweep.plan import named_plan
from ganlm_core.sweep.processes import Processes, run_plan
from ganlm_core.system.devices import machine

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "methods.md"

GENERIC = {"autoregressive", "discriminator", "likelihood-ratio", "one-shot"}
"""Recipes that are not the method of one paper; ``docs/zoo.md`` and ``docs/why.md`` have their numbers."""

CORPORA = {"grammar": [], "oracle": ["--corpus.vocabulary", "500"]}
"""The corpora, with the options that make each learnable in minutes: an oracle with the usual 5,000 words is not."""


@click.command(context_settings={"show_default": True})
@click.option("--recipes", "names", help="recipes, comma-separated; all by default")
@click.option(
    "--corpora", default=",".join(CORPORA), help="corpora, comma-separated, for recipes without a corpus of their own"
)
@click.option("--jobs", type=click.IntRange(1), default=1, help="parallel runs, which share the cores")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/methods"), help="folder of the runs")
def main(names: str | None, corpora: str, jobs: int, out: Path) -> None:
    """Train the recipes. The page has the numbers of every recipe that was measured, now or before."""
    recipes = Host.discover(no_plugins=True).recipes()
    chosen = names.split(",") if names else [name for name in recipes if name not in GENERIC]
    commands = {
        (recipe, corpus): ["--recipe", recipe, "--data", corpus, *CORPORA.get(corpus, [])]
        for recipe in chosen
        for corpus in _own_corpus(recipes[recipe]) or corpora.split(",")
    }
    host = Host.discover(no_plugins=True)
    plan = named_plan(host, {f"{recipe}-{corpus}": command for (recipe, corpus), command in commands.items()})
    runs = dict(zip(commands, run_plan(plan, host, out, Processes(jobs)), strict=True))
    for (recipe, corpus), run in runs.items():
        if run.failure:
            click.echo(f"{recipe} on {corpus} failed: {run.failure}", err=True)
        else:
            _keep(recipes[recipe], corpus, _entry(run, commands[recipe, corpus]))
    PAGE.write_text(page({name: path for name, path in recipes.items() if measured(path)}))


def _own_corpus(recipe: Path) -> list[str]:
    """Return the corpora that a recipe brings with it; most recipes bring none."""
    return list(read_layer(recipe).get("corpus", {}))


def _entry(run: Trained, command: list[str]) -> dict[str, Any]:
    """Return the numbers of a run as ``measured.json`` keeps them."""
    return {
        **run.evaluation,
        "cpu_seconds": round(run.cpu_seconds),
        "command": shlex.join(["ganlm", "run", *command]),
        "machine": machine(),
        "text": run.samples[:3],
    }


def _keep(recipe: Path, corpus: str, entry: dict[str, Any]) -> None:
    """Set one entry of the file beside the recipe."""
    file = recipe.with_name(MEASURED)
    found = json.loads(file.read_text()) if file.exists() else {"recipes": {}}
    found["recipes"].setdefault(recipe.stem, {})[corpus] = entry
    file.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


def page(recipes: Mapping[str, Path]) -> str:
    """Return the page for the numbers beside these recipes."""
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined)
    results = {name: measured(path) for name, path in recipes.items()}
    found = {corpus for result in results.values() for corpus in result}
    corpora = [*(corpus for corpus in CORPORA if corpus in found), *sorted(found - CORPORA.keys())]
    return environment.from_string(Path(__file__).with_suffix(".md.j2").read_text()).render(
        results=results,
        corpora=corpora,
        machines=sorted(
            {entry["machine"] for result in results.values() for entry in result.values() if "machine" in entry}
        ),
        older=[name for name, result in results.items() if any("machine" not in entry for entry in result.values())],
        about={name: About.of(read_layer(path)) for name, path in recipes.items()},
        tables={corpus: without_empty_columns(list(_table(results, corpus))) for corpus in corpora},
        options={corpus: " ".join(["--data", corpus, *CORPORA.get(corpus, [])]) for corpus in corpora},
    )


def _table(results: Mapping[str, Mapping[str, Any]], corpus: str) -> Iterator[list[str]]:
    """Yield the titles; two rows for each recipe, before and after; the reference rows, which are the same for all.

    With labels, the likelihood of real text is given the label, so the reference rows are of a recipe without labels.
    """
    yield ["recipe", "", *TITLES.values(), "CPU seconds"]
    entries = {name: result[corpus] for name, result in results.items() if corpus in result}
    for name, entry in entries.items():
        for when in MOMENTS:
            if when in entry:
                yield [
                    f"`{name}`",
                    when,
                    *metric_cells(entry[when]),
                    str(entry["cpu_seconds"]) if when == "after" else "",
                ]
    plain = [entry for entry in entries.values() if "label_accuracy" not in entry.get("after", {})]
    for key, title in REFERENCES.items():
        for entry in (plain or list(entries.values()))[:1]:
            if key in entry:
                yield [title, "", *metric_cells(entry[key]), ""]


if __name__ == "__main__":
    main()
