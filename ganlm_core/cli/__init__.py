"""The command line. Each command is a module that is imported when it is called; torch is imported only in its body."""

import os
import re
import shlex
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from pathlib import Path
from typing import Any

import click

from ganlm_core.cli import output
from ganlm_core.cli.context import Invocation, shared_options
from ganlm_core.cli.streams import steady_streams
from ganlm_core.cli.types import Name
from ganlm_core.components import furthest
from ganlm_core.errors import GanlmError, Interrupted, OutOfMemory, UnknownName
from ganlm_core.plugins.commands import COMMANDS, Command
from ganlm_core.plugins.discovery import BUILT_IN, Origin
from ganlm_core.plugins.wording import blaming
from ganlm_core.system.memory import lacks_memory
from ganlm_core.system.signals import interrupting_signals
from ganlm_core.system.threads import wait_briefly
from ganlm_core.system.version import __version__

SYNONYMS = {"train": "run", "generate": "sample", "evaluate": "eval", "test": "eval", "plot": "report"}
"""The command that is meant by the name that another program may give it."""

COMPLETE = "_GANLM_COMPLETE"
"""The environment variable by which a shell asks for completions."""

EPILOG = (
    "Results go to standard output; progress and notes go to standard error. Exit codes: 0 success, 1 failure, "
    "2 wrong usage, 3 missing or broken plugin, 4 weights that fail verification, 130 interrupted."
)


class Formatter(click.HelpFormatter):
    """Help is printable, also the parts of it that plugins wrote."""

    def getvalue(self) -> str:
        return output.safe(super().getvalue())


