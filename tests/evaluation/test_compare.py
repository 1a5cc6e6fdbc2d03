"""``ganlm compare``: interpolation by hand, what is said of leads and spreads, and the command on kept evaluations."""

import json
import random
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ganlm_core.components import Measure
from ganlm_core.config.run_config import make_config
from ganlm_core.errors import UsageError
from ganlm_core.evaluation.compare import (
    Comparison,
    Contender,
    Point,
    Standing,
    chance,
    compare,
    interpolate,
    matched,
    means,
)
from ganlm_core.evaluation.scores import Row, Scores
from ganlm_core.training.run_folder import RunFolder
from tests.conftest import Ganlm

MEASURES = {
    "bleu": [Measure("bleu4", "BLEU-4", "higher", "quality")],
    "validity": [Measure("process_nll", "process NLL", "lower", "quality")],
    "self-bleu": [Measure("self_bleu4", "Self-BLEU-4", "lower", "diversity")],
}
REAL = Point(0.5, 0.4)
STEEP = [Point(0.8, 0.6), Point(0.6, 0.4), Point(0.4, 0.2)]
"""Self-BLEU-4 and BLEU-4 at rising temperatures: at that of real text, 0.5, the quality is 0.3."""


def above(points: Sequence[Point], by: float) -> list[Point]:
    return [Point(x, y + by) for x, y, _ in points]


def points(*pairs: tuple[float, float]) -> list[Point]:
    return [Point(*pair) for pair in pairs]


def scores(
    model: Sequence[Point], baseline: Sequence[Point] = (), beside: str = "run before", **conditions: object
) -> Scores:
    curves = [("model", "run", model), ("baseline", beside, baseline), ("real", "real", [REAL])]
    rows = [
        Row(kind, title, temperature, 100, {"self_bleu4": x, "bleu4": y, "process_nll": -y})
        for kind, title, found in curves
        for temperature, (x, y, _) in enumerate(found, start=1)
    ]
    conditions = {"corpus": "c", "sentences": 100, "test": {"sentences": 50}, "ganlm_version": "1", **conditions}
    return Scores(rows, MEASURES, {"seed": 0, **conditions})


def compared(groups: Mapping[str, Sequence[Scores]], quality: str = "bleu4") -> Comparison:
    return compare(groups, quality, "self_bleu4")


def test_quality_is_interpolated_where_diversity_is_that_of_real_text() -> None:
    found = compared({"steep": [scores(STEEP)], "flat": [scores(points((0.9, 0.3), (0.1, 0.1)))]})
    assert found.at == 0.5
    assert [(one.title, one.quality) for one in found.standings] == [
        ("steep", pytest.approx(0.3)),
        ("flat", pytest.approx(0.2)),
    ]


def test_a_curve_that_comes_back_counts_by_its_best_and_points_count_themselves() -> None:
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
def test_where_real_text_is_out_of_reach_the_nearest_that_all_have_is_taken(
    other: list[Point], at: float | None
) -> None:
    assert matched(0.5, [Contender("steep", [STEEP]), Contender("other", [other])]) == at


def test_a_lead_is_measured_by_what_chance_does() -> None:
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


def standing(values: Sequence[float], title: str = "") -> Standing:
    return Standing(title, len(values), statistics.fmean(values), statistics.stdev(values))


def test_the_interval_is_welchs() -> None:
    """Four values of variance 20/3 and three of variance 1: an error of 5/3 + 1/3, at 4.075 degrees of freedom.

    Student's t there is 2.7564, integrated; the table is straight between its points.
    """
    wide, narrow = standing([1, 3, 5, 7]), standing([0, 1, 2])
    assert chance(wide, narrow) == pytest.approx(2.7564 * 2**0.5, rel=0.001)
    assert chance(wide, narrow) == chance(narrow, wide)
    assert chance(standing([2, 2]), standing([1, 1])) == 0


@pytest.mark.parametrize(
    ("seeds", "share"), [((2, 2), 0.021), ((3, 3), 0.034), ((5, 5), 0.044), ((10, 10), 0.049), ((2, 5), 0.063)]
)
def test_equal_methods_are_rarely_told_apart(seeds: tuple[int, int], share: float) -> None:
    """The shares are of 40,000 cases; that of 2,000 has a standard deviation of 0.5% at most."""
    numbers, measures = random.Random(0), [MEASURES["bleu"][0], MEASURES["self-bleu"][0]]

    def apart() -> bool:
        standings = [standing([numbers.gauss() for _ in range(count)]) for count in seeds]
        return "more than chance" in Comparison(*measures, 0.5, REAL, standings).verdicts()[0]

    assert sum(apart() for _ in range(2000)) / 2000 == pytest.approx(share, abs=0.012)


