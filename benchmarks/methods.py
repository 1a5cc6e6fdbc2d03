"""Every recipe on the two embedded corpora: the numbers before and after, as ``docs/methods.md``.

    python benchmarks/methods.py --jobs 2

writes ``ganlm_core/recipes/measured.json``, which ``ganlm show RECIPE`` prints from, and the page. What is finished in
the folder of runs is not trained again.
"""

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import jinja2

from ganlm_core.cli.output import REFERENCES, TITLES, metric_cells
from ganlm_core.cli.sweep import Trained, train_all
from ganlm_core.config import read_layer
from ganlm_core.plugins import Host

ROOT = Path(__file__).parent.parent
MEASURED = ROOT / "ganlm_core" / "recipes" / "measured.json"
PAGE = ROOT / "docs" / "methods.md"

GENERIC = {"autoregressive", "one-shot"}
"""Recipes that are no method of a paper: ``docs/zoo.md`` has their numbers."""

CORPORA = {"grammar": [], "oracle": ["--corpus.vocabulary", "500"]}
"""The corpora with the options that let each be learned in minutes: an oracle of the usual 5,000 words is not."""

ARGUMENTS: dict[str, list[str]] = {}
"""What a recipe is given besides the corpus, where a laptop has no time for its own."""


@click.command(context_settings={"show_default": True})
@click.option("--recipes", "names", help="recipes, with commas; all of them by default")
@click.option("--corpora", default=",".join(CORPORA), help="corpora, with commas")
@click.option("--jobs", type=click.IntRange(1), default=1, help="runs at once, which share the cores")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/methods"), help="folder of the runs")
def main(names: str | None, corpora: str, jobs: int, out: Path) -> None:
    """Train the recipes, and write the page and the numbers of all that were ever measured here."""
    recipes = Host.discover(no_plugins=True).recipes()
    chosen = names.split(",") if names else [name for name in recipes if name not in GENERIC]
    commands = {
        (recipe, corpus): ["--recipe", recipe, "--data", corpus, *CORPORA[corpus], *ARGUMENTS.get(recipe, [])]
        for corpus in corpora.split(",")
        for recipe in chosen
    }
    folders = {out / f"{recipe}-{corpus}": command for (recipe, corpus), command in commands.items()}
    runs = dict(zip(commands, train_all(folders, jobs), strict=True))
    measured = json.loads(MEASURED.read_text()) if MEASURED.exists() else {"columns": TITLES, "recipes": {}, "real": {}}
    for (recipe, corpus), run in runs.items():
        if run.failure:
            click.echo(f"{recipe} on {corpus} failed: {run.failure}", err=True)
            continue
        measured["recipes"].setdefault(recipe, {})[corpus] = _entry(run, commands[recipe, corpus])
        measured["real"][corpus] = {key: run.evaluation[key] for key in REFERENCES if key in run.evaluation}
    MEASURED.write_text(json.dumps(measured, indent=1, sort_keys=True) + "\n")
    PAGE.write_text(_page(measured, {name: read_layer(path).get("about", {}) for name, path in recipes.items()}))


def _entry(run: Trained, command: list[str]) -> dict[str, Any]:
    evaluation = run.evaluation
    return {
        **{key: evaluation[key] for key in ("before", "after", "seed", "samples") if key in evaluation},
        "seconds": round(run.seconds),
        "command": shlex.join(["ganlm", "run", *command]),
        "text": run.samples[:3],
    }


def _page(measured: Mapping[str, Any], about: Mapping[str, Mapping[str, Any]]) -> str:
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(Path(__file__).with_suffix(".md.j2").read_text()).render(
        recipes=measured["recipes"],
        about=about,
        tables={corpus: list(_table(measured, corpus)) for corpus in CORPORA},
        header=["recipe", "", *TITLES.values(), "seconds"],
        options={corpus: " ".join(["--data", corpus, *options]) for corpus, options in CORPORA.items()},
    )


def _table(measured: Mapping[str, Any], corpus: str) -> Iterator[list[str]]:
    """Two rows for each recipe, before and after; then the rows that hold for all."""
    for recipe, entries in sorted(measured["recipes"].items()):
        if corpus in entries:
            entry = entries[corpus]
            for when in ("before", "after"):
                if when in entry:
                    seconds = str(entry["seconds"]) if when == "after" else ""
                    yield [f"`{recipe}`", when, *metric_cells(entry[when]), seconds]
    for key, values in measured["real"].get(corpus, {}).items():
        yield [REFERENCES[key], "", *metric_cells(values), ""]


if __name__ == "__main__":
    main()
