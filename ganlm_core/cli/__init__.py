"""The command line. Each command is a module of its own, imported when it is called; torch only inside its body."""

import sys
from collections.abc import Sequence

import click

from ganlm_core.cli.context import Invocation, current_host, shared_options
from ganlm_core.errors import GanlmError, Interrupted, UnknownName
from ganlm_core.plugins.discovery import BUILT_IN, Origin, load_target
from ganlm_core.plugins.host import Command
from ganlm_core.system.threads import wait_briefly
from ganlm_core.system.version import __version__

COMMANDS = {
    "run": ("ganlm_core.cli.run:run", "train a generator against a discriminator"),
    "sample": ("ganlm_core.cli.sample:sample", "draw sentences from trained weights"),
    "score": ("ganlm_core.cli.score:score", "the probability that each sentence of a file is real"),
    "eval": ("ganlm_core.cli.eval:eval_", "measure models and samples against real text"),
    "compare": ("ganlm_core.cli.compare:compare", "who is ahead at matched diversity, over seeds"),
    "matrix": ("ganlm_core.cli.matrix:matrix", "train every generator against every discriminator"),
    "report": ("ganlm_core.cli.report:report", "a run as one page: curves, samples and settings"),
    "bench": ("ganlm_core.cli.bench:bench", "how fast this machine trains and samples"),
    "weights": ("ganlm_core.cli.weights:weights", "inspect, verify, compare, export and share trained weights"),
    "list": ("ganlm_core.cli.list:list_", "what there is to choose from"),
    "show": ("ganlm_core.cli.show:show", "a component with its options, or a recipe"),
    "recipes": ("ganlm_core.cli.recipes:recipes", "list, show, copy and validate recipes"),
    "plugins": ("ganlm_core.cli.plugins:plugins", "the plugins, and what became of each"),
}


class LazyGroup(click.Group):
    """Knows its commands, the plugins' among them, by name and help; imports the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_commands())

    def get_command(self, ctx: click.Context, name: str) -> click.Command:
        known = {} if name in COMMANDS else _commands()
        if name not in COMMANDS and name not in known:
            raise UnknownName("command", name, known, hint="'ganlm --help' shows them")
        command = known[name] if name in known else _built_in(name)
        return _share_options(load_target(command.target, f"command '{name}'", command.origin))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.help) for name, command in _commands().items()])


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    params=list(shared_options()),
    context_settings={"max_content_width": 110},
)
@click.version_option(__version__, prog_name="ganlm", message="%(prog)s %(version)s")
@click.pass_context
def ganlm(context: click.Context) -> None:
    """A model zoo of GAN language models: any generator against any discriminator, by name."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; give its exit code. Errors become one line on stderr."""
    wait_briefly()
    invocation = Invocation()
    try:
        result = ganlm.main(args=argv, prog_name="ganlm", standalone_mode=False, obj=invocation)
    except click.Abort:
        return _report("interrupted", Interrupted.exit_code, invocation)
    except click.ClickException as error:
        return _report(_usage(error), error.exit_code, invocation)
    except GanlmError as error:
        return _report(str(error), error.exit_code, invocation)
    except OSError as error:
        return _report(str(error), GanlmError.exit_code, invocation)
    except Exception as error:
        where = "" if invocation.debug else "; --debug shows where"
        return _report(f"unexpected {type(error).__name__}: {error}{where}", GanlmError.exit_code, invocation)
    return result if type(result) is int else 0


def _report(message: str, code: int, invocation: Invocation) -> int:
    if invocation.debug:
        import traceback

        traceback.print_exc()
    click.echo(f"ganlm: error: {' '.join(message.split())}", err=True)
    return code


def _usage(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    hint = f"; '{context.command_path} --help' shows what it takes" if context else ""
    return error.format_message().rstrip(".") + hint


def _commands() -> dict[str, Command]:
    """The built-in commands and those of plugins, which are ``distribution/name`` if a built-in has the name."""
    commands = {name: _built_in(name) for name in COMMANDS}
    for name, command in current_host().commands().items():
        commands[f"{command.origin.distribution}/{name}" if name in COMMANDS else name] = command
    return commands


def _built_in(name: str) -> Command:
    return Command(*COMMANDS[name], Origin(BUILT_IN, __version__))


def _share_options(command: click.Command) -> click.Command:
    """Let a command and its subcommands take the options of ``ganlm`` itself, without repeating them in its help."""
    if not any(option.name == "no_plugins" for option in command.params):
        command.params.extend(shared_options(hidden=True))
    for subcommand in getattr(command, "commands", {}).values():
        _share_options(subcommand)
    return command


if __name__ == "__main__":
    sys.exit(main())
