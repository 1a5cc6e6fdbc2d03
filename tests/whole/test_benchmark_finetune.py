"""``benchmarks/finetune.py`` writes docs/finetune.md."""

import math
import shlex
from pathlib import Path
from types import ModuleType

import pytest

import ganlm_core
from ganlm_core.cli.run import run as run_command
from tests.conftest import Ganlm
from tests.environments import ROOT
from tests.scripts import benchmark

PAGE = (ROOT / "docs" / "finetune.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def finetune() -> ModuleType:
    return benchmark("finetune")


def test_questions_are_valid_under_their_grammar_and_statements_are_not(finetune: ModuleType) -> None:
    texts = ["does the dog sleep ?", "does the dog sleeps ?", "do the dogs sleep ?", "the dog sleeps ."]
    assert finetune.drawn(texts) == {"valid": 1 / 2, "distinct": 1.0}
    assert finetune.drawn(finetune.QUESTIONS.sample(200, 0))["valid"] == 1


def test_validity_is_interpolated_to_a_diversity(finetune: ModuleType) -> None:
    curve = [{"valid": 0.4, "distinct": 0.9}, {"valid": 0.8, "distinct": 0.7}]
    assert finetune.at_diversity(curve, 0.8) == pytest.approx(0.6)


def test_words_that_a_model_does_not_know_share_its_unknown_word(finetune: ModuleType) -> None:
    model = ganlm_core.load("zoo:lstm.mle-grammar")
    known, unknown = "the dog sleeps .", "do the dogs sleep ?"
    assert finetune.nll(model, [known]) == pytest.approx(-model.log_prob([known])[0] / 5)
    expected = (2 * math.log(3) - model.log_prob([unknown])[0]) / 6  # of does, do and ?, two are there
    assert finetune.nll(model, [unknown]) == pytest.approx(expected)


def test_a_row_has_means_and_deviations(finetune: ModuleType) -> None:
    values = [{"nll": nll, "valid": 0.5, "distinct": 1.0, "matched": nll / 4} for nll in (1.0, 2.0, 3.0)]
    assert finetune.cells(values) == ["2.00 ± 1.00", "50.0 ± 0.0%", "100.0 ± 0.0%", "50.0 ± 25.0%"]
    assert finetune.cells(values[:1])[0] == "1.00"


def test_the_page_has_the_commands_of_the_script(finetune: ModuleType) -> None:
    for method, words in finetune.METHODS.items():
        assert f"| {method} | " in PAGE
        assert f"ganlm run --data runs/finetune/questions-0.txt --seed 0 {words}\n" in PAGE


def test_the_page_has_the_text_of_its_template(finetune: ModuleType) -> None:
    """The numbers of the page are measured; every line of the template without a number is compared."""
    template = (ROOT / "benchmarks" / "finetune.md.j2").read_text(encoding="utf-8")
    fixed = [line for line in template.splitlines() if "{{" not in line and "{%" not in line]
    assert [line for line in fixed if line not in PAGE.splitlines()] == []


def test_every_flag_of_the_page_exists(ganlm: Ganlm) -> None:
    Path("my.txt").write_text("".join(f"the cat number {number} sleeps .\n" for number in range(200)))
    lines = [line.partition("#")[0] for line in PAGE.splitlines() if line.startswith("ganlm run ")]
    assert len(lines) >= 9 and run_command.name == "run"
    for line in lines:
        words = shlex.split(line.replace("BUNDLE", "zoo:lstm-conv.autoregressive-grammar"))[1:]
        words = [word.replace("runs/finetune/questions-0.txt", "my.txt") for word in words]
        words = ["zoo:lstm-conv.autoregressive-grammar" if word == "friend" else word for word in words]
        code, _, error = ganlm(*words, "--print-config")
        assert code == 0, error