class Context(click.Context):
    formatter_class = Formatter

    def invoke(self, callback: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call a command. A lack of memory becomes an error that names the option which asks for much."""
        try:
            return super().invoke(callback, *args, **kwargs)
        except Exception as error:
            if isinstance(error, GanlmError) or not lacks_memory(error):
                raise
            said = f" ({error})" if str(error) else ""
            raise OutOfMemory(f"there is no memory for this{said}; {_asking_less(self)}") from error


def _asking_less(context: click.Context) -> str:
    """Say which number of the call is furthest above its default, also where a file of settings gives it."""
    numbers = {
        each.opts[0]: (context.params.get(each.name or ""), getattr(each, "option", each).default)
        for each in context.command.get_params(context)
    }
    flag = furthest(numbers)
    return f"lower {flag}" if flag else "use a machine with more"


class LazyGroup(click.Group):
    """Knows all commands, built-in and from plugins, by name and help; imports only the one that is called."""

    context_class = Context

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_commands(ctx)]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        known = {} if name in COMMANDS else _commands(ctx)
        if name not in COMMANDS and name not in known:
            if ctx.resilient_parsing:  # the shell asks for completions
                return None
            raise UnknownName("command", name, known, hint="'ganlm --help' shows them", meant=SYNONYMS.get(name, ""))
        command = known[name] if name in known else _built_in(name)
        return _share_options(command.load(name))

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. An exception in a command of a plugin becomes a PluginError that names both."""
        try:
            return super().invoke(ctx)
        except (GanlmError, click.ClickException, click.Abort, click.exceptions.Exit, OSError):
            raise
        except Exception:
            name = ctx.invoked_subcommand or ""
            if name not in (commands := ctx.ensure_object(Invocation).host.commands()):
                raise
            with blaming(f"command '{name}' of {commands[name].origin}"):
                raise

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Read the shared options before an unknown command: it may come from a ``--plugin`` that follows it."""
        if args[0] not in COMMANDS:
            first = click.Command(args[0], params=[*shared_options()], add_help_option=False)  # list is a command here
            first.context_settings = {"ignore_unknown_options": True, "allow_extra_args": True}
            first.make_context(args[0], args[1:], parent=ctx, resilient_parsing=ctx.resilient_parsing)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.help) for name, command in _commands(ctx).items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[click.shell_completion.CompletionItem]":
        """Complete a command without importing any of them, or an option of ``ganlm``."""
        commands = _commands(ctx).items()
        found = [
            click.shell_completion.CompletionItem(name, help=command.help)
            for name, command in commands
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    params=list(shared_options()),
    context_settings={"max_content_width": 110, "help_option_names": ["-h", "--help"]},
    epilog=EPILOG,
)
@click.version_option(__version__, prog_name="ganlm", message="%(prog)s %(version)s", help="show the version")
@click.pass_context
def ganlm(context: click.Context) -> None:
    """A model zoo of GAN language models: any generator against any discriminator, chosen by name."""
    if context.invoked_subcommand is None:
        output.echo_data(context.get_help() + "\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ganlm`` and return its exit code."""
    wait_briefly()
    return run_command(ganlm, argv, "ganlm")


def run_command(command: click.Command, argv: Sequence[str] | None = None, name: str | None = None) -> int:
    """Run a command, such as the ``main`` of a script, and return its exit code.

    An error becomes one line on standard error, and so does a signal that the command itself does not handle.
    """
    invocation = Invocation()
    with steady_streams(), _telling_warnings(), interrupting_signals():
        try:
            _require_folder()
            result = command.main(args=argv, prog_name=name, standalone_mode=False, obj=invocation)
        except (click.Abort, KeyboardInterrupt):
            return _report("interrupted", Interrupted.exit_code, invocation)
        except click.ClickException as error:
            return _report(_usage(error), error.exit_code, invocation)
        except GanlmError as error:
            return _report(str(error), error.exit_code, invocation)
        except OSError as error:
            return _report(_unusable(error), GanlmError.exit_code, invocation)
        except Exception as error:
            where = "" if invocation.debug else "; --debug shows where"
            return _report(f"unexpected {type(error).__name__}: {error}{where}", GanlmError.exit_code, invocation)
    return result if type(result) is int else 0


def _tell_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    if not issubclass(category, DeprecationWarning | PendingDeprecationWarning):  # these are for developers
        output.warn(" ".join(str(message).split()))


@contextmanager
def _telling_warnings() -> Iterator[None]:
    """Write warnings of libraries like our own: on one line and printable, as they may quote any file."""
    kept = warnings.showwarning
    warnings.showwarning = _tell_warning
    try:
        yield
    finally:
        warnings.showwarning = kept


def _require_folder() -> None:
    """Raise GanlmError if the current folder was removed: Intel's library ends the process without one."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise GanlmError("the current folder was removed; change to another") from None


def _report(message: str, code: int, invocation: Invocation) -> int:
    if invocation.debug:
        output.trace()
    if COMPLETE not in os.environ:  # a message would land in the middle of the line that is completed
        output.error(message)
    return code


_NO_ARGUMENTS = getattr(click.exceptions, "NoArgsIsHelpError", ())
"""The error whose text is the whole help. Before version 8.2, click prints the help instead."""


def _unusable(error: OSError) -> str:
    if error.strerror is None:
        return str(error)
    return f"cannot use {error.filename or 'a file'}: {error.strerror}; check the path and its permissions"


def _usage(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    if context and isinstance(error, _NO_ARGUMENTS) and isinstance(context.command, click.Group):
        return f"a command is missing; choose one of {', '.join(context.command.list_commands(context))}"
    message = error.format_message().rstrip(".")
    if context is None:
        return message
    extra = _EXTRA.fullmatch(message)
    meant = _option_for(extra[1], context) if extra else ""
    return f"{message};{meant} '{context.command_path} --help' shows what it takes"


_EXTRA = re.compile(r"Got unexpected extra arguments? \((\S+).*\)")
"""click's message for arguments that a command does not take."""


def _option_for(word: str, context: click.Context) -> str:
    """Return a question that names the option which may be missing before a word; empty if there is none."""
    options = [each for each in context.command.get_params(context) if isinstance(each, click.Option)]
    with suppress(GanlmError):  # the host may not load
        host = context.ensure_object(Invocation).host
        for option in options:
            named = isinstance(option.type, Name) and option.type.fits(word, host)
            if named or ("-n" in option.opts and word.isdecimal()):
                return f" did you mean {option.opts[0]} {shlex.quote(word)}?"
    return ""


def _commands(context: click.Context) -> dict[str, Command]:
    return {name: _built_in(name) for name in COMMANDS} | context.ensure_object(Invocation).host.commands()


def _built_in(name: str) -> Command:
    return Command(*COMMANDS[name], Origin(BUILT_IN, __version__))


def _share_options(command: click.Command) -> click.Command:
    """Return a command that, like its subcommands, also takes the options of ``ganlm`` itself, hidden in its help."""
    shared = copy(command)
    shared.context_class = Context
    shared.params = [*command.params, *shared_options(hidden=True)]
    if isinstance(shared, click.Group):
        shared.commands = {name: _share_options(each) for name, each in shared.commands.items()}
    return shared


if __name__ == "__main__":
    sys.exit(main())
