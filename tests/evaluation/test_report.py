"""The parts of a report: its figures, and the nearest training sentences."""

from pathlib import Path

from ganlm_core.data.corpus import Corpus
from ganlm_core.evaluation import report
from ganlm_core.training.run_folder import RunFolder


def test_curves_of_one_kind_share_a_figure() -> None:
    records = [
        {"step": 1, "mle_loss": 4.0, "mle_gradient_norm": 1.0, "tokens": 9},
        {"step": 2, "discriminator_loss": 1.5, "generator_loss": 0.5, "entropy": 2.0, "tokens": 20},
    ]
    found = {figure.title: [curve.name for curve in figure.curves] for figure in report.training_figures(records)}
    assert found == {
        "losses": ["mle", "discriminator", "generator"],
        "gradient norms": ["mle"],
        "entropy": ["entropy"],
    }
    interims = [{"step": 2, "evaluation": {"valid": 0.5}}]
    [valid] = report.evaluation_figures(interims, {"real": {"valid": 1.0}, "unigram": {"valid": 0.0}})
    assert (valid.curves[0].x, valid.curves[0].y) == ([2.0], [0.5])
    assert valid.levels == {"real text": 1.0, "unigram model": 0.0}


def test_a_long_curve_is_drawn_by_the_means_of_neighbours() -> None:
    records = [{"step": step, "loss": float(step % 2)} for step in range(1, 2 * report.POINTS + 1)]
    [figure] = report.training_figures(records)
    [curve] = figure.curves
    assert (len(curve.x), curve.x[0], set(curve.y)) == (report.POINTS, 1.5, {0.5})


def test_a_page_has_a_bound_of_figures_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    run, values = RunFolder(tmp_path), {f"n{number}": 1.0 for number in range(report.MOST + 3)}
    run.metrics.append({"step": 1, **{f"{name}_loss": value for name, value in values.items()}})
    run.metrics.append({"step": 1, "evaluation": values})
    [losses] = report.training_figures(run.metrics.steps())
    assert len(losses.curves) == len(report.evaluation_figures(run.metrics.interims(), {})) == report.MOST == 40
    assert list(report.left_out(run.metrics.steps(), run.metrics.interims())) == [
        "3 of 43 numbers of the training have no figure: a page has at most 40.",
        "3 of 43 metrics of the training have no figure: a page has at most 40.",
    ]


def test_values_that_were_not_finite_are_left_out_of_the_figures() -> None:
    """They are null in metrics.jsonl."""
    records = [{"step": 1, "mle_loss": None, "entropy": 1.0}, {"step": 2, "mle_loss": None, "entropy": None}]
    [losses, entropy] = report.training_figures(records)
    assert (losses.curves[0].x, entropy.curves[0].x, entropy.curves[0].y) == ([], [1.0], [1.0])
    quality, diversity = report.INTERIM_QUALITY, report.INTERIM_DIVERSITY
    interims = [{"step": 1, "evaluation": {quality: 0.5, diversity: None}},
                {"step": 2, "evaluation": {quality: 0.4, diversity: 9.0, "step": None}}]  # fmt: skip
    path = next(each for each in report.evaluation_figures(interims, {}) if each.title == "quality against diversity")
    assert (path.curves[0].x, path.curves[0].y, path.curves[0].labels) == ([9.0], [0.4], ["2"])


def test_the_nearest_training_sentence_shares_most_words_and_pairs() -> None:
    training = ["a dog runs .", "the cat sleeps .", "the dog runs in the city ."]
    one, other, same = report.nearest(["the dog runs .", "zebra", "the cat sleeps ."], Corpus("pets", training, [], []))
    # "the dog runs ." has 4 words and 3 pairs; with "a dog runs ." it shares dog, runs, . and "dog runs", "runs .".
    assert (one.training, one.shared) == ("a dog runs .", 2 * 5 / (7 + 7))
    assert (other.training, other.shared) == ("", 0.0)
    assert (same.training, same.shared) == ("the cat sleeps .", 1.0)


def test_the_nearest_of_lines_of_a_word_is_found_by_characters_as_the_metrics_count_them() -> None:
    """One of the three lines has a space."""
    [found] = report.nearest(["Parys"], Corpus("cities", ["Rome", "Paris", "New York"], [], []))
    assert (found.training, found.shared) == ("Paris", 2 * (4 + 2) / (9 + 9))
