"""SIGINT and SIGTERM during a run: in training the first asks it to stop, the second does not wait."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Handlers = dict[signal.Signals, Any]


@contextmanager
def caught_signals(first: Callable[[], None]) -> Iterator[list[int]]:
    """A list that the first SIGINT or SIGTERM is put into; a second one acts as it always does.

    ``first`` is called in the handler of the first, between any two instructions of the main thread.
    """
    caught: list[int] = []

    def catch(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        signal.signal(number, previous[signal.Signals(number)])
        first()

    with _handled(catch) as previous:
        yield caught


@contextmanager
def interrupting_signals() -> Iterator[None]:
    """SIGINT and SIGTERM raise KeyboardInterrupt at once."""
    with _handled(signal.default_int_handler):
        yield


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[Handlers]:
    """Both signals go to ``handler``; gives the handlers that they had, and have again afterwards."""
    try:
        previous = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:
        # Only the main thread may set handlers; a run in another one is stopped by whoever started it.
        yield {}
        return
    try:
        yield previous
    finally:
        for number, handler_before in previous.items():
            signal.signal(number, handler_before)
