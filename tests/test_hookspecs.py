"""The hooks: their names and arguments are the contract with plugins."""

import inspect

import pluggy
import pytest

from ganlm_core import hookspecs
from ganlm_core.hookspecs import ENTRY_POINT_GROUP, GANLM_PLUGIN_API, hookimpl

HOOKS = {
    "ganlm_components": [],
    "ganlm_recipes": [],
    "ganlm_commands": [],
    "ganlm_pictures": ["config", "samples"],
    "ganlm_run_started": ["folder", "config"],
    "ganlm_step_ended": ["step", "metrics"],
    "ganlm_evaluated": ["step", "evaluation", "samples", "final"],
    "ganlm_run_ended": ["status"],
}


def test_the_hooks_of_api_1_are_these() -> None:
    found = {
        name: list(inspect.signature(each).parameters) for name, each in vars(hookspecs).items() if name[:6] == "ganlm_"
    }
    assert (found, GANLM_PLUGIN_API, ENTRY_POINT_GROUP) == (HOOKS, 1, "ganlm")


def test_a_plugin_needs_only_the_arguments_that_it_reads() -> None:
    steps: list[int] = []

    class Plugin:
        @hookimpl
        def ganlm_step_ended(self, step: int) -> None:
            steps.append(step)

    manager = pluggy.PluginManager("ganlm")
    manager.add_hookspecs(hookspecs)
    manager.register(Plugin())
    manager.hook.ganlm_step_ended(step=3, metrics={})
    assert steps == [3]


def test_an_argument_that_the_hook_lacks_is_refused() -> None:
    class Plugin:
        @hookimpl
        def ganlm_step_ended(self, stage: int) -> None: ...

    manager = pluggy.PluginManager("ganlm")
    manager.add_hookspecs(hookspecs)
    with pytest.raises(pluggy.PluginValidationError, match="stage"):
        manager.register(Plugin())
