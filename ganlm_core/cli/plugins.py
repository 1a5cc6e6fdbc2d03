"""``ganlm plugins``: the health of every plugin that was found."""

from dataclasses import asdict

import click

from ganlm_core.cli.context import invocation
from ganlm_core.cli.output import echo_json, echo_table, json_option
from ganlm_core.plugins import Host


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


def _list(as_json: bool) -> None:
    """The table is shown in strict mode too: there it is needed most."""
    asked = invocation()
    health = Host.discover(asked.files, no_plugins=asked.no_plugins, strict=False).health
    if as_json:
        echo_json([asdict(one) for one in health])
        return
    rows = [
        [
            one.name,
            one.distribution,
            one.version,
            one.status,
            f"{1000 * one.seconds:.0f} ms",
            one.reason or f"{len(one.components)} components",
        ]
        for one in health
    ]
    echo_table(("plugin", "distribution", "version", "status", "load time", "reason or contents"), rows)
