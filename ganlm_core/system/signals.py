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
def interrupting_signals(caught: list[int] | None = None) -> Iterator[None]:
    """Raise KeyboardInterrupt at each signal in the block; add its number to ``caught``."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        if caught is not None:
            caught.append(number)
        if number == _HANGUP:
            _leave(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    with _handled(interrupt, {}):
        yield


def pass_on(number: int) -> None:
    """Call the handler that the program has set for a signal, if any, after the signal was caught in a block."""
    handler = signal.getsignal(number)
    if callable(handler) and handler is not signal.default_int_handler:
        handler(number, None)


def is_from_handler(error: BaseException) -> bool:
    """Return whether an exception was raised in a signal handler of the program, which may interrupt any code."""
    handlers = {getattr(signal.getsignal(number), "__code__", None) for number in signal.valid_signals()}
    place = error.__traceback__
    while place is not None and place.tb_frame.f_code not in handlers:
        place = place.tb_next
    return place is not None


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
