"""Standard output and standard error that work even if the caller closed them."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, cast

from ganlm_core.errors import WriteError


class ClosedOutput:
    """Stands for a standard output that is closed: writing raises WriteError."""

    encoding = "utf-8"
    closed = False

    def write(self, text: str) -> int:
        raise WriteError("standard output is closed; send it to a file, to a pipe or to /dev/null")

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False


class Output:
    """Standard output. Writing raises WriteError if the disk refuses, and BrokenPipeError if the reader is gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with self._telling():
            return self._stream.write(text)

    def flush(self) -> None:
        with self._telling():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            _send_to_null(self._stream)
            if isinstance(error, BrokenPipeError):
                raise
            raise WriteError(f"cannot write to standard output: {error.strerror or error}") from error


class Diagnostics:
    """Standard error. Text that cannot be written is dropped, because a message must not end a run."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def steady_streams() -> Iterator[None]:
    """Replace the standard streams during a command."""
    kept = sys.stdout, sys.stderr
    if None in kept:
        _occupy_descriptors()
    sys.stdout = cast(TextIO, ClosedOutput() if sys.stdout is None else Output(sys.stdout))
    sys.stderr = cast(TextIO, Diagnostics(sys.stderr or Path(os.devnull).open("w")))  # noqa: SIM115
    try:
        yield
    finally:
        sys.stdout, sys.stderr = kept


def _send_to_null(stream: TextIO) -> None:
    """Send the rest of a stream's buffer to /dev/null, or Python would fail on it again at exit."""
    with suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def _occupy_descriptors() -> None:
    """Open /dev/null in the place of closed descriptors, so that no file of the command takes the number 1 or 2."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
