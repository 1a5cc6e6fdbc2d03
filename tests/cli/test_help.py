"""``ganlm help`` and ``-h``."""

import click
import pytest

from ganlm_core.cli import ganlm as group
from ganlm_core.plugins.commands import COMMANDS
from tests.conftest import Ganlm


@pytest.mark.parametrize("command", [[], ["run"], ["weights", "verify"]], ids=" ".join)
def test_three_ways_to_the_same_help(ganlm: Ganlm, command: list[str]) -> None:
    code, out, err = ganlm("help", *command)
    assert (code, err) == (0, "")
    assert out.startswith(" ".join(["Usage: ganlm", *command]))
    assert ganlm(*command, "-h") == ganlm(*command, "--help") == (0, out, "")


def test_the_help_of_an_unknown_command(ganlm: Ganlm) -> None:
    message = "ganlm: error: there is no command 'smaple'; did you mean 'sample'? 'ganlm --help' shows them\n"
    assert ganlm("help", "smaple") == (2, "", message)


def subcommands(command: click.Command, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    inner = getattr(command, "commands", {})
    return [words] + [each for name in inner for each in subcommands(inner[name], (*words, name))]


def test_every_command_and_subcommand_takes_h(ganlm: Ganlm) -> None:
    context = click.Context(group)
    for name in COMMANDS:
        command = group.get_command(context, name)
        assert command is not None
        for words in subcommands(command, (name,)):
            code, out, err = ganlm(*words, "-h")
            assert (code, err) == (0, "")
            assert out.startswith(f"Usage: ganlm {' '.join(words)}")
