"""Evaluations as tables and as files: columns, marks, protocols, damage, and two writers at once."""

from dataclasses import replace
from pathlib import Path

import pytest

from ganlm_core.components import Measure
from ganlm_core.errors import FolderInUse, UsageError, WeightsError
from ganlm_core.evaluation.scores import (
    Row,
    Scores,
    column_of,
    discriminator_remark,
    discriminator_remark_in,
    metric_cells,
    ordered,
    results,
)
from ganlm_core.system.lock import locked

MEASURES = {
    "validity": [Measure("valid", "valid", "higher", "quality", share=True)],
    "bleu": [Measure("bleu2", "BLEU-2", "higher", "quality"), Measure("bleu3", "BLEU-3", "higher", "quality")],
}


def made(*rows: Row) -> Scores:
    return Scores(rows, MEASURES, {"seed": 0}, ("a note",))


MODEL = Row("model", "run", 0.5, 1000, {"bleu2": 0.75}, {"bleu": "1,000 hypotheses"})
REAL = Row("real", "real", None, 1000, {"bleu2": 0.5}, {"bleu": "900 hypotheses"})


def test_a_table_has_the_columns_in_which_a_row_has_a_value() -> None:
    assert made(MODEL, REAL).table().lines() == [
        ["", "T", "sentences", "BLEU-2 ↑"],
        ["run", "0.5", "1,000", "0.750*"],
        ["real text", "", "1,000", "0.500"],
    ]
    assert made(REAL).table(["validity"]).lines() == [["", "sentences"], ["real text", "1,000"]]


def test_a_value_has_the_same_digits_in_every_form_of_a_table() -> None:
    rows = [Row("model", "run", 1.0, 1000, {"valid": 0.0421, "bleu2": 12.3456}), REAL]
    table = made(*rows).table()
    assert table.lines()[1] == ["run", "1", "1,000", "4.2%", "12.35*"]
    assert "| run | 1 | 1,000 | 4.2% | 12.35* |" in table.markdown()
    assert r"run & 1 & 1,000 & $4.2$\% & $12.35$* \\" in table.latex()
    assert table.csv().splitlines()[1:] == [
        'run,1,"1,000",0.0421,,1,12.3456,,1,,,0',
        'real text,,"1,000",,,0,0.5,,1,,,0',
    ]


def test_the_marks_and_the_protocols_are_below_a_table() -> None:
    assert made(MODEL, REAL).table().notes == [
        "* better than real text: these samples cover only a mode of it",
        "bleu: 1,000 hypotheses (run)",
        "bleu: 900 hypotheses (real text)",
    ]
    assert made(REAL).table(["validity"]).notes == []


def test_groups_of_metrics_fit_beside_each_other() -> None:
    """Three columns name a row, so that a group has eight values at most, or one metric."""
    measures = {f"m{k}": [Measure(f"m{k}.{i}", str(i)) for i in range(size)] for k, size in enumerate((3, 5, 1, 9, 0))}
    values = {each.name: 1.0 for found in measures.values() for each in found}
    scores = Scores([Row("model", "run", 1, 9, values)], measures, {})
    assert list(scores.groups()) == [["m0", "m1"], ["m2"], ["m3"]]


def test_a_file_keeps_every_measure(tmp_path: Path) -> None:
    scores = made(MODEL, REAL)
    scores.write(tmp_path / "kept.json")
    assert Scores.read(tmp_path / "kept.json") == Scores(
        scores.rows, MEASURES, scores.conditions, scores.notes
    )  # fmt: skip
    assert {each["name"] for each in scores.to_dict()["measures"]} == {"valid", "bleu2", "bleu3"}


def test_a_mark_is_for_quality_that_is_better_than_real_text() -> None:
    assert made(MODEL, REAL).marked
    assert not made(MODEL).marked
    assert not made(Row("process", "process", values={"bleu2": 0.9}), REAL).marked
    assert not made(Row("model", "run", values={"bleu2": 0.4}), REAL).marked


def test_a_mark_is_for_more_than_two_standard_errors() -> None:
    real = replace(REAL, errors={"bleu2": 0.03})
    for value, marked in ((0.59, False), (0.61, True)):  # the error of the difference is 0.05
        assert made(Row("model", "run", 0.5, 1000, {"bleu2": value}, errors={"bleu2": 0.04}), real).marked == marked


def test_a_perfect_generator_is_the_ceiling_if_there_is_one() -> None:
    perfect = Row("process", "process", values={"bleu2": 0.8})
    assert made(MODEL, REAL).ceiling() == REAL
    assert made(MODEL, REAL, perfect).ceiling() == perfect
    assert not made(MODEL, REAL, perfect).marked


def test_without_a_ceiling_nothing_has_a_mark() -> None:
    scores = replace(made(MODEL, REAL), conditions={"real_is_ceiling": False})
    assert scores.ceiling() is None and not scores.marked


def test_rows_of_a_label_are_held_against_real_text_of_this_label() -> None:
    likely = Row("real label", "real text, x", values={"bleu2": 0.9}, label="x")
    rare = Row("real label", "real text, y", values={"bleu2": 0.6}, label="y")
    scores = made(MODEL, REAL, *(replace(MODEL, kind="label", label=name) for name in "xy"), likely, rare)
    marked = [row.label for row in scores.rows[2:] if scores.seeks_modes(row, MEASURES["bleu"][0])]
    assert marked == ["y"], "real text is above all real text for x, and below the model for y"


