"""Run a plugin's code in isolation: notice what it prints, imports and changes, and stop it when it takes too long.

The isolation has limits. The time limit works in the main thread of systems with SIGALRM (not on Windows). It
interrupts Python code, sleeping and waiting, but not C code that does not return. It cannot stop ``os._exit`` or a
crash, nor catch what C code prints directly. A plugin runs in this process: install only what you trust.
"""

import contextlib
import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import click

from ganlm_core.components import number
from ganlm_core.errors import UsageError
from ganlm_core.system.printable import printable

HEAVY = ("torch", "numpy", "scipy", "pandas", "tokenizers", "transformers", "tensorflow", "jax")
"""Libraries that are slow to import. Importing them is not interrupted, because that would leave them half imported."""

LIMIT = 10.0
"""Seconds that loading a plugin may take. A good plugin needs far less, even on a busy machine, where the wall clock
also counts waiting for a processor. GANLM_PLUGIN_TIMEOUT sets another limit; 0 means none."""

LONGEST = 10.0**6
"""Longest timer, in seconds, that every system supports."""


@dataclass
class LoadReport:
    """The seconds that some code took, and ``remarks`` on its faults."""

    seconds: float = 0.0
    remarks: tuple[str, ...] = ()


class TookTooLong(BaseException):
    """Raised in code that exceeds its time limit. No Exception, so that the code does not handle it by accident."""


@contextlib.contextmanager
def watched(limit: float) -> Iterator[LoadReport]:
    """Capture what the block prints, and notice what it imports. Raises TookTooLong after ``limit`` seconds."""
    found, printed, before = LoadReport(), io.StringIO(), set(sys.modules)
    started = time.perf_counter()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed), _time_limit(limit):
            yield found
    finally:
        found.seconds = time.perf_counter() - started
        heavy = [name for name in HEAVY if name in sys.modules and name not in before]
        found.remarks = tuple(_remarks(printed.getvalue(), heavy))


@contextlib.contextmanager
def preserve_process_state() -> Iterator[list[str]]:
    """Restore random states and the settings of this process after the block; list the settings that it changed."""
    changed: list[str] = []
    states = [(restore, state()) for state, restore in _random_states()]
    settings = [(what, read, write, read()) for what, read, write in _settings()]
    try:
        yield changed
    finally:
        for what, read, write, before in settings:
            if read() != before:
                write(before)
                changed.append(what)
        for restore, state in states:
            restore(state)


def time_limit() -> float:
    """Return the limit that GANLM_PLUGIN_TIMEOUT sets. Raises UsageError if it is no number of seconds."""
    text = os.environ.get("GANLM_PLUGIN_TIMEOUT", "")
    try:
        return float(number(float, 0, LONGEST).convert(text or LIMIT, None, None))
    except click.BadParameter as error:
        raise UsageError(
            f"GANLM_PLUGIN_TIMEOUT: {error.message.rstrip('.')}; wanted seconds, or 0 for no limit"
        ) from None


def _random_states() -> Iterator[tuple[Callable[[], Any], Callable[[Any], object]]]:
    """Yield the functions that read and restore each random state of the libraries that are loaded."""
    if random := sys.modules.get("random"):
        yield random.getstate, random.setstate
    if numpy := sys.modules.get("numpy"):
        yield numpy.random.get_state, numpy.random.set_state
    if "torch" in sys.modules:
        from ganlm_core.system.devices import random_states, restore_random_states

        yield random_states, restore_random_states


def _settings() -> Iterator[tuple[str, Callable[[], Any], Callable[[Any], object]]]:
    """Yield the settings of this process that a run depends on: what each is, and functions that read and set it."""
    yield "the working folder", _folder, _enter
    if torch := sys.modules.get("torch"):
        yield "torch's default dtype", torch.get_default_dtype, torch.set_default_dtype
        yield "torch's grad mode", torch.is_grad_enabled, torch.set_grad_enabled


def _folder() -> str:
    """Return the working folder; empty if it was removed."""
    with contextlib.suppress(OSError):
        return str(Path.cwd())
    return ""


def _enter(folder: str) -> None:
    with contextlib.suppress(OSError):  # it may be removed
        os.chdir(folder)


def _remarks(printed: str, heavy: list[str]) -> Iterator[str]:
    words = " ".join(printed.split())
    if words:
        yield f"it printed {printable(words, 43)!r} while it was loaded"
    if heavy:
        yield f"it imports {' and '.join(heavy)} when it is loaded, which slows every command; import it in its targets"


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise TookTooLong in the block after some seconds, and again shortly after in case the code caught it."""
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
        start()  # the import of a heavy library takes long on a slow machine, whatever the plugin does

    before: Any = signal.signal(signal.SIGALRM, stop)
    start()
    try:
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:  # once more, in case the alarm went off between the two lines above
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _imports_heavy(frame: FrameType | None) -> bool:
    """Return whether a heavy library is being imported. Interrupting that would break it for all other code."""
    while frame is not None:
        if frame.f_code.co_name == "<module>" and str(frame.f_globals.get("__name__")).partition(".")[0] in HEAVY:
            return True
        frame = frame.f_back
    return False
