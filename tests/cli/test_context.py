"""Options of every command: they stand anywhere on the line, and choose the plugins."""

from pathlib import Path

import click
import pytest

from ganlm_core.cli.context import Invocation, is_quiet
from ganlm_core.plugins.host import default_host
from ganlm_core.system.cache import _tell
from tests.conftest import Ganlm
from tests.guests import GOOD, HEAD


def test_the_host_has_the_plugins_of_the_line(tall: Path) -> None:
    assert Invocation().host is default_host()
    assert "tall" in Invocation(files=[str(tall)]).host.specs("generator")
    assert "tall" not in Invocation(no_plugins=True).host.specs("generator")


def test_a_file_that_is_given_twice_is_loaded_once(ganlm: Ganlm, tall: Path) -> None:
    code, out, err = ganlm("--plugin", tall, "plugins", "--plugin", tall)
    assert (code, err) == (0, "")
    assert sum(line.startswith("tall ") for line in out.splitlines()) == 1


def test_a_file_whose_component_has_a_taken_name_is_told_once_with_the_name_to_use(
    ganlm: Ganlm, tmp_path: Path
) -> None:
    file = tmp_path / "my.py"
    file.write_text(HEAD + GOOD.replace("good", "hinge"))
    code, out, err = ganlm("show", "my.py/hinge", "--plugin", file)
    assert (code, err) == (0, f"warning: --plugin {file}: already taken: loss hinge (this one is my.py/hinge)\n")
    _, out, _ = ganlm("plugins", "check", "my.py/hinge", "--plugin", file)
    assert out.startswith("loss 'my.py/hinge'\n")


@pytest.mark.parametrize("arguments", [["--quiet", "recipes", "copy", "mle"], ["recipes", "copy", "mle", "--quiet"]])
def test_quiet_stands_anywhere(ganlm: Ganlm, arguments: list[str]) -> None:
    assert ganlm(*arguments) == (0, "", "")


def test_notes_of_lower_rooms_are_quiet_too(capsys: pytest.CaptureFixture[str]) -> None:
    for quiet in (False, True):
        with click.Context(click.Command("x"), obj=Invocation(quiet=quiet)):
            _tell("encoding a\x1b.txt")
    assert capsys.readouterr().err == "encoding a\\x1b.txt\n"


def test_nothing_is_quiet_outside_of_a_command() -> None:
    assert not is_quiet()
    with click.Context(click.Command("x"), obj=Invocation(quiet=True)):
        assert is_quiet()
