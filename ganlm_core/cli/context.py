"""What every command shares: the options that all of them take, and the plugin host that these choose."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import click

from ganlm_core.plugins.host import Host, default_host


@dataclass
class Invocation:
    """One call of ``ganlm``: the plugin files and switches that it was given, wherever on the line they stood."""

    files: list[str] = field(default_factory=list)
    no_plugins: bool = False
    debug: bool = False

    @cached_property
    def host(self) -> Host:
        if self.files or self.no_plugins:
            return Host.discover(self.files, no_plugins=self.no_plugins)
        return default_host()


def invocation() -> Invocation:
    """That of the running command."""
    return click.get_current_context().ensure_object(Invocation)


def current_host() -> Host:
    """The plugin host of the running command. Raises PluginError."""
    return invocation().host


def shared_options(hidden: bool = False) -> list[click.Option]:
    """``--plugin``, ``--no-plugins`` and ``--debug``; they are read before the others, and harmless when read twice."""

    def add_files(context: click.Context, _: click.Parameter, files: tuple[str, ...]) -> None:
        known = context.ensure_object(Invocation).files
        known.extend(file for file in files if file not in known)

    def switch(context: click.Context, option: click.Parameter, value: bool) -> None:
        if value and option.name:
            setattr(context.ensure_object(Invocation), option.name, True)

    common: dict[str, Any] = {"expose_value": False, "is_eager": True, "hidden": hidden}
    return [
        click.Option(
            ["--plugin"], multiple=True, metavar="FILE", callback=add_files, help="load a plugin from a file", **common
        ),
        click.Option(["--no-plugins"], is_flag=True, callback=switch, help="load the built-in plugins only", **common),
        click.Option(["--debug"], is_flag=True, callback=switch, help="show where an error came from", **common),
    ]
