"""``benchmarks/selection.py`` writes docs/sampling.md."""

from types import ModuleType

import pytest

import ganlm_core
from ganlm_core.bundle.select import SELECTIONS
from ganlm_core.data.grammar import Grammar
from tests.environments import ROOT
from tests.scripts import benchmark


@pytest.fixture(scope="module")
def selection() -> ModuleType:
    return benchmark("selection")


def test_sentences_are_measured_under_the_exact_grammar(selection: ModuleType) -> None:
    texts = ["the dog sleeps .", "the dogs sleep .", "the dogs sleeps .", "the dog sleeps ."]
    exact = Grammar().log_prob(texts)
    assert selection.measure(texts) == {
        "valid": 3 / 4,
        "process_nll": pytest.approx(-(2 * exact[0] + exact[1]) / 3),
        "distinct": 3 / 4,
    }


def test_the_equally_diverse_temperature_is_interpolated(selection: ModuleType) -> None:
    curve = {
        "temperature 1.0": {"valid": 0.8, "process_nll": 15.0, "distinct": 0.9},
        "temperature 0.5": {"valid": 1.0, "process_nll": 9.0, "distinct": 0.5},
        "temperature 0.8": {"valid": 0.9, "process_nll": 13.0, "distinct": 0.7},
    }
    assert selection.at_diversity(curve, 0.8) == {"valid": pytest.approx(0.85), "process_nll": pytest.approx(14)}
    assert selection.at_diversity(curve, 0.6) == {"valid": pytest.approx(0.95), "process_nll": pytest.approx(11)}
    assert selection.at_diversity(curve, 0.95) is None and selection.at_diversity(curve, 0.4) is None


def test_the_page_has_a_row_for_each_method_of_each_pair(
    selection: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "TEMPERATURES", (1.0, 0.5))
    model = ganlm_core.load("zoo:lstm-conv.autoregressive-grammar")
    found = selection.compare(model, "ganlm run --some thing", count=40, candidates=4)
    page = selection.page({"one": found, "two": found}, count=40, candidates=4)
    for method, row in found.rows.items():
        assert page.count(f"| `{method}` | {' | '.join(row)} |\n") == 2
    assert found.rows.keys() == SELECTIONS.keys() and "\n### two\n" in page
    assert page.count("| temperature 0.5 | ") == 2 and page.count("ganlm run --some thing\n") == 2


def test_the_page_has_the_pairs_of_the_script(selection: ModuleType) -> None:
    page = (ROOT / "docs" / "sampling.md").read_text(encoding="utf-8")
    assert all(f"ganlm run {arguments}\n" in page for arguments in selection.PAIRS.values())