def test_one_seed_shows_nothing() -> None:
    both = compared({"a": [scores(STEEP)], "b": [scores(above(STEEP, -0.1))]})
    assert both.verdicts() == [
        "a is ahead of b by 0.100 BLEU-4; with one seed each nobody knows whether chance does as much: train both with "
        "other --seed"
    ]
    other = compared({"a": [scores(STEEP), scores(above(STEEP, 0.02))], "b": [scores(above(STEEP, -0.1))]})
    assert other.verdicts() == [
        "a is ahead of b by 0.110 BLEU-4; with one seed of b nobody knows whether chance does as much: train it with "
        "other --seed"
    ]


def test_better_than_real_text_is_mode_seeking() -> None:
    found = compared({"a": [scores(above(STEEP, 0.2))]})
    assert found.verdicts() == ["a is better than real text (0.500 against 0.400): mode seeking"]
    likely = compared({"a": [scores(above(STEEP, 0.2))]}, "process_nll")
    assert likely.verdicts() == ["a is better than real text (-0.500 against -0.400): mode seeking"]


def test_lower_is_better_where_it_is() -> None:
    found = compared({"a": [scores(STEEP)], "b": [scores(above(STEEP, 0.05))]}, "process_nll")
    assert [one.title for one in found.standings] == ["b", "a"]


def test_a_warm_up_is_compared_as_a_method() -> None:
    found = compared({"a": [scores(STEEP, above(STEEP, 0.05))]})
    assert [one.title for one in found.standings] == ["a, before", "a"]


def test_a_baseline_that_several_runs_were_measured_beside_is_one() -> None:
    """It was trained with one seed, however often it was measured."""
    seeds = [scores(above(STEEP, by), STEEP, beside="mle") for by in (0.05, 0.06)]
    found = compared({"a": seeds})
    assert [(one.title, one.seeds) for one in found.standings] == [("a", 2), ("mle", 1)]


def test_curves_without_a_common_diversity_decide_nothing() -> None:
    found = compared({"a": [scores(STEEP)], "b": [scores(points((0.3, 0.9), (0.2, 0.8)))]})
    assert found.standings == []
    assert found.verdicts() == [
        "the curves have no Self-BLEU-4 in common, so nobody is ahead; evaluate all at more temperatures: "
        "ganlm eval RUN --temperatures 0.5,0.75,1,1.25,1.5 --force"
    ]


def test_what_does_not_compare_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        compared({"a": [scores(STEEP)], "b": [scores(STEEP, seed=1)]})
    assert str(caught.value) == (
        "the evaluations were made under different conditions (seed); make them anew with the same options: "
        "ganlm eval RUN --force"
    )
    with pytest.raises(UsageError) as caught:
        compared({"a": [scores(STEEP)]}, "self_bleu4")
    message = "there is no measure of quality 'self_bleu4' in the evaluation; it has bleu4, process_nll"
    assert str(caught.value) == message


def run(name: str, evaluation: Scores, seed: int, generator: str = "lstm", **settings: Any) -> None:
    config = make_config(generator, "conv", seed=seed, **settings)
    folder = RunFolder.create(Path(name), name, config.to_toml())
    evaluation.write(folder.evaluation)


