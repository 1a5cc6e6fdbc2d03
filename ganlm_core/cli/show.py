"""``ganlm show``: the declaration of a name."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from ganlm_core.cli.context import current_host
from ganlm_core.cli.describe import CHOOSABLE, Entry, describe
from ganlm_core.cli.options import json_option
from ganlm_core.cli.output import echo, echo_json, echo_table
from ganlm_core.cli.run import SELECTORS
from ganlm_core.cli.types import Name
from ganlm_core.config.run_config import PREFIXES, catalog
from ganlm_core.errors import UnknownName
from ganlm_core.evaluation.scores import column_of, ordered
from ganlm_core.evaluation.tables import Number
from ganlm_core.metrics.formatting import SHARES

MOMENTS = ("before", "after")
"""When a run is measured: before adversarial training and after it."""

DASHES = "A dash under 'paper': the recipe names no value of the paper. Under 'here': this recipe has no such setting."


@click.command()
@click.argument("name", type=Name(*CHOOSABLE, "recipe"))
@json_option
def show(name: str, as_json: bool) -> None:
    """Show a component, tokenizer or optimiser with its options, or a recipe.

    If several kinds have the NAME, all of them are shown.
    """
    host = current_host()
    kinds = [kind for kind in CHOOSABLE if name in catalog(host, kind)]
    if name in host.recipes():
        kinds.append("recipe")
    if not kinds:
        known = [*host.recipes(), *(other for kind in CHOOSABLE for other in catalog(host, kind))]
        raise UnknownName("component or recipe", name, known, hint="'ganlm list' and 'ganlm recipes list' show them")
    found = [describe(host, kind, name) for kind in kinds]
    if as_json:
        echo_json(found)
        return
    for entry in found:
        (_echo_recipe if entry["kind"] == "recipe" else _echo_component)(entry)


def _echo_component(entry: Entry) -> None:
    origin = f" ({entry['distribution']} {entry['version']})" if "distribution" in entry else ""
    echo(f"{entry['kind']} {entry['name']}{origin}")
    _echo_lines(entry["summary"], entry["source"])
    echo()
    rows = [
        [" ".join(option["flags"]) or option["name"], _text(option["default"]), option["help"]]
        for option in entry["options"]
    ]
    if rows:
        echo_table(("option", "default", "help"), rows)
        if entry["kind"] in SELECTORS:
            command = f"ganlm run --{PREFIXES[entry['kind']]} {entry['name']} --help"
            echo(f"Recipes and small text change some defaults; '{command}' shows those of a run.")
        echo()


def _echo_recipe(entry: Entry) -> None:
    echo(f"recipe {entry['name']} ({entry['path']})")
    _echo_lines(entry["summary"], entry["paper"], f"needs {entry['needs']}" if entry["needs"] else "")
    _echo_part(("section", "choice"), [list(pair) for pair in entry["choices"].items()])
    settings = [[one["name"], _text(one["here"]), _text(one["paper"])] for one in entry["settings"]]
    _echo_part(("setting", "here", "paper"), settings)
    if settings:
        echo(DASHES)
    _echo_measured(entry["measured"])


def _echo_lines(*texts: str) -> None:
    for text in filter(None, texts):
        echo(text)


def _echo_measured(results: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a row of means over the seeds for each corpus and moment, then the commands that gave the numbers."""
    found = [
        (corpus, when, runs)
        for corpus, result in results.items()
        for when in MOMENTS
        if (runs := [run[when] for run in result["seeds"].values() if when in run])
    ]
    metrics = ordered(name for _, _, runs in found for run in runs for name in run)
    rows = [[corpus, when, *(_mean(name, runs) for name in metrics)] for corpus, when, runs in found]
    _echo_part(("measured on", "training", *map(column_of, metrics)), rows)
    for result in results.values():
        seconds = Number.of(run["cpu_seconds"] for run in result["seeds"].values())
        echo(f"{result['command']}  # seed {', '.join(result['seeds'])}; {seconds} CPU seconds")


def _mean(name: str, runs: Sequence[Mapping[str, float]]) -> str:
    return str(Number.of_each(runs, name, name in SHARES))


def _echo_part(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if rows:
        echo()
        echo_table(header, rows)


def _text(value: Any) -> str:
    """Return a value as TOML writes it, and a dash for None."""
    if value is None:
        return "-"
    return str(value).lower() if isinstance(value, bool) else str(value)
