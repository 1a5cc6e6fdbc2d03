"""Groups of runs: titles, notes on what differs, tables with spreads, curves with bands."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ganlm_core.config.make_config import make_config
from ganlm_core.evaluation.compare import compare
from ganlm_core.evaluation.repeated import (
    curves,
    curves_csv,
    differing,
    every_value,
    grouped,
    table,
    without_repeats,
)
from ganlm_core.training.run_folder import RunFolder
from tests.evaluations import STEEP, above, scores


def run(path: Path, length: int = 9, interims: tuple[float, ...] = (), **settings: Any) -> RunFolder:
    folder = RunFolder.make(path, path.name)
    folder.start(make_config("lstm", "conv", **settings))
    folder.write_info(shape={"vocabulary": 9, "length": length, "noise": 0})
    for step, value in enumerate(interims, start=1):
        folder.metrics.append({"step": step, "evaluation": {"distinct": value}})
    return folder


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_equal_titles_get_the_settings_that_differ() -> None:
    runs = [
        run(Path("a"), seed=1, steps=5),
        run(Path("b"), seed=2, steps=5),
        run(Path("c"), seed=1, steps=6),
        run(Path("d"), seed=1, steps=5, loss="hinge"),
    ]
    title = "lstm against conv by autoregressive"
    assert {name: [each.path.name for each in found] for name, found in grouped(runs).items()} == {
        f"{title} (steps 5)": ["a", "b"],
        f"{title} (steps 6)": ["c"],
        f"{title} with loss hinge": ["d"],
    }


def test_a_run_of_the_same_seed_is_a_repetition() -> None:
    one, other, again = (run(Path(name), seed=seed) for name, seed in (("one", 0), ("two", 1), ("three", 0)))
    assert without_repeats([one, other, again, one]) == ([one, other], [again, one])


def test_other_tokenizers_and_lengths_are_told() -> None:
    same = {"a": [run(Path("a"))], "b": [run(Path("b"), steps=3)]}
    assert differing(same) == []
    other = same | {"c": [run(Path("c"), length=20, tokenizer="char")]}
    tokenizers, lengths = differing(other)
    assert tokenizers == (
        "the runs have other tokenizers (word, vocabulary 10000: a, b; char, vocabulary 512: c), so values "
        "per token and perplexities are not comparable"
    )
    assert lengths == ("the runs write texts of other lengths (9: a, b; 20: c), so longer ones are cut in some of them")


def test_the_table_has_means_spreads_and_counts() -> None:
    evaluations = {"a": [scores(STEEP), scores(above(STEEP, 0.02))], "b": [scores(above(STEEP, -0.1))]}
    made = table(compare(evaluations, "bleu4", "self_bleu4"), evaluations)
    assert made.header == ["", "seeds", "BLEU-4 at equal diversity ↑", "process NLL ↓"]
    assert [[str(cell) for cell in row[:4]] for row in made.rows] == [
        ["a", "2", "0.310 ± 0.014", "-0.610 ± 0.014"],
        ["b", "1", "0.200", "-0.500"],
        ["real text", "", "0.400", "-0.400"],
    ]
    assert made.notes[0].startswith("Mean ± standard deviation over seeds; BLEU-4 where Self-BLEU-4 is 0.500")
    chosen = table(compare(evaluations, "bleu4", "self_bleu4"), evaluations, ["self_bleu4"])
    assert chosen.header[3:] == ["Self-BLEU-4 ↓"]


def test_every_value_has_a_row_for_each_temperature() -> None:
    made = every_value({"a": [scores(STEEP), scores(above(STEEP, 0.02))]})
    assert [[row[0], row[1], row[2], str(row[3])] for row in made.rows] == [
        ["a", "1", "2", "0.610 ± 0.014"],
        ["a", "2", "2", "0.410 ± 0.014"],
        ["a", "3", "2", "0.210 ± 0.014"],
        ["real text", "", "", "0.400"],
    ]


def test_a_value_that_a_seed_lacks_has_no_mean() -> None:
    lacking = scores(above(STEEP, 0.02))
    lacking = replace(lacking, rows=[replace(row, values={"self_bleu4": 0.5, "bleu4": 0.5}) for row in lacking.rows])
    made = every_value({"a": [scores(STEEP), lacking]})
    assert [str(cell) for cell in made.rows[0]] == ["a", "1", "2", "0.550 ± 0.071", "-", "0.65 ± 0.21"]


def test_curves_have_a_band_over_seeds() -> None:
    groups = {"a": [run(Path("a"), interims=(0.2, 0.4, 0.9)), run(Path("b"), interims=(0.4, 0.4), seed=1)]}
    figure = curves(groups)["distinct"]
    (curve,) = figure.curves
    assert (figure.title, list(curve.x), list(curve.y)) == ("distinct", [1, 2], pytest.approx([0.3, 0.4]))
    assert curve.band is not None
    assert list(curve.band.low) == pytest.approx([0.3 - 0.02**0.5, 0.4])
    assert "The band is one standard deviation over seeds" in figure.caption
    alone = curves({"a": groups["a"][:1]})["distinct"]
    assert alone.curves[0].band is None and "band" not in alone.caption


def test_a_step_without_a_finite_value_is_left_out_of_a_curve() -> None:
    (curve,) = curves({"a": [run(Path("a"), interims=(0.2, float("nan"), 0.4))]})["distinct"].curves
    assert (list(curve.x), list(curve.y)) == ([1, 3], [0.2, 0.4])


def test_curves_are_written_as_csv() -> None:
    assert curves_csv({"m": [run(Path("a"), interims=(0.5,), seed=3)]}).splitlines() == [
        "method,run,seed,step,measure,value",
        "m,a,3,1,distinct,0.5",
    ]
