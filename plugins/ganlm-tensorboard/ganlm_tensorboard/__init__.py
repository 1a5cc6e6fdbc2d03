"""An observer that writes the metrics of runs as TensorBoard event files, into the folder GANLM_TENSORBOARD."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganlm_core.hookspecs import hookimpl

FOLDER = "GANLM_TENSORBOARD"
SHOWN = 8
"""Sentences to write per evaluation."""


class Observer:
    """Write to a folder with the run's name. Without the variable, write nothing and import nothing."""

    def __init__(self) -> None:
        self._writer: Any = None

    @hookimpl
    def ganlm_run_started(self, folder: Path) -> None:
        if os.environ.get(FOLDER):
            from ganlm_tensorboard.events import open_writer

            self._writer = open_writer(Path(os.environ[FOLDER]) / folder.name)

    @hookimpl
    def ganlm_step_ended(self, step: int, metrics: Mapping[str, float]) -> None:
        self._add("step", step, metrics)

    @hookimpl
    def ganlm_evaluated(self, step: int, evaluation: Mapping[str, float], samples: list[str], final: bool) -> None:
        self._add("final" if final else "evaluation", step, evaluation)
        if self._writer is not None:
            self._writer.add_text("samples", "\n\n".join(samples[:SHOWN]), step)

    @hookimpl
    def ganlm_run_ended(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer = None

    def _add(self, group: str, step: int, values: Mapping[str, float]) -> None:
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(f"{group}/{name}", value, step)


observer = Observer()
