"""Comparisons: interpolation by hand, Welch's interval, and the sentences about leads and spreads."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from ganlm_core.components import Measure
from ganlm_core.errors import UsageError
from ganlm_core.evaluation.compare import (
    Comparison,
    Contender,
    Point,
    compare,
    interpolate,
    matched,
    means,
)
from ganlm_core.evaluation.scores import NO_ESTIMATE, Row, Scores
from tests.evaluations import STEEP, above, points, scores


def compared(groups: Mapping[str, Sequence[Scores]], quality: str = "bleu4") -> Comparison:
    return compare(groups, quality, "self_bleu4")


def test_quality_is_interpolated_at_the_diversity_of_real_text() -> None:
    found = compared({"steep": [scores(STEEP)], "flat": [scores(points((0.9, 0.3), (0.1, 0.1)))]})
    assert found.at == 0.5
    assert [(one.title, one.quality) for one in found.standings] == [
        ("steep", pytest.approx(0.3)),
        ("flat", pytest.approx(0.2)),
    ]


def test_the_best_quality_counts_where_a_curve_has_a_diversity_twice() -> None:
    curve = points((0.2, 0.1), (0.6, 0.5), (0.2, 0.3))
    assert interpolate(curve, 0.4, "higher") == pytest.approx(0.4)
    assert interpolate(curve, 0.4, "lower") == pytest.approx(0.3)
    assert interpolate(curve, 0.6, "higher") == 0.5


@pytest.mark.parametrize(
    ("other", "at"),
    [
        (points((0.9, 0.0), (0.3, 0.0)), 0.5),
        (points((0.9, 0.0), (0.7, 0.0)), 0.7),
        (points((0.45, 0.0), (0.1, 0.0)), 0.45),
        (points((0.3, 0.0), (0.1, 0.0)), None),
    ],
)
def test_the_nearest_common_diversity_is_used_if_real_text_is_out_of_reach(
    other: list[Point], at: float | None
) -> None:
    assert matched(0.5, [Contender("steep", [STEEP]), Contender("other", [other])]) == at


def test_a_lead_counts_if_chance_does_not_explain_it() -> None:
    """Seeds at 0.30 and 0.32: a standard deviation of 0.0141, and of the gap of two such means an error of 0.0141 too.

    At two degrees of freedom the interval is 4.303 times that to either side: 0.061.
    """
    seeds = [scores(STEEP), scores(above(STEEP, 0.02))]
    far = compared({"a": seeds, "b": [scores(above(STEEP, -0.10)), scores(above(STEEP, -0.12))]})
    assert [(one.seeds, one.spread) for one in far.standings] == [(2, pytest.approx(0.02 / 2**0.5))] * 2
    assert far.verdicts() == [
        "a is ahead of b by 0.120 BLEU-4, more than chance explains (95% interval: 0.059 to 0.181)"
    ]
    near = compared({"a": seeds, "b": [scores(above(STEEP, -0.02)), scores(above(STEEP, -0.04))]})
    assert near.verdicts() == [
        "a is ahead of b by 0.040 BLEU-4, which chance may explain (95% interval: -0.021 to 0.101): "
        "no difference is shown"
    ]


def test_leads_are_corrected_for_the_number_of_comparisons() -> None:
    """Alone, the lead of a over b is beyond chance; as one of three comparisons it is not."""
    seeds = [scores(STEEP), scores(above(STEEP, 0.02))]
    others = [scores(above(STEEP, -0.07)), scores(above(STEEP, -0.09))]
    assert "more than chance explains" in compared({"a": seeds, "b": others}).verdicts()[0]
    third = [scores(above(STEEP, -0.08)), scores(above(STEEP, -0.1))]
    first = compared({"a": seeds, "b": others, "c": third}).verdicts()[0]
    assert first == (
        "a is ahead of b by 0.090 BLEU-4, which chance may explain (95% interval: 0.029 to 0.151; p = 0.058, by Holm's "
        "correction for 3 comparisons): no difference is shown"
    )


def test_the_differences_of_all_pairs_are_in_the_json() -> None:
    seeds = [scores(STEEP), scores(above(STEEP, 0.02))]
    found = compared({"a": seeds, "b": [scores(above(STEEP, -0.10)), scores(above(STEEP, -0.12))]}).to_dict()
    (pair,) = found["differences"]
    assert pair["methods"] == ["a", "b"] and pair["difference"] == pytest.approx(0.12)
    assert pair["interval"] == [pytest.approx(0.0592, abs=1e-4), pytest.approx(0.1808, abs=1e-4)]
    assert pair["p"] == pair["p_holm"] == pytest.approx(0.0136, abs=1e-4)


def test_with_one_seed_a_lead_may_be_chance() -> None:
    both = compared({"a": [scores(STEEP)], "b": [scores(above(STEEP, -0.1))]})
    assert both.verdicts() == [
        "a is ahead of b by 0.100 BLEU-4; with one seed each this may be chance: train both with other values of --seed"
    ]
    other = compared({"a": [scores(STEEP), scores(above(STEEP, 0.02))], "b": [scores(above(STEEP, -0.1))]})
    assert other.verdicts() == [
        "a is ahead of b by 0.110 BLEU-4; with one seed of b this may be chance: train it with other values of --seed"
    ]


def test_seeds_with_equal_values_give_no_test() -> None:
    """A share near 100% is the same number for many seeds; others would differ."""
    found = compared({"a": [scores(STEEP)] * 2, "b": [scores(above(STEEP, -0.1))] * 2})
    assert found.differences() == {}
    assert found.verdicts() == [
        "a is ahead of b by 0.100 BLEU-4; the seeds of each have equal values, so there is no test: "
        "evaluate more sentences with -n"
    ]


def test_better_than_real_text_within_the_error_is_no_mode_seeking() -> None:
    found = compared({"a": [scores(above(STEEP, 0.2))]})
    (one,) = found.standings
    assert found.seeks_modes(replace(one, error=0.04)) and not found.seeks_modes(replace(one, error=0.06))
    assert not found.seeks_modes(replace(one, spread=0.15, seeds=4))
    assert not replace(found, ceiling=NO_ESTIMATE).seeks_modes(one)


def test_better_than_real_text_is_mode_seeking() -> None:
    found = compared({"a": [scores(above(STEEP, 0.2))]})
    assert found.verdicts() == ["a is better than real text (0.500 against 0.400): mode seeking"]
    likely = compared({"a": [scores(above(STEEP, 0.2))]}, "process_nll")
    assert likely.verdicts() == ["a is better than real text (-0.500 against -0.400): mode seeking"]


def test_the_lowest_is_first_for_a_measure_of_which_lower_is_better() -> None:
    found = compared({"a": [scores(STEEP)], "b": [scores(above(STEEP, 0.05))]}, "process_nll")
    assert [one.title for one in found.standings] == ["b", "a"]


def test_a_warm_up_takes_part_as_a_method() -> None:
    found = compared({"a": [scores(STEEP, above(STEEP, 0.05))]})
    assert [one.title for one in found.standings] == ["a before GAN training", "a"]


def test_a_baseline_of_several_runs_counts_once() -> None:
    """It was trained with one seed, however often it was measured."""
    seeds = [scores(above(STEEP, by), STEEP, beside="mle") for by in (0.05, 0.06)]
    found = compared({"a": seeds})
    assert [(one.title, one.seeds) for one in found.standings] == [("a", 2), ("mle", 1)]


def test_seeds_with_equal_values_count_each() -> None:
    found = compared({"a": [scores(STEEP, STEEP), scores(STEEP, STEEP), scores(above(STEEP, 0.03), STEEP)]})
    assert [(one.title, one.seeds) for one in found.standings] == [("a", 3), ("a before GAN training", 3)]
    assert found.standings[0].quality == pytest.approx(0.31)


def test_curves_without_a_common_diversity_are_not_compared() -> None:
    found = compared({"a": [scores(STEEP)], "b": [scores(points((0.3, 0.9), (0.2, 0.8)))]})
    assert found.standings == []
    assert found.verdicts() == [
        "the curves have no Self-BLEU-4 in common, so they cannot be compared; evaluate all runs at more temperatures: "
        "ganlm eval RUN --temperatures 0.5,0.75,1,1.25,1.5 --force"
    ]


def test_different_conditions_and_unknown_measures_are_refused() -> None:
    with pytest.raises(UsageError) as caught:
        compared({"a": [scores(STEEP)], "b": [scores(STEEP, seed=1)]})
    assert str(caught.value) == (
        "the evaluations were made under different conditions (seed); make them again with the same options: "
        "ganlm eval RUN --force"
    )
    with pytest.raises(UsageError) as caught:
        compared({"a": [scores(STEEP)], "b": [scores(STEEP, corpus="d", test={"sentences": 9})]})
    assert str(caught.value) == "the evaluations are on different texts, c and d (test); compare models of one text"
    with pytest.raises(UsageError) as caught:
        compared({"a": [scores(STEEP)]}, "self_bleu4")
    message = "there is no measure of quality 'self_bleu4' in the evaluation; it has bleu4, process_nll"
    assert str(caught.value) == message


def without(measure: str, found: Scores) -> Scores:
    """Return an evaluation whose generators have no value of a measure; real text has one."""
    rows = [
        row if row.is_reference else replace(row, values={key: row.values[key] for key in row.values if key != measure})
        for row in found.rows
    ]
    return replace(found, rows=rows)


def test_seeds_without_a_measure_are_told_and_methods_without_any_are_refused() -> None:
    groups = {"a": [scores(STEEP), without("bleu4", scores(STEEP))], "b": [scores(above(STEEP, 0.3))]}
    verdicts = compared(groups).verdicts()
    lost = "a: 1 of 2 evaluations have no BLEU-4 or no Self-BLEU-4 and are left out of its mean"
    assert verdicts[1] == lost
    with pytest.raises(UsageError, match="no model has BLEU-4 and Self-BLEU-4; choose other measures"):
        compared({"a": [without("bleu4", scores(STEEP))]})


def test_means_are_over_seeds_at_each_temperature() -> None:
    found = means({"a": [scores(STEEP, STEEP), scores(above(STEEP, 0.02))], "b": [scores(above(STEEP, 0.3))]})
    assert [(row.shown, row.temperature, row.values["bleu4"]) for row in found.rows] == [
        ("a", 1, pytest.approx(0.61)),
        ("a", 2, pytest.approx(0.41)),
        ("a", 3, pytest.approx(0.21)),
        *(("a before GAN training", temperature, point.quality) for temperature, point in enumerate(STEEP, start=1)),
        *(("b", temperature, pytest.approx(point.quality + 0.3)) for temperature, point in enumerate(STEEP, start=1)),
        ("real text", 1, 0.4),
    ]


NLL = [(9.0, 7.6), (8.0, 8.2), (7.0, 8.8)]
"""NLL of samples under the process and of real text under the model, at falling temperatures."""


def nlls(*pairs: tuple[float, float]) -> Scores:
    measures = {
        "process-nll": [Measure("process_nll_token", "process NLL/token", "lower", "quality")],
        "likelihood": [Measure("test_nll", "held-out NLL", "lower", "both"), Measure("length", "words")],
    }
    rows = [Row("model", "run", -x, 9, {"process_nll_token": x, "test_nll": y, "length": 20}) for x, y in pairs]
    real = Row("real", "real", None, 9, {"process_nll_token": 5.7, "test_nll": 5.7, "length": 20})
    return Scores([*rows, real], measures, {"seed": 0})


def test_any_measure_is_compared_at_any_value_of_any_other() -> None:
    """At 8.5 the first is at (7.6 + 8.2) / 2 and the second, which is worse everywhere, 0.5 above."""
    groups = {"a": [nlls(*((x, y + 0.5) for x, y in NLL))], "b": [nlls(*NLL)]}
    found = compare(groups, "test_nll", "process_nll_token", at=8.5)
    assert [one.title for one in found.standings] == ["b", "a"]
    assert [one.quality for one in found.standings] == pytest.approx([7.9, 8.4])
    assert str(found) == "held-out NLL where process NLL/token is 8.5; real text has 5.70"
    assert found.column == "held-out NLL at process NLL/token 8.5"
    assert not found.seeks_modes(found.standings[0])


def test_a_method_that_does_not_reach_the_value_is_named_and_has_no_standing() -> None:
    groups = {"a": [nlls(*NLL[:2])], "b": [nlls(*NLL), nlls(*NLL)]}
    found = compare(groups, "test_nll", "process_nll_token", at=7.5)
    assert [one.title for one in found.standings] == ["b"]
    assert found.verdicts()[-1] == "a does not reach process NLL/token 7.5: it has 8.00 to 9.00"


def test_a_value_that_no_method_reaches_is_refused() -> None:
    message = (
        r"^no model reaches process NLL/token 6: they have 7 to 9; evaluate at other temperatures: ganlm eval RUN "
    )
    with pytest.raises(UsageError, match=message):
        compare({"a": [nlls(*NLL)]}, "test_nll", "process_nll_token", at=6)


def test_a_measure_without_a_better_direction_has_no_standings() -> None:
    with pytest.raises(UsageError, match="neither a higher nor a lower words is better; choose another --quality"):
        compare({"a": [nlls(*NLL)]}, "length", "process_nll_token", at=8)
    with pytest.raises(UsageError, match="there is no measure 'tv' in the evaluation; it has process_nll_token, "):
        compare({"a": [nlls(*NLL)]}, "tv", "process_nll_token", at=8)
