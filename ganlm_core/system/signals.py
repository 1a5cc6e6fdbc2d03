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
    previous: Handlers = {}

    def catch(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        _leave(number, previous[number])
        first()

    with _handled(catch, previous):
        yield caught


@contextmanager
def interrupting_signals() -> Iterator[None]:
    """Raise KeyboardInterrupt at each signal in the block."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        if number == _HANGUP:
            _leave(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    with _handled(interrupt, {}):
        yield


def _leave(number: int, previous: Any) -> None:
    """Restore the earlier handler of this signal; ignore a SIGHUP after the first.

    When a terminal closes, the kernel and the shell each send a SIGHUP. The second must not interrupt the stop.
    """
    signal.signal(number, signal.SIG_IGN if number == _HANGUP else previous)


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None], previous: Handlers) -> Iterator[None]:
    """Set ``handler`` for the signals in the block, and restore the earlier handlers afterwards.

    The earlier ones are in ``previous`` first, because ``handler`` may be called before the block begins. A SIGHUP that
    is ignored, as under nohup, stays ignored.
    """
    numbers = [signal.SIGINT, signal.SIGTERM]
    if _HANGUP is not None and signal.getsignal(_HANGUP) != signal.SIG_IGN:
        numbers.append(_HANGUP)
    previous |= {number: signal.getsignal(number) for number in numbers}
    try:
        for number in numbers:
            signal.signal(number, handler)
    except ValueError:
        # Only the main thread may set handlers; a run in another thread is stopped by the program that started it.
        yield
        return
    try:
        yield
    finally:
        for number in numbers:
            if signal.getsignal(number) is handler:
                signal.signal(number, previous[number])
