"""Create, replace and remove whole folders atomically, even if the process is killed.

A folder is filled under a hidden name beside its place and renamed. An older folder at the place is set aside under
another hidden name until the new one is there, and :func:`restore` puts it back after a kill.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ganlm_core.errors import WeightsError
from ganlm_core.system.files import PARTIAL, check_name, partial_of, reading, sync_folder, writing

_ASIDE = ".set-aside"
"""Suffix of the hidden name of an older folder."""

_ATTEMPTS = 5


@contextmanager
def new_folder(path: Path, replace: bool = False) -> Iterator[Path]:
    """Yield a folder to fill; rename it to ``path`` when the block succeeds, remove it when the block fails.

    With ``replace`` an older folder at ``path`` is set aside for the instant between two renames. If the process is
    killed there, :func:`restore` puts the older folder back. Raises WriteError.
    """
    path = path.resolve()  # "." has no name to hide; of a link, the target is replaced
    check_name(path)
    beside = partial_of(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        restore(path)
        _discard(_aside(path), path)
        _delete(beside)
        beside.mkdir()
    try:
        yield beside
        with writing(path):
            _put(beside, path, replace)
            sync_folder(path.parent)
    except BaseException:
        restore(path)
        _delete(beside)
        raise
    with suppress(OSError):
        _discard(_aside(path), path)


def _put(beside: Path, path: Path, replace: bool) -> None:
    """Rename ``beside`` to ``path``."""
    for attempt in range(_ATTEMPTS):
        if replace and path.exists():
            path.rename(_aside(path))
        try:
            beside.rename(path)
            return
        except OSError:
            # A process that only reads may have put the older folder back in between: set it aside again.
            if not replace or not path.exists() or attempt == _ATTEMPTS - 1:
                raise


def restore(path: Path) -> None:
    """Put back the folder that a killed :func:`new_folder` set aside, if there is nothing at ``path``.

    Call this before reading a folder that another process may replace. On a read-only disk, it does nothing.
    """
    path = path.resolve()
    if not path.exists() and _aside(path).is_dir():
        with suppress(OSError):
            _aside(path).rename(path)


def remove_folder(path: Path) -> None:
    """Remove a folder so that a kill leaves all of it or nothing under its name. Raises WriteError."""
    path = path.resolve()
    with writing(path):
        _discard(_aside(path), path)  # first, or restore() would bring it back
        _discard(path, path)


def restore_all(folder: Path) -> None:
    """Call :func:`restore` for every place in ``folder``."""
    for aside in folder.glob(f".*{_ASIDE}"):
        restore(_place_of(aside))


def tidy(folder: Path) -> None:
    """Restore the folders that killed writers set aside in ``folder``, and remove their unfinished files and folders.

    Call this only in the process that holds the lock: it would remove the unfinished work of another process.
    """
    restore_all(folder)
    for aside in folder.glob(f".*{_ASIDE}"):
        with suppress(OSError):
            _discard(aside, _place_of(aside))
    for partial in folder.glob(f".*{PARTIAL}"):
        _delete(partial)


def _discard(old: Path, path: Path) -> None:
    """Remove ``old``, after renaming it to the hidden name of an unfinished ``path``."""
    if old.exists():
        partial = partial_of(path)
        _delete(partial)
        old.rename(partial)
        _delete(partial)


def _delete(path: Path) -> None:
    """Remove a folder, or a file in its place, as far as that is possible."""
    with suppress(OSError):
        path.unlink() if path.is_symlink() or not path.is_dir() else shutil.rmtree(path)


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}{_ASIDE}")


def _place_of(aside: Path) -> Path:
    return aside.with_name(aside.name[1:].removesuffix(_ASIDE))


@contextmanager
def removed_on_failure(path: Path) -> Iterator[None]:
    """Remove the folder ``path`` if the block fails."""
    try:
        yield
    except BaseException:
        _delete(path)
        raise


def links_in(folder: Path, depth: int = 0) -> Iterator[Path]:
    """Yield the symbolic links in a folder, and in the folders in it down to a depth. Raises OSError."""
    with suppress(FileNotFoundError):  # another process may rename and remove folders
        for path in sorted(folder.iterdir()):
            if path.is_symlink():
                yield path
            elif depth and path.is_dir():
                yield from links_in(path, depth - 1)


def refuse_links(folder: Path, but: tuple[str, ...] = ()) -> None:
    """Raise WeightsError for a symbolic link in a folder of runs, or one level below, which could lead anywhere.

    The folder itself may be a link. Names that begin with ``but`` are not refused.
    """
    with reading(folder):
        for link in links_in(folder, depth=1):
            if not link.name.startswith(but):
                raise WeightsError(f"{link} is a symbolic link; put what it points to in its place, or remove it")
