"""Train a part of ``benchmark.toml``, keep its results, and write ``docs/benchmark.md`` from all that are kept.

    python benchmarks/benchmark.py --recipes mle,seqgan --corpora grammar --seeds 0,1 --jobs 2

The results of finished runs are in ``benchmark.json``, so that the table can be completed in parts and on several
machines. ``--page`` writes the page without training.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import jinja2

from ganlm_core.config.run_config import read_layer
from ganlm_core.evaluation.scores import REFERENCES, TITLES
from ganlm_core.evaluation.tables import Cell, Number, Table
from ganlm_core.metrics.formatting import SHARES
from ganlm_core.plugins.host import Host
from ganlm_core.sweep.job import Trained
from ganlm_core.sweep.plan import Plan, PlannedRun, make_plan
from ganlm_core.sweep.processes import Processes, run_plan
from ganlm_core.sweep.settings import values_of
from ganlm_core.system.devices import machine

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "benchmark.md"
PLAN, RESULTS = (Path(__file__).with_suffix(end) for end in (".toml", ".json"))

Results = Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]]
"""The values of runs by corpus, recipe and seed."""


@click.command(context_settings={"show_default": True})
@click.option("--recipes", default="", help="recipes, comma-separated; by default all of the plan")
@click.option("--corpora", default="grammar,oracle", help="corpora of the plan, comma-separated")
@click.option("--seeds", default="0..4", help="seeds, comma-separated or a range")
@click.option("--captions", type=click.Path(exists=True), help="file of captions, one a line, for --corpora captions")
@click.option("--jobs", type=click.IntRange(1), default=1, help="runs at once")
@click.option("--folder", type=click.Path(path_type=Path), default=Path("runs/benchmark"), help="folder of the runs")
@click.option("--page", is_flag=True, help="write the page from the results that are kept, and train nothing")
def main(recipes: str, corpora: str, seeds: str, captions: str | None, jobs: int, folder: Path, page: bool) -> None:
    """Train a part of the plan and write the page."""
    if not page:
        host = Host.discover(no_plugins=True)
        plan = part(whole(host, captions), values_of(recipes), values_of(corpora), values_of(seeds))
        for run, done in zip(plan.runs, run_plan(plan, host, folder, Processes(jobs)), strict=True):
            if done.failure:
                click.echo(f"{run.name} failed: {done.failure}", err=True)
            else:
                keep(run, done)
    PAGE.write_text(text(kept()), encoding="utf-8")


def whole(host: Host, captions: str | None) -> Plan:
    """Return the whole plan; without captions, without that corpus."""
    table = read_layer(PLAN)["sweep"]
    if captions is None:
        del table["variants"]["captions"]
    else:
        table["variants"]["captions"]["data"] = captions
    return make_plan(host, [], table)


def part(plan: Plan, recipes: list[str], corpora: list[str], seeds: list[str]) -> Plan:
    """Return the runs of some recipes (all if none is named), corpora and seeds."""
    runs = [
        run
        for run in plan.runs
        if (not recipes or run.settings["recipe"] in recipes)
        and run.settings["variant"] in corpora
        and str(run.settings["seed"]) in seeds
    ]
    return Plan(runs, plan.threads)


def keep(run: PlannedRun, done: Trained) -> None:
    """Add the values of a run to the results."""
    found = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    corpus, recipe, seed = (str(run.settings[key]) for key in ("variant", "recipe", "seed"))
    rows = {key: done.evaluation[key] for key in ("after", *REFERENCES) if key in done.evaluation}
    entry = {**rows, "cpu_seconds": round(done.cpu_seconds), "machine": machine()}
    found.setdefault(corpus, {}).setdefault(recipe, {})[seed] = entry
    RESULTS.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def kept() -> Results:
    """Return the results of all runs that finished so far."""
    found: Results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    return found


def text(results: Results) -> str:
    """Return the page for these results."""
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined)
    plan = read_layer(PLAN)["sweep"]
    cells = [run for recipes in results.values() for seeds in recipes.values() for run in seeds.values()]
    return environment.from_string(Path(__file__).with_suffix(".md.j2").read_text(encoding="utf-8")).render(
        tables={corpus: table(recipes).markdown() for corpus, recipes in results.items()},
        done=len(cells),
        planned=len(plan["recipe"]) * len(values_of(plan["seed"])) * len(plan["variants"]),
        there={
            corpus: {recipe: sorted(seeds, key=int) for recipe, seeds in found.items()}
            for corpus, found in results.items()
        },
        hours=sum(cell["cpu_seconds"] for cell in cells) / 3600,
        machines=sorted({cell["machine"] for cell in cells}),
    )


def table(recipes: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Table:
    """Return the table of one corpus: a row for each recipe, and the references over all runs."""
    rows: list[list[Cell]] = []
    for recipe, seeds in recipes.items():
        runs = list(seeds.values())
        cost = Number.of(run["cpu_seconds"] for run in runs)
        rows.append([f"`{recipe}`", str(len(runs)), *_numbers([run["after"] for run in runs]), cost])
    rows += [[title, "", *_numbers(found), ""] for title, found in _references(recipes)]
    return Table(["", "seeds", *TITLES.values(), "CPU seconds"], rows)


def _numbers(found: list[Mapping[str, float]]) -> list[Cell]:
    return [Number.of([values[name] for values in found if name in values], name in SHARES) for name in TITLES]


def _references(
    recipes: Mapping[str, Mapping[str, Mapping[str, Any]]],
) -> Iterator[tuple[str, list[Mapping[str, float]]]]:
    runs = [run for seeds in recipes.values() for run in seeds.values()]
    for key, title in REFERENCES.items():
        if found := [run[key] for run in runs if key in run]:
            yield title, found


if __name__ == "__main__":
    main()
