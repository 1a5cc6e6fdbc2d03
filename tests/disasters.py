"""Kills and full disks at a chosen file operation, in this process."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ganlm_core.system.files import write_file


class Killed(BaseException):
    """Stands for SIGKILL: from then on the process does nothing to the disk."""


OPERATIONS = [
    (os, "mkdir"),
    (os, "rename"),
    (os, "replace"),
    (os, "unlink"),
    (os, "rmdir"),
    (os, "fsync"),
]


@contextmanager
def disaster(number: int, kill: bool, patch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Kill the process, or fail with a full disk, at the file operation of this number. Gives the operations so far."""
    done: list[str] = []

    def counted(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*arguments: Any, **options: Any) -> Any:
            done.append(name)
            if len(done) == number or (kill and len(done) > number):
                raise Killed if kill else OSError(errno.ENOSPC, "No space left on device")
            return original(*arguments, **options)

        return operation

    with patch.context() as patched:
        for module, name in OPERATIONS:
            patched.setattr(module, name, counted(name, getattr(module, name)))
        yield done


def fill(folder: Path, word: str) -> None:
    for name in ("a", "b"):
        write_file(folder / name, word.encode())


def content(folder: Path) -> set[bytes]:
    return {file.read_bytes() for file in folder.iterdir()}
