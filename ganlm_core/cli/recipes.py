"""``ganlm recipes``: the TOML files that name everything a run needs."""

from pathlib import Path

import click

from ganlm_core.cli.context import current_host
from ganlm_core.cli.output import echo_json, echo_table, json_option
from ganlm_core.config.recipes import About, check_about, check_recipe
from ganlm_core.config.run_config import read_layer, read_recipe, resolve
from ganlm_core.errors import GanlmError, UsageError
from ganlm_core.plugins.host import Host


@click.group()
def recipes() -> None:
    """List, show, copy and validate recipes."""


@recipes.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Every recipe: what it does, whose it is, and what it needs of its parts."""
    entries = [{"name": name, "path": str(path), **_about(path)} for name, path in current_host().recipes().items()]
    if as_json:
        echo_json(entries)
    else:
        columns = ("name", "summary", "paper", "needs")
        echo_table(columns, [[entry[column] for column in columns] for entry in entries])


@recipes.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """The file of the recipe NAME."""
    host = current_host()
    layer = read_recipe(host, name)
    if as_json:
        echo_json(layer)
    else:
        click.echo(host.recipes()[name].read_text(encoding="utf-8"), nl=False)


@recipes.command()
@click.argument("name")
@click.argument("file", required=False, type=click.Path(path_type=Path))
def copy(name: str, file: Path | None) -> None:
    """Copy the recipe NAME to FILE (NAME.toml), to change it and run it with --config FILE."""
    host = current_host()
    read_recipe(host, name)
    target = file or Path(f"{name}.toml")
    try:
        with target.open("x", encoding="utf-8") as stream:
            stream.write(host.recipes()[name].read_text(encoding="utf-8"))
    except FileExistsError:
        raise UsageError(f"{target} already exists; give another file") from None
    click.echo(f"{target}: change it and run it with 'ganlm run --config {target}'", err=True)


@recipes.command()
@click.argument("recipes", nargs=-1, metavar="[NAME|FILE]...")
def validate(recipes: tuple[str, ...]) -> None:
    """Check that every name, option and value in the recipes exists and fits: those given, or all."""
    host = current_host()
    wrong = 0
    for recipe in recipes or tuple(host.recipes()):
        try:
            _validate(host, recipe)
            click.echo(f"{recipe}: ok")
        except GanlmError as error:
            wrong += 1
            click.echo(f"{recipe}: {error}")
    if wrong:
        raise UsageError(f"{wrong} of {len(recipes) or len(host.recipes())} recipes cannot be run")


def _validate(host: Host, recipe: str) -> None:
    if Path(recipe).suffix != ".toml":
        check_recipe(host, recipe)
        return
    layer = read_layer(Path(recipe))
    check_about(host, layer)
    resolve(host, [layer])


def _about(path: Path) -> dict[str, str]:
    try:
        about = About.of(read_layer(path))
    except UsageError as error:
        about = About(summary=str(error))
    return {"summary": about.summary, "paper": about.paper, "needs": about.needs}
