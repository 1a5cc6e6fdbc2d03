"""Descriptions of components, recipes and trained models."""

from pathlib import Path

import pytest

from ganlm_core.bundle import zoo
from ganlm_core.cli.describe import CHOOSABLE, describe, summarize, summarize_recipe, summarize_weights
from ganlm_core.config.run_config import catalog
from ganlm_core.errors import UnknownName
from ganlm_core.plugins.host import Host, default_host


@pytest.fixture
def host() -> Host:
    return default_host()


def test_every_name_of_every_kind_is_described(host: Host) -> None:
    for kind in CHOOSABLE:
        for name in catalog(host, kind):
            summary, full = summarize(host, kind, name), describe(host, kind, name)
            assert summary.items() <= full.items()
            assert {option["help"] for option in full["options"]}.isdisjoint({""})


def test_every_recipe_is_described(host: Host) -> None:
    for name, path in host.recipes().items():
        full = describe(host, "recipe", name)
        assert summarize_recipe(name, path).items() <= full.items()
        assert full["kind"] == "recipe" and full["choices"]


def test_a_recipe_that_cannot_be_read_is_summed_up_by_its_error(tmp_path: Path) -> None:
    (tmp_path / "torn.toml").write_text("[training")
    assert "is not valid TOML" in summarize_recipe("torn", tmp_path / "torn.toml")["summary"]


def test_a_recipe_that_does_not_exist(host: Host) -> None:
    with pytest.raises(UnknownName, match="there is no recipe 'nothing'"):
        describe(host, "recipe", "nothing")


def test_trained_models_are_summed_up_by_size_scores_and_a_sentence() -> None:
    entry = next(iter(zoo.entries()))
    found = summarize_weights(entry)
    assert found["name"] == f"zoo:{entry.name}"
    assert found["summary"].startswith(f"{entry.size / 1e6:.1f} MB, ") and found["summary"].endswith(entry.sample)
