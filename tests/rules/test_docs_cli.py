"""docs/command-line.md and the code agree: commands, shared options, exit codes."""

import re

import click
import pytest

from ganlm_core import errors
from ganlm_core.cli.context import shared_options
from ganlm_core.plugins.commands import COMMANDS
from tests.environments import ROOT

PAGE = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")


def table(header: str) -> dict[str, str]:
    """Return the two columns of the table with this header."""
    (rows,) = re.findall(rf"^\| {re.escape(header)} \|\n\|[-:|]+\|\n((?:\|.*\n)+)", PAGE, flags=re.MULTILINE)
    return dict([cell.strip() for cell in line.strip("|").split(" | ")] for line in rows.splitlines())


def test_the_page_lists_every_command_and_no_other() -> None:
    assert [name.strip("`") for name in table("command | what it does")] == list(COMMANDS)


def test_the_page_lists_the_options_of_every_command() -> None:
    documented = {flag for cell in table("option | meaning") for flag in re.findall(r"--[\w-]+", cell)}
    flags = {flag for option in shared_options() if isinstance(option, click.Option) for flag in option.opts}
    assert documented == flags | {"--help"}


@pytest.mark.parametrize("error", [one for one in vars(errors).values() if isinstance(one, type)])
def test_the_page_has_every_exit_code(error: type) -> None:
    if issubclass(error, errors.GanlmError):
        assert str(error.exit_code) in table("code | meaning")


def test_the_page_has_no_exit_code_that_no_error_has() -> None:
    codes = {one.exit_code for one in vars(errors).values() if isinstance(one, type) and hasattr(one, "exit_code")}
    assert {int(code) for code in table("code | meaning")} == codes | {0}
