"""Folders in the user's cache: made once, reused later, and made again if they are damaged.

A folder in the cache is complete and never changes. It holds the checksums of its files, so a folder that a crash or a
disk damaged is noticed, and only the checksums need to be synced. A user may delete any of these folders at any time.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import click

from ganlm_core.errors import GanlmError, WriteError
from ganlm_core.system.files import writing
from ganlm_core.system.folders import new_folder, remove_folder, restore
from ganlm_core.system.printable import printable
from ganlm_core.system.sums import read_sums, sha256, write_sums

T = TypeVar("T")


def cache() -> Path:
    """Return ``GANLM_CACHE``, or ``ganlm`` in the user's cache folder. Raises WriteError for a user without a home."""
    if named := os.environ.get("GANLM_CACHE"):
        return Path(named).absolute()
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "ganlm"
    except RuntimeError:
        raise WriteError("there is no home folder for a cache; name a folder with GANLM_CACHE") from None


def kept(folder: Path, make: Callable[[Path], None], read: Callable[[Path], T], doing: str) -> T:
    """Return ``read(folder)``. If the folder is missing, damaged or unreadable, ``make`` fills it first.

    A command then prints ``doing`` as a note. Raises the errors of :func:`whole`, and of ``read`` for a new folder.
    """

    def fill(beside: Path) -> None:
        _tell(f"{doing}, once: it is kept in {folder}")
        make(beside)
        write_sums(beside)

    whole(folder, fill)
    try:
        return read(folder)
    except Exception:  # right checksums but wrong content, written by another program or version
        remove_folder(folder)
        return read(whole(folder, fill))


def whole(folder: Path, fill: Callable[[Path], None]) -> Path:
    """Return ``folder``. If it is missing or damaged, ``fill`` makes it first, with its SHA256SUMS.

    If several processes want it at once, one makes it and the others wait. Raises WriteError if nothing can be kept,
    also for an OSError in ``fill``, and the other errors of ``fill``.
    """
    restore(folder)
    if _is_whole(folder):
        return folder
    from filelock import FileLock

    with writing(folder):
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # a copy is as private as its original
        with FileLock(folder.with_name(f"{folder.name}.lock")):
            if not _is_whole(folder):
                with new_folder(folder, replace=True) as beside:
                    fill(beside)
    return folder


def _is_whole(folder: Path) -> bool:
    with suppress(GanlmError):
        return all(sha256(folder / name) == wanted for name, wanted in read_sums(folder).items())
    return False


def _tell(line: str) -> None:
    """Write a note to standard error in a command; do nothing in a program that uses the package."""
    context = click.get_current_context(silent=True)
    if context is not None and not getattr(context.obj, "quiet", False):
        click.echo(printable(line), err=True)
