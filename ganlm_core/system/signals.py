"""SIGINT, SIGTERM and SIGHUP (the terminal is gone): stop at the next safe point, or at once."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_HANGUP = getattr(signal, "SIGHUP", None)
"""None on Windows."""

Handlers = dict[int, Any]


@contextmanager
def caught_signals(first: Callable[[], None]) -> Iterator[list[int]]:
    """Yield a list that receives the number of the first signal of each kind; the second of a kind acts as usual.

    ``first`` is called in the handler of each of these, between any two instructions of the main thread.
    """
    caught: list[int] = []

    def catch(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        _leave(number, previous[number])
        first()

    with _handled(catch) as previous:
        yield caught


@contextmanager
def interrupting_signals() -> Iterator[None]:
    """Raise KeyboardInterrupt at each signal in the block."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        if number == _HANGUP:
            _leave(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    with _handled(interrupt):
        yield


def _leave(number: int, previous: Any) -> None:
    """Restore the earlier handler of this signal; ignore a SIGHUP after the first.

    When a terminal closes, the kernel and the shell each send a SIGHUP. The second must not interrupt the stop.
    """
    signal.signal(number, signal.SIG_IGN if number == _HANGUP else previous)


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[Handlers]:
    """Set ``handler`` for the signals in the block; yield their earlier handlers, and restore them afterwards.

    A SIGHUP that is ignored, as under nohup, stays ignored.
    """
    numbers = [signal.SIGINT, signal.SIGTERM]
    if _HANGUP is not None and signal.getsignal(_HANGUP) != signal.SIG_IGN:
        numbers.append(_HANGUP)
    try:
        previous: Handlers = {number: signal.signal(number, handler) for number in numbers}
    except ValueError:
        # Only the main thread may set handlers; a run in another thread is stopped by the program that started it.
        yield {}
        return
    try:
        yield previous
    finally:
        for number, before in previous.items():
            if signal.getsignal(number) is handler:
                signal.signal(number, before)
