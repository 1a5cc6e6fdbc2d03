"""``ganlm show``: one name with everything that is declared about it."""

from typing import Any

import click

from ganlm_core.cli.context import current_host
from ganlm_core.cli.list import CHOOSABLE, summary
from ganlm_core.cli.output import echo_json, echo_table, json_option
from ganlm_core.components import Option
from ganlm_core.config import PREFIXES, catalog
from ganlm_core.errors import UnknownName
from ganlm_core.plugins import Host


@click.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """A component, tokenizer or optimiser with its options, or a recipe. A NAME that several kinds have shows all."""
    host = current_host()
    found = [describe(host, kind, name) for kind in CHOOSABLE if name in catalog(host, kind)]
    recipe = host.recipes().get(name)
    if not found and recipe is None:
        known = [*host.recipes(), *(other for kind in CHOOSABLE for other in catalog(host, kind))]
        raise UnknownName("component or recipe", name, known, hint="'ganlm list' and 'ganlm recipes list' show them")
    if as_json:
        recipes = [{"kind": "recipe", "name": name, "path": str(recipe)}] if recipe else []
        echo_json(found + recipes)
        return
    for entry in found:
        _echo_entry(entry)
    if recipe:
        click.echo(f"recipe {name} ({recipe})\n\n{recipe.read_text(encoding='utf-8')}")


def describe(host: Host, kind: str, name: str) -> dict[str, Any]:
    """The entry of ``ganlm list`` with the options."""
    options = catalog(host, kind)[name].fields()
    return summary(host, kind, name) | {"options": [_option(kind, option) for option in options]}


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


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