def test_runs_that_differ_in_their_seed_are_one_method(ganlm: Ganlm) -> None:
    run("one", scores(STEEP), 0)
    run("two", scores(above(STEEP, 0.02)), 1)
    run("three", scores(above(STEEP, -0.1)), 0, "transformer")
    code, out, err = ganlm("compare", "one", "two", "three", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert [(one["title"], one["seeds"]) for one in found["standings"]] == [
        ("lstm against conv by autoregressive", 2),
        ("transformer against conv by autoregressive", 1),
    ]
    assert err == "page: compare.html\n"
    refused = "compare.html already exists; add --force to replace it, or choose another --out"
    assert ganlm("compare", "one", "two", "three") == (2, "", f"ganlm: error: {refused}\n")
    lines = ganlm("compare", "one", "two", "three", "--force")[1].splitlines()
    assert lines[0] == "BLEU-4 where Self-BLEU-4 is 0.500; that of real text is 0.500"
    assert lines[-1] == found["verdicts"][0]
    assert lines[-1] == (
        "lstm against conv by autoregressive is ahead of transformer against conv by autoregressive by 0.110 BLEU-4; "
        "with one seed of transformer against conv by autoregressive nobody knows whether chance does as much: train "
        "it with other --seed"
    )


def test_a_method_without_a_discriminator_is_called_by_its_generator(ganlm: Ganlm) -> None:
    run("one", scores(STEEP), 0)
    RunFolder(Path("one")).write_info(unused=["discriminator"])
    code, out, err = ganlm("compare", "one", "--json")
    assert code == 0, err
    assert [each["title"] for each in json.loads(out)["standings"]] == ["lstm by autoregressive"]


def test_methods_of_one_title_are_told_apart_by_where_their_runs_are(ganlm: Ganlm) -> None:
    """The folders have one name, which alone would make one method of two."""
    run("x/run", scores(STEEP), 0)
    run("y/run", scores(above(STEEP, -0.1)), 0, steps=7)
    code, out, err = ganlm("compare", "x/run", "y/run", "--json")
    assert code == 0, err
    title = "lstm against conv by autoregressive"
    assert [one["title"] for one in json.loads(out)["standings"]] == [f"{title} (x/run)", f"{title} (y/run)"]


def test_means_are_over_the_seeds_of_a_method_at_each_temperature() -> None:
    found = means({"a": [scores(STEEP, STEEP), scores(above(STEEP, 0.02))], "b": [scores(above(STEEP, 0.3))]})
    assert [(row.shown, row.temperature, row.values["bleu4"]) for row in found.rows] == [
        ("a", 1, pytest.approx(0.61)),
        ("a", 2, pytest.approx(0.41)),
        ("a", 3, pytest.approx(0.21)),
        *(("a, before", temperature, point.quality) for temperature, point in enumerate(STEEP, start=1)),
        *(("b", temperature, pytest.approx(point.quality + 0.3)) for temperature, point in enumerate(STEEP, start=1)),
        ("real text", 1, 0.4),
    ]


def test_the_page_says_who_is_ahead_and_what_is_too_good(ganlm: Ganlm) -> None:
    run("one", scores(above(STEEP, 0.2), STEEP), 0)
    run("<two>", scores(above(STEEP, 0.22)), 1)
    RunFolder(Path("one")).write_samples(None, ["a dog & a cat"])
    code, out, err = ganlm("compare", "one", "<two>", "--out", "page.html")
    assert (code, err) == (0, "page: page.html\n")
    page = Path("page.html").read_text()
    title = "lstm against conv by autoregressive"
    verdicts = [
        f"{title} is ahead of {title}, before by 0.210 BLEU-4; with one seed of {title}, before nobody knows "
        "whether chance does as much: train it with other --seed",
        f"{title} is better than real text (0.510 against 0.400): mode seeking",
    ]
    assert out.splitlines()[-2:] == verdicts
    assert all(f"<li>{verdict}</li>" in page for verdict in verdicts)
    assert page.count("<td>0.510*</td>") == 1  # where diversity is matched
    assert page.count("<td>0.610*</td>") == 1  # the mean at the second temperature
    assert "<li>a dog &amp; a cat</li>" in page
    assert "ganlm run --config one/config.toml\nganlm run --config &#39;&lt;two&gt;/config.toml&#39;" in page
    assert "ganlm compare one &#39;&lt;two&gt;&#39; --quality bleu4 --diversity self_bleu4" in page


def test_what_is_no_run_is_refused(ganlm: Ganlm) -> None:
    message = "there is no run at nowhere; give the folder that 'ganlm run' printed"
    assert ganlm("compare", "nowhere") == (2, "", f"ganlm: error: {message}\n")
    run("one", scores(STEEP), 0)
    Path("one/evaluation.json").write_text('{"format": "other"}')
    message = "one/evaluation.json is no evaluation of this version; make it anew: ganlm eval RUN --force"
    assert ganlm("compare", "one") == (4, "", f"ganlm: error: {message}\n")
    Path("one/evaluation.json").write_text('{"format": "ganlm-evaluation", "format_version": 1}')
    message = "one/evaluation.json is damaged (KeyError('measures')); make it anew: ganlm eval RUN --force"
    assert ganlm("compare", "one") == (4, "", f"ganlm: error: {message}\n")
