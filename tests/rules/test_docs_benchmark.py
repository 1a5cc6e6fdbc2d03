"""docs/benchmark.md, docs/methods.md, the plan and the results beside the recipes agree."""

import shlex
import shutil
from collections import Counter
from itertools import product
from pathlib import Path

import click
import pytest

from ganlm_core.config.recipes import measured
from ganlm_core.config.run_config import read_layer
from ganlm_core.plugins.host import Host
from ganlm_core.sweep.job import Trained
from ganlm_core.sweep.settings import values_of
from ganlm_core.training.run_folder import RunFolder
from tests.scripts import benchmark
from tests.sweep.runs import finish

script = benchmark("benchmark")
HOST = Host.discover(no_plugins=True)
PLAN = read_layer(script.PLAN)["sweep"]


def test_the_pages_are_written_from_the_results() -> None:
    for name, text in script.pages(HOST, HOST.recipes()).items():
        assert (script.ROOT / "docs" / name).read_text(encoding="utf-8") == text, name


def test_the_plan_has_five_seeds_of_every_pair_of_a_recipe_and_a_corpus_but_four() -> None:
    plan = script.part(HOST, [], PLAN["variants"], values_of(PLAN["seed"]), "captions.txt")
    pairs = Counter((run.settings["recipe"], run.settings["variant"]) for run in plan.runs)
    left_out = {(recipe, "captions") for recipe in ("cot", "gsgan", "leakgan", "scratchgan")}
    assert pairs == dict.fromkeys(set(product(PLAN["recipe"], PLAN["variants"])) - left_out, 5)
    assert len(pairs) == 12 * 3 - 4 and plan.threads == 1
    named = script.part(HOST, ["gsgan"], ["captions"], ["0"], "captions.txt")
    assert [run.name for run in named.runs] == ["gsgan-seed0-captions"]


def test_a_recipe_and_a_corpus_that_the_plan_lacks_can_be_named() -> None:
    plan = script.part(HOST, ["passgan"], ["passwords"], ["3"])
    assert [(run.name, run.config.corpus.name) for run in plan.runs] == [("passgan-seed3-passwords", "passwords")]
    assert script.command("passgan", "passwords") == "ganlm run --recipe passgan --data passwords"


def test_a_part_without_runs_is_refused() -> None:
    with pytest.raises(click.UsageError, match="give it with --captions FILE"):
        script.part(HOST, ["mle"], ["captions"], ["0"])
    with pytest.raises(click.UsageError, match="the plan has no such run"):
        script.part(HOST, ["mle"], ["grammar"], ["00"])


def test_every_result_has_the_command_of_its_runs() -> None:
    for name, path in HOST.recipes().items():
        for corpus, result in measured(path).items():
            words = shlex.split(result["command"])
            assert words == shlex.split(script.command(name, corpus)), name
            assert all(run["after"] and run["machine"] for run in result["seeds"].values()), name


def test_a_part_of_the_plan_is_trained_and_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Path(shutil.copy(HOST.recipes()["mle"], tmp_path))
    plan = script.part(HOST, ["mle"], ["grammar"], ["0", "1"])
    assert [run.name for run in plan.runs] == ["mle-seed0-grammar", "mle-seed1-grammar"]
    unigram = {"test_nll": 4.0}
    for run, value in zip(plan.runs, (0.4, 0.6), strict=True):
        rows = {"before": {"test_nll": 2.0}, "after": {"distinct": value, "test_nll": 1.0 + value}}
        finish(RunFolder(tmp_path / run.name), "", rows | {"real": {"distinct": 1.0}, "unigram": unigram})
        script.keep(recipe, run, Trained(tmp_path / run.name))
    found = {"mle": measured(recipe)["grammar"]["seeds"]}
    mle, real, _ = script.table(found).rows
    assert [str(cell) for cell in mle] == ["`mle`", "2", "-", "50 ± 14%", "-", "-", "1.50 ± 0.14", "-", "2.00 ± 0.00"]
    assert str(real[3]) == "100 ± 0%"
    (changed,) = script.changes(found).rows
    assert str(changed[6]) == "-0.50 ± 0.14"
    assert "0 runs took" in script.pages(HOST, {"mle": recipe})["benchmark.md"]
    monkeypatch.setattr(script, "FEWEST", 2)
    assert "2 runs took" in script.pages(HOST, {"mle": recipe})["benchmark.md"]


def test_the_page_of_methods_has_every_recipe_and_what_differs_from_its_paper() -> None:
    page = (script.ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    sections = {name: text for name, _, text in (part.partition("`\n") for part in page.split("\n## `")[1:])}
    assert sections.keys() == HOST.recipes().keys()
    assert "ganlm run --recipe discriminator --from BUNDLE\n" in sections["discriminator"]
    assert "| `algorithm.adversarial.anchor` | 0.5 | none |\n" in sections["seqgan"]
    assert "training.batch_size" not in sections["seqgan"]  # equal to the paper's


@pytest.mark.parametrize("before", [{}, {"before": {"valid": 0.9}}, {"before": {"test_nll": 4.0}}])
def test_only_a_warm_up_that_learned_something_is_compared(before: dict[str, dict[str, float]]) -> None:
    run = {**before, "after": {"test_nll": 1.0}, "unigram": {"test_nll": 4.0}}
    assert not script.changes({"mle": {"0": run}}).rows
