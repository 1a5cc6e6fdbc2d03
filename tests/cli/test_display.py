"""Progress of a run on a terminal, and the numbers beside it."""

import io
from types import SimpleNamespace
from typing import Any

import click
import pytest
from rich.console import Console

from ganlm_core.cli import display
from ganlm_core.cli.context import Invocation
from ganlm_core.cli.display import ProgressDisplay

VALUES = {"distinct": 0.5, "validation_nll": 1.25, "unheard_of": 3.0}


def display_of(quiet: bool) -> ProgressDisplay:
    with click.Context(click.Command("run"), obj=Invocation(quiet=quiet)):
        return ProgressDisplay()


def test_an_evaluation_is_a_line_and_three_samples(capsys: pytest.CaptureFixture[str]) -> None:
    display_of(False).evaluated(7, VALUES, ["one", "a [bold] sentence", "\x1b[2J", "four"])
    assert capsys.readouterr().err == (
        "step 7  distinct 50.0%  validation NLL 1.25\n  one\n  a [bold] sentence\n  \\x1b[2J\n"
    )


def test_quiet_leaves_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    quiet = display_of(True)
    quiet.evaluated(7, VALUES, ["one"])
    quiet.finishing(7)
    quiet.note("a note")
    quiet.warn("a warning")
    assert capsys.readouterr() == ("", "warning: a warning\n")


def test_the_bar_is_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert display_of(False).progress.disable
    terminal = Console(file=io.StringIO(), force_terminal=True)
    monkeypatch.setattr(display.console, "diagnostics", lambda: terminal)
    assert not display_of(False).progress.disable
    assert display_of(True).progress.disable


def test_the_line_shows_losses_and_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, Any]] = []
    bar = display_of(False)
    monkeypatch.setattr(bar.progress, "update", lambda task, **fields: shown.append(fields))
    monkeypatch.setattr(display, "time", SimpleNamespace(monotonic=iter([0.1, 2.0]).__next__))
    bar.clock = (0.0, 0.0)
    record = {"tokens": 40_000.0, "generator_loss": 1.5, "discriminator_loss": 0.25, "gradient": 9.0}
    bar.logged(1, record)  # too soon after the one before
    bar.logged(2, record)
    assert shown == [{"completed": 2, "numbers": "G 1.50  D 0.25  20k tok/s"}]
