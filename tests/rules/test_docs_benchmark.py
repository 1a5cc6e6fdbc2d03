"""docs/benchmark.md, its plan and its results agree."""

from pathlib import Path

import pytest

from ganlm_core.plugins.host import Host
from ganlm_core.sweep.job import Trained
from ganlm_core.training.run_folder import RunFolder
from tests.scripts import benchmark
from tests.sweep.runs import finish

script = benchmark("benchmark")
HOST = Host.discover(no_plugins=True)


def test_the_page_is_written_from_the_results() -> None:
    assert script.PAGE.read_text(encoding="utf-8") == script.text(script.kept())


def test_the_plan_has_every_method_on_every_corpus_with_five_seeds(tmp_path: Path) -> None:
    captions = tmp_path / "captions.txt"
    captions.write_text("a man .\n")
    plan = script.whole(HOST, str(captions))
    assert len(plan.runs) == 10 * 5 * 3 and plan.threads == 1
    assert {run.settings["variant"] for run in plan.runs} == {"grammar", "oracle", "captions"}
    assert len(script.whole(HOST, None).runs) == 100


def test_every_result_is_of_a_run_of_the_plan() -> None:
    known = {
        tuple(str(run.settings[key]) for key in ("variant", "recipe", "seed"))
        for run in script.whole(HOST, "x.txt").runs
    }
    found = {
        (corpus, recipe, seed)
        for corpus, recipes in script.kept().items()
        for recipe, seeds in recipes.items()
        for seed in seeds
    }
    assert found <= known and found


def test_a_part_of_the_plan_is_trained_and_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "RESULTS", tmp_path / "results.json")
    plan = script.part(script.whole(HOST, None), ["mle"], ["grammar"], ["0", "1"])
    assert [run.name for run in plan.runs] == ["mle-seed0-grammar", "mle-seed1-grammar"]
    for run, value in zip(plan.runs, (0.4, 0.6), strict=True):
        finish(RunFolder(tmp_path / run.name), "", {"after": {"distinct": value}, "real": {"distinct": 1.0}})
        script.keep(run, Trained(tmp_path / run.name))
    (mle, real) = script.table(script.kept()["grammar"]).rows
    assert [str(cell) for cell in mle] == ["`mle`", "2", "-", "50 ± 14%", "-", "-", "-", "2.00 ± 0.00"]
    assert str(real[3]) == "100 ± 0%"
    assert "2 of the 150 runs of the plan are finished" in script.text(script.kept())
