"""Options that every command takes, and the plugin host that they choose."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import click

from ganlm_core.plugins.commands import PLUGIN, SWITCHES
from ganlm_core.plugins.host import Host, default_host


@dataclass
class Invocation:
    """One call of ``ganlm``: the plugin files and switches of its command line, before or after the command."""

    files: list[str] = field(default_factory=list)
    no_plugins: bool = False
    debug: bool = False
    quiet: bool = False

    @cached_property
    def host(self) -> Host:
        if self.files or self.no_plugins:
            host = Host.discover(self.files, no_plugins=self.no_plugins)
            context = click.get_current_context(silent=True)
            if context and not context.resilient_parsing:  # else a line would land where the shell completes
                for line in host.renamed:
                    warnings.warn(line, stacklevel=2)
            return host
        return default_host()


def invocation() -> Invocation:
    """Return the invocation of the running command."""
    return click.get_current_context().ensure_object(Invocation)


def current_host() -> Host:
    """Return the plugin host of the running command. Raises PluginError."""
    return invocation().host


def is_quiet() -> bool:
    """Return whether the running command was given ``--quiet``; False outside of a command."""
    context = click.get_current_context(silent=True)
    return context is not None and context.ensure_object(Invocation).quiet


def shared_options(hidden: bool = False) -> Iterator[click.Option]:
    """Yield ``--plugin`` and the switches. They are parsed before all other options; parsing them twice is harmless."""

    def add_files(context: click.Context, _: click.Parameter, files: tuple[str, ...]) -> None:
        known = context.ensure_object(Invocation).files
        known.extend(file for file in files if file not in known)

    def switch(context: click.Context, option: click.Parameter, value: bool) -> None:
        if value and option.name:
            setattr(context.ensure_object(Invocation), option.name, True)

    common: dict[str, Any] = {"expose_value": False, "is_eager": True, "hidden": hidden}
    file = click.Path()
    yield click.Option(
        [PLUGIN],
        type=file,
        multiple=True,
        metavar="FILE",
        callback=add_files,
        help="load a plugin from a Python file",
        **common,
    )
    for flag, help in SWITCHES.items():
        yield click.Option([flag], is_flag=True, callback=switch, help=help, **common)
