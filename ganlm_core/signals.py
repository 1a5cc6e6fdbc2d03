"""SIGINT and SIGTERM during a run: the first asks it to stop, the second does not wait."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


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

    try:
        previous = {number: signal.signal(number, catch) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:
        # Only the main thread may set handlers; a run in another one is stopped by whoever started it.
        yield caught
        return
    try:
        yield caught
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
