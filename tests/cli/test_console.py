"""rich's console: escapes in what it is given, and no cut in a pipe."""

import io

import pytest
from rich.table import Table

from ganlm_core.cli import console
from ganlm_core.cli.tables import titled_rows


def test_control_characters_are_escaped_wherever_text_stands() -> None:
    out = console.SafeConsole(file=io.StringIO(), width=100)
    out.print("[bold]a[/]\x1b]0;title\x07\u202e", markup=True)
    out.print(titled_rows([["name", "value"], ["b\x1b[2J", "1"]]))
    text = out.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b" not in text and "\u202e" not in text
    assert "a\\x1b]0;title\\x07\\u202e" in text and "b\\x1b[2J" in text


def test_a_table_in_a_pipe_is_never_cut(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    title, numbers = "a long title of a method by a recipe of a long name", [f"0.{column:04}" for column in range(30)]
    console.results().print(titled_rows([["", *map(str, range(30))], [title, *numbers]]))
    out = capsys.readouterr().out
    assert title in out and all(number in out for number in numbers) and "…" not in out


def test_numbers_are_folded_on_a_narrow_terminal_and_not_dropped() -> None:
    out = console.SafeConsole(file=io.StringIO(), width=30, force_terminal=True, color_system=None)
    out.print(titled_rows([["", "first", "second", "third"], ["a method", "0.1234", "0.5678", "12,345.678"]]))
    text = out.file.getvalue()  # type: ignore[attr-defined]
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 30


def test_the_width_of_a_table_is_what_it_takes_uncut() -> None:
    table = Table(box=None, pad_edge=False, padding=0)
    table.add_column()
    table.add_row("a" * 500)
    assert console.width_of(table) == 500


def test_notes_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    console.diagnostics().print("note")
    assert capsys.readouterr() == ("", "note\n")
