"""Captions: each number that a run shows has a sentence, and figures have an order."""

from pathlib import Path

from ganlm_core.evaluation.captions import ANY, CAPTIONS, caption_of, in_order
from ganlm_core.evaluation.report import evaluation_figures, training_figures
from ganlm_core.training.train import execute
from tests.conftest import WARM, tiny_config


def test_every_figure_of_the_default_run_has_a_caption_of_its_own(tmp_path: Path) -> None:
    folder = execute(tiny_config("lstm", "conv", algorithm_options=WARM, evaluate_every=3), out=tmp_path / "run")
    figures = [*training_figures(folder.metrics.steps()), *evaluation_figures(folder.metrics.interims(), {})]
    assert [figure.title for figure in figures if figure.caption == ANY] == []


def test_a_number_of_a_plugin_has_the_general_caption() -> None:
    assert caption_of("goals_met") == ANY
    assert caption_of("entropy") == CAPTIONS["entropy"] != ANY


def test_figures_are_in_the_order_of_the_captions_and_others_follow_by_name() -> None:
    assert in_order(["b", "entropy", "a", "losses"]) == ["losses", "entropy", "a", "b"]
