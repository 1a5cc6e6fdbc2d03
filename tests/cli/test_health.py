"""The health of plugins with their targets and recipes."""

from pathlib import Path

import pytest

from ganlm_core.cli.health import health_in_full, why_not
from ganlm_core.plugins.host import Host, default_host

PLUGIN = """
from pathlib import Path
from ganlm_core.components import ComponentSpec, NoOptions
from ganlm_core.hookspecs import hookimpl

@hookimpl
def ganlm_components():
    yield ComponentSpec("loss", "lost", "nowhere.at_all:Loss", NoOptions, "its target is missing")

@hookimpl
def ganlm_recipes():
    return [Path(__file__).with_name("torn.toml")]
"""


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "mine.py").write_text(PLUGIN)
    (tmp_path / "torn.toml").write_text("[training]\nstepps = 3\n")
    return Host.discover([str(tmp_path / "mine.py")])


def test_missing_targets_and_broken_recipes_are_in_the_reason(host: Host) -> None:
    (mine,) = [one for one in health_in_full(host) if one.name == "mine"]
    lost, torn = mine.reason.split("; recipe ")
    assert lost.startswith("loss 'lost' cannot be built: ") and "nowhere" in lost
    assert torn.startswith("'torn' cannot be run: there is no training option 'stepps'")


def test_the_built_in_plugins_have_no_reason() -> None:
    assert [one.reason for one in health_in_full(default_host()) if one.distribution == "ganlm"] == [""] * sum(
        one.distribution == "ganlm" for one in default_host().health
    )


def test_why_a_recipe_cannot_be_run(host: Host) -> None:
    assert why_not(host, "mle") == ""
    assert why_not(host, "torn").startswith("there is no training option 'stepps'")
