"""``ganlm plugins``: the health of every plugin that was found, and what there is for the authors of new ones."""

from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

import click

from ganlm_core.cli.context import invocation
from ganlm_core.cli.health import health_in_full, why_not
from ganlm_core.cli.output import echo_json, echo_table, json_option
from ganlm_core.components import KINDS, ComponentSpec
from ganlm_core.errors import PluginError, UnknownName, UsageError
from ganlm_core.plugins.host import Health, Host


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def plugins(context: click.Context, as_json: bool) -> None:
    """The plugins, and what became of each: ok, broken, incompatible, duplicate or disabled."""
    if context.invoked_subcommand is None:
        _list(as_json)


@plugins.command("list")
@json_option
def list_(as_json: bool) -> None:
    """The same as 'ganlm plugins'."""
    _list(as_json)


@plugins.command()
@click.argument("name")
@click.option("--set", "settings", multiple=True, metavar="OPTION=VALUE", help="an option other than its default")
@json_option
def check(name: str, settings: tuple[str, ...], as_json: bool) -> None:
    """Whether the components of a plugin, or the component NAME, keep the protocol: each promise is tried.

    Recipes are read, with all that they name.
    """
    from ganlm_core.testing import run_checks

    host = _host()
    specs, recipes = named(host, name)
    cases = [_case(host, spec, settings) for spec in specs]
    results = [result for case in cases for result in _told(case, run_checks(case), as_json)]
    results += [result for recipe in recipes for result in _told(f"recipe '{recipe}'", _read(host, recipe), as_json)]
    if as_json:
        echo_json([asdict(result) for result in results])
    failed = sum(result.status == "failed" for result in results)
    if failed:
        raise PluginError(f"{failed} of {len(results)} checks of '{name}' failed; each says what to change")
    count = f"{len(results)} check{'s' * (len(results) > 1)}"
    nothing = f"'{name}' has neither components nor recipes, so there is nothing to check"
    click.echo(f"{count} of '{name}', none failed" if results else nothing, err=True)


@plugins.command()
@click.argument("name")
@click.option("--kind", required=True, metavar="KIND", help=f"one of {', '.join(KINDS)}")
@click.option("--out", type=click.Path(path_type=Path), metavar="FOLDER", help="the new folder, else ./NAME")
def new(name: str, kind: str, out: Path | None) -> None:
    """A new distribution NAME with one component that works: package, options, tests, README, licence, CI."""
    from ganlm_core.plugins.scaffold import create, use

    folder = out or Path(name)
    for path in create(_host(), name, kind, folder):
        click.echo(path)
    click.echo(f"try it: cd {folder} && pip install -e . && pytest\nuse it: {use(name, kind)}", err=True)


@plugins.command()
@json_option
def doctor(as_json: bool) -> None:
    """Versions, device and health, and what to do about each problem."""
    from ganlm_core.cli.doctor import examine

    report = examine(_host())
    if as_json:
        echo_json(asdict(report))
    else:
        echo_table(("what", "which"), [[name, value] for name, value in report.facts.items()])
        for problem in report.problems:
            click.echo(f"\n{problem.what}\n  {problem.advice}")
        click.echo("" if report.problems else "\nno problems")
    if report.failed:
        raise PluginError(f"plugins that cannot be used: {', '.join(report.failed)}")


def named(host: Host, name: str) -> tuple[list[ComponentSpec], list[str]]:
    """The components and recipes of the plugin of this name, or else those that have it themselves.

    Raises UnknownName, or PluginError for a broken plugin.
    """
    plugins = [one for one in host.health if name in (one.name, f"{one.distribution}/{one.name}")]
    for health in plugins:
        if not health.usable:
            raise PluginError(f"{health}; 'ganlm plugins' shows all of them")
    if plugins:
        return [spec for one in plugins for spec in host.specs_of(one)], [*chain(*map(host.recipes_of, plugins))]
    specs = [specs[name] for specs in map(host.specs, KINDS) if name in specs]
    recipes = [name] if name in host.recipes() else []
    if not specs and not recipes:
        known = [*(one.name for one in host.health), *(spec for kind in KINDS for spec in host.specs(kind))]
        raise UnknownName("plugin or component", name, known, hint="'ganlm plugins' and 'ganlm list' show them")
    return specs, recipes


def _host() -> Host:
    """The plugins of this call; in strict mode too, for it is there that their health is asked about."""
    asked = invocation()
    return Host.discover(asked.files, no_plugins=asked.no_plugins, strict=False)


def _list(as_json: bool) -> None:
    health = health_in_full(_host())
    if as_json:
        echo_json([asdict(one) for one in health])
        return
    rows = [
        [one.name, one.distribution, one.version, one.status, f"{1000 * one.seconds:.0f} ms", _contents(one)]
        for one in health
    ]
    echo_table(("plugin", "distribution", "version", "status", "load time", "reason or contents"), rows)


def _contents(health: Health) -> str:
    given = f"{len(health.components)} components" if health.status == "ok" else ""
    return "; ".join(filter(None, (given, health.reason)))


def _read(host: Host, recipe: str) -> Iterator[Any]:
    """The only check of a recipe."""
    from ganlm_core.testing import Result

    reason = why_not(host, recipe)
    message = f"recipe '{recipe}' cannot be run: {reason}" if reason else ""
    yield Result(f"recipe '{recipe}'", "check_recipe", "failed" if reason else "passed", message)


def _case(host: Host, spec: ComponentSpec, settings: tuple[str, ...]) -> Any:
    """The component with the settings, of which it may have only some; a wrong value is an error."""
    from ganlm_core.testing import Case

    owner, changes = f"{spec.kind} '{spec.name}'", {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting} has no value; write --set OPTION=VALUE")
        field = spec.options.field(name, owner)
        changes[field.name] = field.convert(value, owner)
    return Case(spec, changes, host)


def _told(subject: object, results: Iterator[Any], as_json: bool) -> Iterator[Any]:
    """The results, shown as they come."""
    if not as_json:
        click.echo(str(subject))
    for result in results:
        if not as_json:
            click.echo(f"  {result.status:8}  {result.check:31}  {result.message}".rstrip())
        yield result
