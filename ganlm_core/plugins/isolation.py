"""Running a plugin's code so that whatever it does is known and stays with it: what it prints, imports and waits for.

It cannot be kept from everything. The time limit works in the main thread of systems with SIGALRM (not on Windows),
and interrupts Python code, sleeping and waiting; C code that does not come back cannot be interrupted, and os._exit, a
crash or what C code prints past Python's streams cannot be held back. A plugin is somebody's code in this process:
install those that you trust.
"""

import contextlib
import io
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from ganlm_core.errors import UsageError

HEAVY = ("torch", "numpy", "scipy", "pandas", "tokenizers", "transformers", "tensorflow", "jax")
"""Libraries whose import a user would feel in every command, and which an interruption would leave half imported."""

LIMIT = 10.0
"""Seconds that a plugin may take to be loaded: far more than a good one needs on a machine that is busy, for the clock
on the wall cannot tell a sleeping plugin from a waiting processor. GANLM_PLUGIN_TIMEOUT sets another, 0 for none."""


@dataclass
class Watched:
    """What was seen of some code: the seconds it took, and ``remarks`` on what it did that it should not."""

    seconds: float = 0.0
    remarks: tuple[str, ...] = ()


class TookTooLong(BaseException):
    """Raised in code that passed its time limit; no Exception, so that it is not taken for a failure to handle."""


@contextlib.contextmanager
def watched(limit: float) -> Iterator[Watched]:
    """Keep back what the code inside prints, and see what it imports. Raises TookTooLong after ``limit`` seconds."""
    found, printed, before = Watched(), io.StringIO(), set(sys.modules)
    started = time.perf_counter()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed), _time_limit(limit):
            yield found
    finally:
        found.seconds = time.perf_counter() - started
        heavy = [name for name in HEAVY if name in sys.modules and name not in before]
        found.remarks = tuple(_remarks(printed.getvalue(), heavy))


def time_limit() -> float:
    """What GANLM_PLUGIN_TIMEOUT allows. Raises UsageError if it is no number of seconds."""
    text = os.environ.get("GANLM_PLUGIN_TIMEOUT", "")
    try:
        limit = float(text or LIMIT)
    except ValueError:
        limit = -1.0
    if not 0 <= limit < float("inf"):
        raise UsageError(f"GANLM_PLUGIN_TIMEOUT is {text!r}; wanted a number of seconds, or 0 for no limit")
    return limit


def _remarks(printed: str, heavy: list[str]) -> Iterator[str]:
    words = " ".join(printed.split())
    if words:
        shown = words if len(words) <= 40 else f"{words[:40]}..."
        yield f"it printed {shown!r} while it was loaded"
    if heavy:
        yield f"it imports {' and '.join(heavy)} when it is loaded, which slows every command; let its targets do that"


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise TookTooLong inside after some seconds, and again after more, should the code have caught it."""
    import signal
    import threading

    main = threading.current_thread() is threading.main_thread()
    if not seconds or not main or not hasattr(signal, "setitimer") or any(signal.getitimer(signal.ITIMER_REAL)):
        yield
        return

    def start() -> None:
        signal.setitimer(signal.ITIMER_REAL, seconds, min(seconds, 0.1))

    def stop(number: int, frame: FrameType | None) -> None:
        if not _imports_heavy(frame):
            raise TookTooLong(f"it took longer than {seconds:g} s")
        start()  # how long that takes says more of the machine than of the plugin

    before: Any = signal.signal(signal.SIGALRM, stop)
    start()
    try:
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:  # once more, should the alarm have gone off between the two lines above
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _imports_heavy(frame: FrameType | None) -> bool:
    """Whether such a library is being imported: to break that off would break it for everybody else."""
    while frame is not None:
        if frame.f_code.co_name == "<module>" and str(frame.f_globals.get("__name__")).partition(".")[0] in HEAVY:
            return True
        frame = frame.f_back
    return False
