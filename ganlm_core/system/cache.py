"""What was made once and can be made again: folders that are kept for the next time in the user's cache.

A folder in the cache is complete and is never changed. One that a crash or a disk damaged does not have the sums that
lie in it, so nothing need be synced to the disk but those. Anything there may be deleted at any time.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import click

from ganlm_core.errors import GanlmError, WriteError
from ganlm_core.system.files import new_folder, read_sums, sha256, write_sums, writing


def cache() -> Path:
    """``GANLM_CACHE``, or ``ganlm`` in the user's cache folder. Raises WriteError for a user without a home."""
    if named := os.environ.get("GANLM_CACHE"):
        return Path(named).absolute()
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "ganlm"
    except RuntimeError:
        raise WriteError("there is no home folder for a cache; name a folder with GANLM_CACHE") from None


def kept(folder: Path, make: Callable[[Path], None], doing: str) -> Path:
    """``folder`` as of :func:`whole`, its sums written here. A command says that it is ``doing`` what ``make`` does."""

    def fill(beside: Path) -> None:
        _tell(f"{doing}, once: it is kept in {folder}")
        make(beside)
        write_sums(beside)

    return whole(folder, fill)


def whole(folder: Path, fill: Callable[[Path], None]) -> Path:
    """``folder``, which ``fill`` makes with its SHA256SUMS unless that was done before; a damaged one is made again.

    Of processes that want it at once, one makes it and the others wait. Raises WriteError where nothing can be kept,
    to which an OSError of ``fill`` counts, and its other errors.
    """
    if _is_whole(folder):
        return folder
    from filelock import FileLock

    with writing(folder):
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # a copy is as private as what it is of
        with FileLock(folder.with_name(f"{folder.name}.lock")):
            if not _is_whole(folder):
                with new_folder(folder, replace=True) as beside:
                    fill(beside)
    return folder


def _is_whole(folder: Path) -> bool:
    with suppress(GanlmError):
        sums = read_sums(folder)
        return bool(sums) and all(sha256(folder / name) == wanted for name, wanted in sums.items())
    return False


def _tell(line: str) -> None:
    """A note on standard error in a command, and nothing in a program that uses the package."""
    if click.get_current_context(silent=True) is not None:
        click.echo(line, err=True)
