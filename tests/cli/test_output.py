"""Output of commands: what a terminal gets, what a pipe gets, and tables."""

import ast
import json
from pathlib import Path

import click
import pytest

from ganlm_core.cli import output
from ganlm_core.cli.context import Invocation
from tests.environments import ROOT

HOSTILE = "a\x1b]0;title\x07\u202eb"
ESCAPED = "a\\x1b]0;title\\x07\\u202eb"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output is a terminal of 40 columns."""
    monkeypatch.setattr(output, "_on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")


def test_data_stay_as_they_are_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    output.echo_data(f"{HOSTILE}\n")
    output.echo_json({"a": HOSTILE})
    data, _, printed = capsys.readouterr().out.partition("\n")
    assert (data, json.loads(printed)) == (HOSTILE, {"a": HOSTILE})


@pytest.mark.usefixtures("terminal")
def test_a_terminal_is_told_nothing_that_it_would_obey(capsys: pytest.CaptureFixture[str]) -> None:
    output.echo_data(f"{HOSTILE}\n")
    output.echo_styled(f"0.5  {output.styled(output.in_one_line(HOSTILE))}")
    output.echo(HOSTILE)
    assert capsys.readouterr().out == f"{ESCAPED}\n0.5  {ESCAPED}\n{ESCAPED}\n"


def test_text_for_people_and_tables_and_notes_are_escaped_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    output.echo(f"{HOSTILE}\nsecond")
    output.echo_table(("x", "y"), [[HOSTILE, "line\nbreak"]])
    output.note(HOSTILE)
    output.error(f"{HOSTILE}\n  {HOSTILE}")
    out, err = capsys.readouterr()
    assert out == f"{ESCAPED}\\nsecond\nx{' ' * len(ESCAPED)} y\n{ESCAPED}  line\\nbreak\n"
    assert err == f"{ESCAPED}\nganlm: error: {ESCAPED} {ESCAPED}\n"


@pytest.mark.usefixtures("terminal")
def test_long_lines_are_cut_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output.echo("a" * 10_000)
    assert capsys.readouterr().out == "a" * (output.LONGEST_LINE - 3) + "...\n"


def test_a_sentence_stays_one_line() -> None:
    assert output.in_one_line("a\r\nb\u2028c\x85d") == "a b c d"


def test_characters_that_the_encoding_lacks_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    output.echo_json({"file": "a\udcff"})
    assert json.loads(capsys.readouterr().out) == {"file": "a\udcff"}


ROWS = [["autoregressive-grammar", "the first of many words that do not fit", "12.5"], ["b", "short", "0.25"]]


def test_a_table_in_a_pipe_is_never_cut(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    output.echo_table(("name", "summary", "value"), ROWS)
    assert capsys.readouterr().out.splitlines()[1] == "  ".join(ROWS[0])


@pytest.mark.usefixtures("terminal")
def test_a_table_fits_the_terminal_and_breaks_at_spaces_and_hyphens(capsys: pytest.CaptureFixture[str]) -> None:
    output.echo_table(("name", "summary", "value"), ROWS)
    assert capsys.readouterr().out.splitlines() == [
        "name             summary           value",
        "autoregressive-  the first of      12.5",
        "grammar          many words that",
        "                 do not fit",
        "b                short             0.25",
    ]


def test_quiet_drops_notes_and_keeps_warnings_and_errors(capsys: pytest.CaptureFixture[str]) -> None:
    with click.Context(click.Command("x"), obj=Invocation(quiet=True)):
        output.note("a note")
        output.warn("a warning")
        output.error("an error")
    assert capsys.readouterr().err == "warning: a warning\nganlm: error: an error\n"


WRITERS = {"click.echo", "print", "sys.stdout.write", "sys.stderr.write", "click.secho", "Console"}


@pytest.mark.parametrize("file", sorted((ROOT / "ganlm_core" / "cli").rglob("*.py")), ids=lambda file: file.name)
def test_only_these_modules_write(file: Path) -> None:
    """Everything else goes through them, so that nothing is written unescaped."""
    if file.name in ("output.py", "console.py"):
        return
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    assert [call.lineno for call in calls if ast.unparse(call.func) in WRITERS] == []
