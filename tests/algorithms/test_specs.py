"""The built-in training components: every class of the room is registered under one name."""

import importlib
import inspect
from pathlib import Path

import pytest

from ganlm_core.algorithms import losses, penalties, specs
from ganlm_core.components import ComponentSpec
from ganlm_core.plugins.host import Host
from ganlm_core.protocol import Loss, Penalty

SPECS = list(specs.ganlm_components())


@pytest.mark.parametrize("spec", SPECS, ids=[f"{spec.kind}-{spec.name}" for spec in SPECS])
def test_the_target_exists_and_the_summary_is_one_line(spec: ComponentSpec) -> None:
    module, _, name = spec.target.partition(":")
    assert inspect.isclass(getattr(importlib.import_module(module), name))
    assert spec.summary and "\n" not in spec.summary and not spec.summary.endswith(".")


@pytest.mark.parametrize(
    ("module", "base", "abstract"), [(losses, Loss, set()), (penalties, Penalty, {"GradientPenalty"})]
)
def test_every_loss_and_penalty_is_registered(module: object, base: type, abstract: set[str]) -> None:
    written = {name for name, value in vars(module).items() if inspect.isclass(value) and issubclass(value, base)}
    registered = {spec.target.partition(":")[2] for spec in SPECS}
    assert written - {base.__name__} - abstract <= registered


def test_the_recipes_are_the_toml_files_of_the_room() -> None:
    recipes = list(specs.ganlm_recipes())
    assert {path.stem for path in recipes} >= {"autoregressive", "mle", "seqgan", "cot"}
    assert {path.parent for path in recipes} == {Path(specs.__file__).parent / "recipes"}


def test_the_host_knows_every_built_in_reward() -> None:
    known = Host.discover(no_plugins=True).specs("reward")
    assert {spec.name for spec in specs.REWARDS} <= known.keys()
