"""``ganlm plugins``: the health of every plugin that was found, and tools for authors of plugins."""

from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

import click

from ganlm_core.cli.context import invocation
from ganlm_core.cli.health import health_in_full, why_not
from ganlm_core.cli.options import PATH, json_option
from ganlm_core.cli.output import echo, echo_json, echo_table, note
from ganlm_core.cli.types import Name, Word, settings_of
from ganlm_core.components import KINDS, ComponentSpec
from ganlm_core.errors import PluginError, UnknownName
from ganlm_core.plugins.host import Health, Host


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def plugins(context: click.Context, as_json: bool) -> None:
    """List the plugins with the status of each: ok, broken, incompatible, duplicate or disabled."""
    if context.invoked_subcommand is None:
        _list(as_json)


@plugins.command("list", short_help="list the plugins")
@json_option
def list_(as_json: bool) -> None:
    """List the plugins, as 'ganlm plugins' does."""
    _list(as_json)


@plugins.command(short_help="test whether a plugin meets its contract")
@click.argument("name", type=Name("plugin", *KINDS, "recipe"))
@click.option(
    "--set", "settings", multiple=True, metavar="OPTION=VALUE", help="set an option of the component; can be repeated"
)
@json_option
def check(name: str, settings: tuple[str, ...], as_json: bool) -> None:
    """Test whether the plugin or component NAME meets its contract. Each requirement is one check.

    Recipes are read, and every name and option in them is checked. Commands are imported.
    """
    from ganlm_core.testing import run_checks

    host = _host()
    specs, recipes, commands = named(host, name)
    cases = [_case(host, spec, settings) for spec in specs]
    results = [result for case in cases for result in _told(case, run_checks(case), as_json)]
    results += [result for recipe in recipes for result in _told(f"recipe '{recipe}'", _read(host, recipe), as_json)]
    results += [result for one in commands for result in _told(f"command '{one}'", _imported(host, one), as_json)]
    if as_json:
        echo_json([asdict(result) for result in results])
    failed = sum(result.status == "failed" for result in results)
    if failed:
        raise PluginError(f"{failed} of {len(results)} checks of '{name}' failed; each says what to change")
    count = f"{len(results)} check{'s' * (len(results) > 1)}"
    nothing = f"'{name}' has no components, recipes or commands, so there is nothing to check"
    note(f"{count} of '{name}', none failed" if results else nothing)


@plugins.command(short_help="create a new plugin")
@click.argument("name")
@click.option("--kind", required=True, type=Word(KINDS), metavar="KIND", help=f"one of {', '.join(KINDS)}")
@click.option("--out", type=PATH, metavar="FOLDER", help="the folder to create; by default ./NAME")
@json_option
def new(name: str, kind: str, out: Path | None, as_json: bool) -> None:
    """Create a distribution NAME with one working component: package, options, tests, README, licence and CI."""
    from ganlm_core.plugins.scaffold import create, use

    folder = out or Path(name)
    files = [str(path) for path in create(_host(), name, kind, folder)]
    if as_json:
        echo_json({"folder": str(folder), "files": files})
    else:
        for file in files:
            echo(file)
    note(f"test it: cd {folder} && pip install -e . && pytest")
    note(f"use it: {use(name, kind)}")


@plugins.command(short_help="diagnose this installation")
@json_option
def doctor(as_json: bool) -> None:
    """Show versions, the device and the health of plugins, with advice for each problem."""
    from ganlm_core.cli.doctor import examine

    report = examine(_host())
    if as_json:
        echo_json(asdict(report))
    else:
        echo_table(("name", "value"), [[name, value] for name, value in report.facts.items()])
        for problem in report.problems:
            echo()
            echo(problem.what)
            echo(f"  {problem.advice}")
        echo()
        if not report.problems:
            echo("no problems")
    if report.failed:
        raise PluginError(f"plugins that cannot be used: {', '.join(report.failed)}")


def named(host: Host, name: str) -> tuple[list[ComponentSpec], list[str], list[str]]:
    """Return the components, recipes and commands of the plugin ``name``, or else those that have this name.

    Raises UnknownName, or PluginError for a broken plugin.
    """
    plugins = [one for one in host.health if name in (one.name, f"{one.distribution}/{one.name}")]
    for health in plugins:
        if not health.usable:
            raise PluginError(f"{health}; 'ganlm plugins' shows all of them")
    if plugins:
        recipes, commands = ([*chain(*map(of, plugins))] for of in (host.recipes_of, host.commands_of))
        return [spec for one in plugins for spec in host.specs_of(one)], recipes, commands
    specs = [specs[name] for specs in map(host.specs, KINDS) if name in specs]
    recipes, commands = ([name] if name in known else [] for known in (host.recipes(), host.commands()))
    if not (specs or recipes or commands):
        known = [*(one.name for one in host.health), *(spec for kind in KINDS for spec in host.specs(kind))]
        raise UnknownName("plugin or component", name, known, hint="'ganlm plugins' and 'ganlm list' show them")
    return specs, recipes, commands


def _host() -> Host:
    """Discover the plugins of this call. Strict mode is off, because these commands show broken plugins."""
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
    """Yield the result of the only check of a recipe."""
    from ganlm_core.testing import Result

    reason = why_not(host, recipe)
    message = f"recipe '{recipe}' cannot be run: {reason}" if reason else ""
    yield Result(f"recipe '{recipe}'", "check_recipe", "failed" if reason else "passed", message)


def _imported(host: Host, name: str) -> Iterator[Any]:
    """Yield the result of the only check of a command."""
    from ganlm_core.testing import Result

    message = ""
    try:
        host.commands()[name].load(name)
    except PluginError as error:
        message = str(error)
    yield Result(f"command '{name}'", "check_command", "failed" if message else "passed", message)


def _case(host: Host, spec: ComponentSpec, settings: tuple[str, ...]) -> Any:
    """Return the component with these settings. Raises UsageError for an unknown option or a wrong value."""
    from ganlm_core.testing import Case

    owner, changes = f"{spec.kind} '{spec.name}'", {}
    for name, value in settings_of(settings, "--set").items():
        field = spec.options.field(name, owner)
        changes[field.name] = field.convert(value, owner)
    return Case(spec, changes, host)


def _told(subject: object, results: Iterator[Any], as_json: bool) -> Iterator[Any]:
    """Yield the results, and write each as it comes."""
    if not as_json:
        echo(str(subject))
    for result in results:
        if not as_json:
            echo(f"  {result.status:8}  {result.check:31}  {result.message}".rstrip())
        yield result
