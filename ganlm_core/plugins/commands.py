"""Commands as data: the built-in ones, the options that every command takes, and those of plugins."""

from collections.abc import Iterator
from dataclasses import dataclass

import click

from ganlm_core.errors import PluginError
from ganlm_core.plugins.discovery import Origin
from ganlm_core.plugins.targets import load_target

COMMANDS = {
    "run": ("ganlm_core.cli.run:run", "train a generator against a discriminator"),
    "sample": ("ganlm_core.cli.sample:sample", "generate sentences with a trained model"),
    "score": ("ganlm_core.cli.score:score", "print the probability that each sentence of a file is real"),
    "eval": ("ganlm_core.cli.eval:eval_", "measure models and files of samples against real text"),
    "compare": ("ganlm_core.cli.compare:compare", "compare training methods at equal diversity, over seeds"),
    "sweep": ("ganlm_core.cli.sweep:sweep", "train many runs from one plan, here or on a cluster"),
    "matrix": ("ganlm_core.cli.matrix:matrix", "train every generator against every discriminator"),
    "serve": ("ganlm_core.cli.serve:serve", "open a page that shows runs, writes and judges sentences"),
    "report": ("ganlm_core.cli.report:report", "write a run as one HTML page: curves, samples and settings"),
    "bench": ("ganlm_core.cli.bench:bench", "measure how fast this machine trains and samples"),
    "weights": ("ganlm_core.cli.weights:weights", "inspect, verify, compare, export and share trained weights"),
    "list": ("ganlm_core.cli.list:list_", "list components and trained models by name"),
    "show": ("ganlm_core.cli.show:show", "show the options of a component, or a recipe"),
    "recipes": ("ganlm_core.cli.recipes:recipes", "list, show, copy and validate recipes"),
    "plugins": ("ganlm_core.cli.plugins:plugins", "list, check and create plugins"),
    "completion": ("ganlm_core.cli.completion:completion", "print a script for completion in bash, zsh or fish"),
    "help": ("ganlm_core.cli.help:help_", "show the help of a command"),
}
"""The dotted target and the help of each built-in command. No plugin can take their names."""

PLUGIN = "--plugin"

SWITCHES = {
    "--no-plugins": "load only the built-in plugins",
    "--debug": "show the traceback of an error",
    "--quiet": "show no progress and no notes; results, warnings and errors are still shown",
}
"""The options that every command takes beside PLUGIN, with their help."""


@dataclass(frozen=True)
class Command:
    """A command from a plugin: the dotted target of a click command, and one line of help."""

    target: str
    help: str
    origin: Origin

    def load(self, name: str) -> click.Command:
        """Import the click command.

        Raises PluginError if it cannot be imported, is something else, or has an option that every command takes.
        """
        title = f"command '{name}'"
        found = load_target(self.target, title, self.origin)
        if not isinstance(found, click.Command):
            raise PluginError(
                f"{title} of {self.origin} is a value of type {type(found).__name__}, and must be a "
                "click.Command; decorate its function with click.command()"
            )
        if taken := next((flag for flag in _flags(found) if flag in (PLUGIN, *SWITCHES)), ""):
            raise PluginError(
                f"{title} of {self.origin} has the option {taken}, which every command of ganlm has; rename its option"
            )
        return found


def _flags(command: click.Command) -> Iterator[str]:
    """Yield the flags of a command and of its subcommands."""
    for parameter in command.params:
        yield from (*parameter.opts, *parameter.secondary_opts)
    for subcommand in getattr(command, "commands", {}).values():
        yield from _flags(subcommand)
