"""The contract with plugins, on one page. A plugin is a module (or an object) with any of these functions.

An installed distribution names its plugin in an entry point of the group ``ganlm``::

    [project.entry-points.ganlm]
    my-gru = "my_gru"

A local file is loaded with ``--plugin FILE``. A plugin for another version of this contract says so with
``GANLM_PLUGIN_API = 2`` at its top level, and this version refuses it. Without the line, 1 is assumed.

The hooks that are called during a run get copies, and random numbers that they draw do not change the run. A hook that
raises, or that changes the working folder, torch's default dtype or its grad mode, is switched off for the run.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pluggy

from ganlm_core.components import ComponentSpec

GANLM_PLUGIN_API = 1
ENTRY_POINT_GROUP = "ganlm"

hookspec = pluggy.HookspecMarker("ganlm")
hookimpl = pluggy.HookimplMarker("ganlm")


@hookspec
def ganlm_components() -> Iterable[ComponentSpec]:  # type: ignore[empty-body]
    """Return the components of this plugin, as data. Import nothing heavy: targets are imported when they are built."""


@hookspec
def ganlm_recipes() -> Iterable[Path]:  # type: ignore[empty-body]
    """Return TOML files. The name of a recipe is the name of its file without the ending."""


@hookspec
def ganlm_commands() -> Mapping[str, tuple[str, str]]:  # type: ignore[empty-body]
    """Return extra commands: name -> (dotted target of a click command, one line of help)."""


@hookspec
def ganlm_pictures(config: Mapping[str, Any], samples: list[str]) -> Mapping[str, str]:  # type: ignore[empty-body]
    """Return pictures of samples for the report of a run: title -> ``<svg>`` element.

    ``config`` is the resolved configuration, as in ``config.toml``; return nothing for runs on text of another kind.
    """


@hookspec
def ganlm_run_started(folder: Path, config: Mapping[str, Any]) -> None:
    """Called when a run starts or resumes. ``config`` is the resolved configuration, as in ``config.toml``."""


@hookspec
def ganlm_step_ended(step: int, metrics: Mapping[str, float]) -> None:
    """Called with the metrics of each logged step, as written to ``metrics.jsonl``."""


@hookspec
def ganlm_evaluated(step: int, evaluation: Mapping[str, Any], samples: list[str], final: bool) -> None:
    """Called after each evaluation during training, and after the ``final`` one, with the evaluated sentences.

    Both may have the number of the last step. Only the final evaluation uses the test split.
    """


@hookspec
def ganlm_run_ended(status: str) -> None:
    """Called once for every run that started. ``status`` is ``finished``, ``interrupted`` or ``failed``."""
