"""Tables of evaluations and comparisons."""

import io
from dataclasses import replace

import pytest

from ganlm_core.cli import console, tables
from ganlm_core.components import Measure
from ganlm_core.evaluation.compare import compare
from ganlm_core.evaluation.scores import Row, Scores

BLEU = Measure("bleu4", "BLEU-4", "higher", "quality")
SELF = Measure("self_bleu4", "self-BLEU-4", "lower", "diversity")


def scores(shift: float = 0.0) -> Scores:
    rows = [
        Row("model", "run", temperature, sentences=10, values={"bleu4": 0.6 - 0.1 * temperature + shift,
                                                               "self_bleu4": 0.7 - 0.2 * temperature})
        for temperature in (0.7, 1.0, 1.3)
    ]  # fmt: skip
    real = Row("real", "real text", None, sentences=10, values={"bleu4": 0.4, "self_bleu4": 0.5})
    return Scores([*rows, real], {"bleu": [BLEU], "self-bleu": [SELF]}, {"seed": 0}, ())


def test_all_rows_and_measures_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    tables.show_scores(scores())
    out = capsys.readouterr().out
    assert all(text in out for text in ("BLEU-4", "self-BLEU-4", "real text", "0.530", "0.560"))


def test_metrics_that_do_not_fit_beside_each_other_get_tables_of_their_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tables.show_scores(scores())
    together = capsys.readouterr().out
    monkeypatch.setattr(tables, "WIDTH", 40)
    tables.show_scores(scores())
    apart = capsys.readouterr().out
    assert (together.count("─ \n"), apart.count("─ \n")) == (1, 2)


def test_a_comparison_in_a_pipe_has_all_its_digits(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    title = "a method of a name so long that it leaves no room for its numbers"
    found = compare({title: [scores(), scores(0.01)], "another": [scores(0.1)]}, "bleu4", "self_bleu4")
    tables.show_comparison(found)
    out = capsys.readouterr().out
    assert title in out and "…" not in out
    assert all(cell in out for line in found.table() for cell in line)


def test_hostile_titles_are_escaped() -> None:
    out = console.SafeConsole(file=io.StringIO(), width=200)
    row = replace(scores().rows[0], title="x\x1b[2J")
    out.print(tables.titled_rows(replace(scores(), rows=[row]).table(["bleu"]).lines()))
    assert "x\\x1b[2J" in out.file.getvalue()  # type: ignore[attr-defined]
