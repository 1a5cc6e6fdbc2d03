"""Tables: digits by the spread, and the forms for manuscripts and programs."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from ganlm_core.evaluation.tables import Number, Table, escaped

TABLE = Table(
    ["", "seeds", "BLEU-4 ↑"],
    [["a_b & 50%", "3", Number(0.4567, 0.031, 3)], ["real text", "", Number(0.5)], ["none", "", Number(None)]],
    caption="Results #1",
    notes=["Means over seeds."],
)


@pytest.mark.parametrize(
    ("mean", "spread", "text"),
    [
        (0.4567, 0.031, "0.457 ± 0.031"),
        (0.4567, 0.2, "0.46 ± 0.20"),
        (12.345, 2.1, "12.3 ± 2.1"),
        (1234.5, 250, "1,230 ± 250"),
        (-3.4567, 0.001, "-3.457 ± 0.001"),
        (1.79431, 0.0012, "1.794 ± 0.001"),
        (0.9871, 1e-17, "0.987 ± 0.000"),
        (0.9871, 1e-9, "0.987100 ± 0.000000"),
        (-0.00003, 0.028, "0.000 ± 0.028"),
        (1.5, 0.0, "1.50 ± 0.00"),
        (0.0, 0.12, "0.00 ± 0.12"),
        (12345.0, None, "12,345"),
        (0.0123456, None, "0.0123"),
        (None, None, "-"),
    ],
)
def test_the_spread_sets_the_digits_of_a_mean(mean: float, spread: float | None, text: str) -> None:
    assert str(Number(mean, spread)) == text


def test_shares_are_in_per_cent() -> None:
    assert str(Number(0.4567, 0.031, 3, share=True)) == "45.7 ± 3.1%"
    assert Number(0.4567, 0.031, 3, share=True).latex() == r"$45.7 \pm 3.1$\%"


def test_numbers_are_made_of_values() -> None:
    assert Number.of([1.0, 3.0]) == Number(2.0, 2**0.5, 2)
    assert Number.of([1.0]) == Number(1.0, None, 1)
    assert Number.of([]) == Number(None, None, 0)


def test_a_mean_over_rows_needs_a_value_of_each() -> None:
    assert Number.of_each([{"a": 1.0}, {"a": 3.0}], "a") == Number(2.0, 2**0.5, 2)
    assert Number.of_each([{"a": 1.0}, {"b": 3.0}], "a") == Number(None, None, 0)


def test_values_that_runs_of_one_seed_share_count_once() -> None:
    rows = [(0, {"a": 1.0}), (0, {"a": 1.0}), (1, {"a": 3.0}), (1, {"b": 3.0}), (1, {"a": 3.0})]
    assert Number.of_shared(rows, "a") == Number(2.0, 2**0.5, 2)


def test_csv_has_all_digits_the_spread_and_the_count() -> None:
    assert TABLE.csv().splitlines() == [
        "name,seeds,BLEU-4 ↑,BLEU-4 ↑ sd,BLEU-4 ↑ n",
        "a_b & 50%,3,0.4567,0.031,3",
        "real text,,0.5,,1",
        "none,,,,1",
    ]


def test_csv_runs_no_formula() -> None:
    assert Table(["name"], [["=1+1"]]).csv() == "name\n'=1+1\n"


def test_json_has_the_rows_by_title() -> None:
    found = json.loads(TABLE.json())
    assert found["rows"][0] == {
        "name": "a_b & 50%",
        "seeds": "3",
        "BLEU-4 ↑": {"mean": 0.4567, "sd": 0.031, "n": 3},
    }
    assert found["notes"] == ["Means over seeds."]


def test_markdown_has_a_row_a_line() -> None:
    assert TABLE.markdown().splitlines()[:3] == [
        "|  | seeds | BLEU-4 ↑ |",
        "| --- | ---: | ---: |",
        "| a_b & 50% | 3 | 0.457 ± 0.031 |",
    ]


def test_columns_without_a_value_are_left_out() -> None:
    table = Table(["", "a", "b"], [["x", "", Number(None)], ["y", "", Number(1.0)]])
    assert table.lines() == [["", "b"], ["x", "-"], ["y", "1.00"]]


def test_latex_uses_booktabs_and_escapes_its_text() -> None:
    lines = TABLE.latex().splitlines()
    assert r"\toprule" in lines and r"\bottomrule" in lines
    assert r"a\_b \& 50\% & 3 & $0.457 \pm 0.031$ \\" in lines
    assert r" & seeds & BLEU-4 $\uparrow$ \\" in lines
    assert (
        r" & \shortstack[r]{BLEU-4 at \\ equal \\ diversity} \\"
        in Table(["", "BLEU-4 at equal diversity"], [["x", "1"]]).latex()
    )
    assert escaped(r"\input{x}~^") == r"\textbackslash{}input\{x\}\textasciitilde{}\textasciicircum{}"


def test_latex_compiles(tmp_path: Path) -> None:
    """A real engine, where there is one."""
    latex = shutil.which("pdflatex")
    if latex is None:
        pytest.skip("there is no pdflatex here: LaTeX was not compiled")
    nasty = Table(["", 'a"b <c>'], [["".join(map(chr, range(33, 127))), Number(1234.5, 250, 3)]])
    body = TABLE.latex() + nasty.latex()
    source = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{chr(10)}{body}\end{{document}}"
    (tmp_path / "t.tex").write_text(source, encoding="utf-8")
    done = subprocess.run(
        [latex, "-interaction=nonstopmode", "-halt-on-error", "t.tex"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "t.pdf").stat().st_size > 1000


def test_text_is_on_the_left_and_numbers_on_the_right() -> None:
    table = Table(["", "summary", "valid", "seeds"], [["a", "2 words", "95.0%*", "2"], ["b", "-", Number(0.5), ""]])
    assert r"\begin{tabular}{llrr}" in table.latex()
    assert table.markdown().splitlines()[1] == "| --- | --- | ---: | ---: |"
