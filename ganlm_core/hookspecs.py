"""The contract with plugins: one page. A plugin is a module (or an object) with any of these functions.

An installed distribution names it in an entry point of the group ``ganlm``::

    [project.entry-points.ganlm]
    my-gru = "my_gru"

and a local file is given with ``--plugin FILE``. A plugin built for another version of this contract says so
with ``GANLM_PLUGIN_API = 2`` at its top level and is refused by this one; without the line, 1 is assumed.
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
    """The components of this plugin, as data. Import nothing heavy: targets are imported when they are built."""


@hookspec
def ganlm_recipes() -> Iterable[Path]:  # type: ignore[empty-body]
    """TOML files; the name of a recipe is the file's name without its ending."""


@hookspec
def ganlm_commands() -> Mapping[str, tuple[str, str]]:  # type: ignore[empty-body]
    """Extra subcommands: name -> (dotted target of a click command, one line of help)."""


@hookspec
def ganlm_run_started(folder: Path, config: Mapping[str, Any]) -> None:
    """A run begins or resumes. ``config`` is the resolved configuration as in ``config.toml``."""


@hookspec
def ganlm_step_ended(step: int, metrics: Mapping[str, float]) -> None:
    """The metrics of one logged step: what was also written to ``metrics.jsonl``."""


@hookspec
def ganlm_evaluated(step: int, evaluation: Mapping[str, Any], samples: list[str], final: bool) -> None:
    """A glance during training, or after it the ``final`` evaluation, with the sentences it was made from.

    Both may have the last step; only the final one has seen the test part.
    """


@hookspec
def ganlm_run_ended(status: str) -> None:
    """``status`` is ``finished``, ``interrupted`` or ``failed``. Called once for every run that started."""
