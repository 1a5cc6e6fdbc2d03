"""Display: a run's reports while it trains."""

import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from ganlm_core.errors import GanlmWarning
from ganlm_core.metrics.judge import Values
from ganlm_core.training.run_folder import RunFolder
from ganlm_core.training.setup import Setup


class Display:
    """Receives what a run reports. This one shows nothing; the command line's shows progress."""

    def started(self, setup: Setup, folder: RunFolder, step: int) -> None: ...

    def logged(self, step: int, record: Mapping[str, float]) -> None: ...

    def evaluated(self, step: int, values: Values, samples: list[str]) -> None:
        """Show an interim evaluation; the final evaluation is in the bundle."""

    def finishing(self, weights_step: int) -> None:
        """Show that the final evaluation begins, with the weights of that step."""

    def note(self, line: str) -> None: ...

    def warn(self, line: str) -> None: ...

    def stopping(self) -> None:
        """Show that a signal asked the run to stop. Called in the signal's handler: it must not write."""

    def ended(self, folder: RunFolder, status: str) -> None: ...


class PythonWarnings(Display):
    """Passes notes and warnings of a run, such as a collapse, to Python's warnings. It shows nothing else."""

    def note(self, line: str) -> None:
        self.warn(line)

    def warn(self, line: str) -> None:
        warnings.warn(line, GanlmWarning, stacklevel=_level())


def _level() -> int:
    """Return the ``stacklevel`` with which the caller warns at the line of the program that called ganlm."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals["__name__"].startswith("ganlm_core."):
        frame, level = frame.f_back, level + 1
    return level


class SafeDisplay(Display):
    """Passes everything on to a display until it fails: output must never end a run.

    A closed stderr, a full log or a dead terminal makes it silent for the rest of the run. Warnings that Python turns
    into errors are raised.
    """

    def __init__(self, display: Display) -> None:
        self.display = self._given = display

    def started(self, setup: Setup, folder: RunFolder, step: int) -> None:
        self._show(self.display.started, setup, folder, step)

    def logged(self, step: int, record: Mapping[str, float]) -> None:
        self._show(self.display.logged, step, record)

    def evaluated(self, step: int, values: Values, samples: list[str]) -> None:
        self._show(self.display.evaluated, step, values, samples)

    def finishing(self, weights_step: int) -> None:
        self._show(self.display.finishing, weights_step)

    def note(self, line: str) -> None:
        self._show(self.display.note, line)

    def warn(self, line: str) -> None:
        self._show(self.display.warn, line)

    def stopping(self) -> None:
        self._show(self.display.stopping)

    def ended(self, folder: RunFolder, status: str) -> None:
        self._show(self._given.ended, folder, status)  # also after a failure: it may have a process to end

    def _show(self, show: Callable[..., None], *arguments: Any) -> None:
        try:
            show(*arguments)
        except Warning:
            raise
        except Exception:
            self.display = Display()