def test_protocols_name_their_rows_where_these_differ() -> None:
    assert list(made(MODEL, REAL).protocol("bleu")) == [
        "bleu: 1,000 hypotheses (run)", "bleu: 900 hypotheses (real text)"
    ]  # fmt: skip
    assert list(made(MODEL).protocol("bleu")) == ["bleu: 1,000 hypotheses"]


def test_a_file_is_not_replaced_without_force(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    path.write_text("mine")
    with pytest.raises(UsageError, match="already exists"):
        made(REAL).write(path)
    assert path.read_text() == "mine"
    made(REAL).write(path, force=True)
    assert Scores.read(path).rows == (REAL,)


def test_a_file_that_another_process_writes_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    with locked(path), pytest.raises(FolderInUse):
        made(REAL).write(path)
    assert not path.exists()
    made(REAL).write(path)
    assert [file.name for file in tmp_path.iterdir()] == ["kept.json"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"format": "other"}, "is not an evaluation of this version; make it again: ganlm eval RUN --force"),
        ({"format": "ganlm-evaluation", "format_version": 1}, "is damaged (KeyError('measures'))"),
        (
            {"format": "ganlm-evaluation", "format_version": 1, "measures": [{"metric": "a", "x": 1}]},
            "is damaged (TypeError(",
        ),
    ],
)
def test_a_damaged_file_is_refused(data: dict[str, object], message: str) -> None:
    with pytest.raises(WeightsError) as caught:
        Scores.from_dict(data, Path("kept.json"))
    assert str(caught.value).startswith("kept.json ")
    assert message in str(caught.value)


def test_results_are_rows_of_one_run_with_plugins_measures_last() -> None:
    evaluation = {
        "after": {"mine": 3.0, "distinct": 0.5, "test_nll": 2.0},
        "real": {"distinct": 1.0, "copied": 0.0},
        "samples": 100,
    }
    assert results(evaluation) == [
        [
            ["", "distinct", "copied", "held-out NLL", "mine"],
            ["after training", "50.0%", "-", "2.00", "3.00"],
            ["real text", "100.0%", "0.0%", "-", "-"],
        ]
    ]
    assert ordered(["b", "copied", "a", "valid"]) == ["valid", "copied", "a", "b"]
    assert metric_cells({"distinct": 0.5}) == ["-", "50.0%", "-", "-", "-"]


def test_what_discriminators_see_is_a_second_table_of_the_rows_that_have_it() -> None:
    evaluation = {"after": {"valid": 0.5, "tv": 0.25, "discriminator_accuracy": 0.55}, "real": {"valid": 1.0}}
    first, second = results(evaluation)
    assert first[0] == ["", "valid"] and len(first) == 3
    assert second == [["", "TV", "D accuracy"], ["after training", "0.250", "55.0%"]]


def test_what_a_discriminator_sees_is_a_part_of_what_there_is_to_see() -> None:
    """A fifth of a tenth above chance; nothing is said where a value is missing or where there is nothing to see."""
    assert discriminator_remark({"discriminator_accuracy": 0.52, "best_accuracy": 0.6}, 10_000, 10_000) == (
        "the discriminator is right on 52.0% of the sentences, the best possible one on 60.0%, and guessing on 50%: "
        "it sees 20% of what there is to see"
    )
    assert "it sees 0% of what there is to see, or none: chance explains its accuracy" in discriminator_remark(
        {"discriminator_accuracy": 0.49, "best_accuracy": 0.6}, 10_000, 10_000
    )
    assert (
        discriminator_remark({"discriminator_accuracy": 0.52}, 100, 100)
        == discriminator_remark({"best_accuracy": 0.6}, 100, 100)
        == ""
    )
    assert discriminator_remark({"discriminator_accuracy": 0.52, "best_accuracy": 0.502}, 100, 100) == ""


@pytest.mark.parametrize(
    ("accuracy", "real", "explained"),
    [(0.522, 1_000, True), (0.523, 1_000, False), (0.522, 5_000, True), (0.572, 50, True), (0.573, 50, False)],
)
def test_chance_explains_two_standard_errors(accuracy: float, real: int, explained: bool) -> None:
    """The accuracy is the mean of two shares: its standard error is 0.0112 for 1,000 sentences of each kind."""
    values = {"discriminator_accuracy": accuracy, "best_accuracy": 0.6}
    assert ("chance explains" in discriminator_remark(values, 1_000, real)) == explained
    told = discriminator_remark_in({"after": values, "samples": 1_000, "test_sentences": real})
    assert told == discriminator_remark(values, 1_000, real)
    earlier = {"after": values, "samples": 1_000}  # of a bundle of an earlier version
    assert discriminator_remark_in(earlier) == discriminator_remark(values, 1_000, 1_000)


def test_built_in_measures_have_titles_and_come_before_measures_of_plugins() -> None:
    assert ordered(["zeal", "tv", "valid", "discriminator_auc"]) == ["valid", "tv", "discriminator_auc", "zeal"]
    assert [column_of(name) for name in ("tv", "zeal")] == ["TV", "zeal"]
