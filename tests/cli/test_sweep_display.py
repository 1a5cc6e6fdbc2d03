"""The progress of a sweep: plain lines when a state changes, a table on a terminal, nothing with --quiet."""

import io
from pathlib import Path

import click
import pytest
from rich.console import Console

from ganlm_core.cli import sweep_display
from ganlm_core.cli.context import Invocation
from ganlm_core.cli.sweep_display import SweepDisplay
from ganlm_core.sweep.status import State, SweepStates


class Moving(SweepStates):
    """States that the test sets."""

    states: list[State]

    def look(self) -> list[State]:
        return self.states


@pytest.fixture
def watched() -> Moving:
    found = Moving([])
    found.states = [State("a", "waiting", 0, 6), State("b", "training", 2, 6, "here", 8.0)]
    return found


def test_a_line_is_written_when_a_state_changes(watched: Moving, capsys: pytest.CaptureFixture[str]) -> None:
    with SweepDisplay(watched) as display:
        display.look()
        display.look()
        watched.states = [
            State("a", "failed", 0, 6, failure="no such thing"),
            State("b", "training", 3, 6, "here", 8.0),
        ]
        display.look()
    assert capsys.readouterr().err.splitlines() == [
        "b: training on here, 2 of 6 steps, about 8 s left",
        "0 of 2 runs finished, 1 training, 1 waiting; about 20 s left",
        "a: failed, 0 of 6 steps: no such thing",
        "0 of 2 runs finished, 1 training, 1 failed; about 8 s left",
    ]


def test_a_terminal_has_a_line_for_each_run(watched: Moving, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sweep_display.console, "diagnostics", lambda: Console(file=out, force_terminal=True, width=100))
    with SweepDisplay(watched) as display:
        display.look()
    assert (
        "b  training  2/6  8 s  here" in " ".join(out.getvalue().split(" ")).replace("   ", "  ")
        or "training" in out.getvalue()
    )


def test_quiet_shows_nothing(watched: Moving, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with click.Context(click.Command("x"), obj=Invocation(quiet=True)), SweepDisplay(watched) as display:
        display.look()
    assert capsys.readouterr() == ("", "")
