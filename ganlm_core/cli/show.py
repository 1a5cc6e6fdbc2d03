"""``ganlm show``: one name with everything that is declared about it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import click

from ganlm_core.cli.context import current_host
from ganlm_core.cli.list import CHOOSABLE, summary
from ganlm_core.cli.output import echo_json, echo_table, json_option
from ganlm_core.components import Option
from ganlm_core.config.recipes import About, beside_paper, choices_of, measured
from ganlm_core.config.run_config import PREFIXES, catalog, read_recipe
from ganlm_core.errors import UnknownName
from ganlm_core.evaluation.scores import TITLES, ordered
from ganlm_core.metrics.formatting import format_metric
from ganlm_core.plugins.host import Host

MOMENTS = ("before", "after")
"""Where a run is measured: before adversarial training and after it."""


@click.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """A component, tokenizer or optimiser with its options, or a recipe. A NAME that several kinds have shows all."""
    host = current_host()
    found = [describe(host, kind, name) for kind in CHOOSABLE if name in catalog(host, kind)]
    if not found and name not in host.recipes():
        known = [*host.recipes(), *(other for kind in CHOOSABLE for other in catalog(host, kind))]
        raise UnknownName("component or recipe", name, known, hint="'ganlm list' and 'ganlm recipes list' show them")
    if name in host.recipes():
        found.append(describe_recipe(host, name))
    if as_json:
        echo_json(found)
        return
    for entry in found:
        (_echo_recipe if entry["kind"] == "recipe" else _echo_entry)(entry)


def describe(host: Host, kind: str, name: str) -> dict[str, Any]:
    """The entry of ``ganlm list`` with the options."""
    options = catalog(host, kind)[name].fields()
    return summary(host, kind, name) | {"options": [_option(kind, option) for option in options]}


def describe_recipe(host: Host, name: str) -> dict[str, Any]:
    """The entry of ``ganlm recipes list`` with what it chooses, its settings beside the paper's, and its results."""
    about, path = About.of(read_recipe(host, name)), host.recipes()[name]
    return {
        "kind": "recipe",
        "name": name,
        "path": str(path),
        "summary": about.summary,
        "paper": about.paper,
        "needs": about.needs,
        "choices": choices_of(host, name),
        "settings": [asdict(setting) for setting in beside_paper(host, name)],
        "measured": measured(path),
    }


def _option(kind: str, option: Option) -> dict[str, Any]:
    prefixes = [prefix for section, prefix in PREFIXES.items() if section.partition(".")[0] == kind]
    return {
        "name": option.name,
        "flags": [f"--{prefix}.{option.flag}" for prefix in prefixes],
        "type": option.type.__name__,
        "default": option.default,
        "min": option.min,
        "max": option.max,
        "choices": list(option.choices),
        "help": option.help,
    }


def _echo_entry(entry: dict[str, Any]) -> None:
    origin = f" ({entry['distribution']} {entry['version']})" if "distribution" in entry else ""
    click.echo(f"{entry['kind']} {entry['name']}{origin}")
    for text in (entry["summary"], entry["source"]):
        if text:
            click.echo(text)
    click.echo()
    rows = [
        [" ".join(option["flags"]) or option["name"], _text(option["default"]), option["help"]]
        for option in entry["options"]
    ]
    if rows:
        echo_table(("option", "default", "help"), rows)
        click.echo()


def _echo_recipe(entry: dict[str, Any]) -> None:
    click.echo(f"recipe {entry['name']} ({entry['path']})")
    needs = f"needs {entry['needs']}" if entry["needs"] else ""
    for text in (entry["summary"], entry["paper"], needs):
        if text:
            click.echo(text)
    _echo_part(("section", "choice"), [list(pair) for pair in entry["choices"].items()])
    settings = [[one["name"], _text(one["here"]), _text(one["paper"])] for one in entry["settings"]]
    _echo_part(("setting", "here", "paper"), settings)
    _echo_measured(entry["measured"])


def _echo_measured(results: Mapping[str, Mapping[str, Any]]) -> None:
    """A row for each corpus and moment, and below them the commands that gave them."""
    rows = [(corpus, when, found[when]) for corpus, found in results.items() for when in MOMENTS if when in found]
    metrics = ordered(name for _, _, values in rows for name in values)
    header = ("measured on", "training", *(TITLES.get(name, name) for name in metrics))
    cells = [[format_metric(name, values.get(name)) for name in metrics] for _, _, values in rows]
    _echo_part(header, [[corpus, when, *line] for (corpus, when, _), line in zip(rows, cells, strict=True)])
    for found in results.values():
        click.echo(f"{found['command']}  # seed {found['seed']}, {found['cpu_seconds']:.0f} CPU seconds")


def _echo_part(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if rows:
        click.echo()
        echo_table(header, rows)


def _text(value: Any) -> str:
    """A value as it is written, and a dash for none."""
    if value is None:
        return "-"
    return str(value).lower() if isinstance(value, bool) else str(value)
