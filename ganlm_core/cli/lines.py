"""Where the lines of a long output go: standard output, or a file that can be gone on with, gzipped by its name."""

import gzip
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ganlm_core.errors import DataError, UsageError
from ganlm_core.system.files import writing

Write = Callable[[str], None]


def check_new(path: Path, hint: str) -> None:
    """Raises UsageError, with a hint at what else could be done, when there is something at ``path``."""
    if path.exists():
        raise UsageError(f"{path} already exists; choose another file, or {hint}")


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a file that :func:`lines_to` wrote. Raises DataError when it ends in the middle of one."""
    line = "\n"
    try:
        with _unpacked(path) as file:
            for data in file:
                line = data.decode()
                yield line.removesuffix("\n")
    except (EOFError, gzip.BadGzipFile, UnicodeDecodeError):
        line = ""
    if not line.endswith("\n"):
        raise DataError(f"{path} was cut short; unpack it, drop its last line and go on with what is left")


def _unpacked(path: Path) -> BinaryIO | gzip.GzipFile:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


@contextmanager
def lines_to(path: Path | None) -> Iterator[Write]:
    """A function that writes text to the end of a file, or to standard output for None. Raises GanlmError."""
    if path is None:
        yield _to_standard_output
        return
    with writing(path), path.open("ab") as raw:
        if path.suffix != ".gz":
            yield lambda text: _write(raw, text)
            return
        # A further member behind those that are there, which every gunzip reads as one file; without a time.
        with gzip.GzipFile(filename="", mode="ab", fileobj=raw, mtime=0) as packed:
            yield lambda text: _write(packed, text)


def _write(file: BinaryIO | gzip.GzipFile, text: str) -> None:
    file.write(text.encode())


def _to_standard_output(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
