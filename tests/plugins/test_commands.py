"""The commands as data: the built-in ones exist, and one of a plugin must be a command with options of its own."""

import click
import pytest

from ganlm_core.errors import PluginError
from ganlm_core.plugins.commands import COMMANDS, Command
from ganlm_core.plugins.discovery import Origin
from ganlm_core.plugins.host import Host
from tests.guests import Install

DANCING = """
import click

@click.command()
{}
def dance(**given):
    pass

@click.group()
def ball():
    pass

ball.add_command(dance)

@hookimpl
def ganlm_commands():
    return {{name: (f"{{__name__}}:{{name}}", "move") for name in ("dance", "ball")}}
"""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_built_in_command_is_a_click_command(name: str) -> None:
    assert isinstance(Command(*COMMANDS[name], Origin("ganlm", "1")).load(name), click.Command)


@pytest.mark.parametrize(
    ("option", "taken"),
    [
        ("'--quiet', is_flag=True", "--quiet"),
        ("'--loud/--quiet'", "--quiet"),
        ("'-p', '--plugin'", "--plugin"),
        ("'--debug', is_flag=True", "--debug"),
        ("'--no-plugins', is_flag=True", "--no-plugins"),
    ],
)
def test_an_option_that_every_command_has_is_refused(install: Install, option: str, taken: str) -> None:
    install(DANCING.format(f"@click.option({option})"))
    commands = Host.discover().commands()
    for name in ("dance", "ball"):
        with pytest.raises(PluginError) as caught:
            commands[name].load(name)
        assert str(caught.value) == (
            f"command '{name}' of some-zoo 2.5 has the option {taken}, which every command of ganlm has; "
            "rename its option"
        )


def test_other_options_are_allowed(install: Install) -> None:
    install(DANCING.format("@click.option('--quietly', is_flag=True)"))
    assert Host.discover().commands()["dance"].load("dance").params[0].name == "quietly"
