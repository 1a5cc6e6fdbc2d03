"""``ganlm recipes``: the TOML files that name everything a run needs."""

from pathlib import Path

import click

from ganlm_core.cli.context import current_host
from ganlm_core.cli.describe import summarize_recipe
from ganlm_core.cli.health import why_not
from ganlm_core.cli.options import PATH, json_option
from ganlm_core.cli.output import echo, echo_data, echo_json, echo_table, note
from ganlm_core.cli.types import Name
from ganlm_core.config.recipes import check_about
from ganlm_core.config.run_config import read_layer, read_recipe, resolve
from ganlm_core.errors import GanlmError, UsageError
from ganlm_core.plugins.host import Host
from ganlm_core.system.files import write_file

COLUMNS = ("name", "summary", "paper", "needs")

name_argument = click.argument("name", type=Name("recipe"))


@click.group()
def recipes() -> None:
    """List, show, copy and validate recipes."""


@recipes.command("list", short_help="list the recipes")
@json_option
def list_(as_json: bool) -> None:
    """List every recipe with its summary, its paper and its requirements."""
    entries = [summarize_recipe(name, path) for name, path in current_host().recipes().items()]
    if as_json:
        echo_json(entries)
    else:
        echo_table(COLUMNS, [[entry[column] for column in COLUMNS] for entry in entries])


@recipes.command(short_help="print the file of a recipe")
@name_argument
@json_option
def show(name: str, as_json: bool) -> None:
    """Print the file of the recipe NAME."""
    host = current_host()
    layer = read_recipe(host, name)
    if as_json:
        echo_json(layer)
    else:
        echo_data(host.recipes()[name].read_text(encoding="utf-8"))


@recipes.command(short_help="copy a recipe to a file")
@name_argument
@click.argument("file", required=False, type=PATH)
@json_option
def copy(name: str, file: Path | None, as_json: bool) -> None:
    """Copy the recipe NAME to FILE, by default NAME.toml, to edit it and run it with --config FILE."""
    host = current_host()
    read_recipe(host, name)
    target = file or Path(f"{name}.toml")
    if target.exists():
        raise UsageError(f"{target} already exists; give another file")
    write_file(target, host.recipes()[name].read_bytes())
    if as_json:
        echo_json({"recipe": name, "file": str(target)})
    note(f"{target}: edit it, then run it with 'ganlm run --config {target}'")


@recipes.command(short_help="check recipes")
@click.argument("recipes", nargs=-1, metavar="[NAME|FILE]...", type=Name("recipe", files=True))
@json_option
def validate(recipes: tuple[str, ...], as_json: bool) -> None:
    """Check that every name, option and value in recipes exists and fits. Without arguments, check all recipes."""
    host = current_host()
    found = {recipe: _problem(host, recipe) for recipe in recipes or tuple(host.recipes())}
    if as_json:
        echo_json([{"recipe": recipe, "ok": not problem, "problem": problem} for recipe, problem in found.items()])
    else:
        for recipe, problem in found.items():
            echo(problem if problem.startswith(recipe) else f"{recipe}: {problem or 'ok'}")
    wrong = sum(map(bool, found.values()))
    if wrong:
        raise UsageError(f"{wrong} of {len(found)} recipes cannot be run")


def _problem(host: Host, recipe: str) -> str:
    """Return the error of a recipe or of a recipe's file, or nothing."""
    if Path(recipe).suffix != ".toml":
        return why_not(host, recipe)
    try:
        layer = read_layer(Path(recipe))
        check_about(host, layer)
        resolve(host, [layer])
    except GanlmError as error:
        return str(error)
    return ""
