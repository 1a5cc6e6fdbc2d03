"""One process in a folder at a time."""

import errno
import os
import platform
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ganlm_core.errors import FolderInUse, WriteError
from ganlm_core.system.files import writing

if TYPE_CHECKING:
    from filelock import BaseFileLock

_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)
"""Errors of file systems without locks, such as some network disks. A second process is not refused there."""

LONGEST = 1024
"""Bytes of a lock file that are read."""

_PROCESS = re.compile(r"process (\d+) on host (.*)")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold ``folder``, which need not exist yet, for this process alone. Raises FolderInUse while another has it.

    The lock is a hidden file beside the folder, so that the folder itself may be replaced. If that place is
    read-only, as above a mounted volume, the file is in the folder. The system frees the lock of a process that died.
    """
    from filelock import FileLock

    folder, holder = folder.resolve(), f"process {os.getpid()} on host {platform.node()}"
    file = _place(folder)
    lock = FileLock(file)
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        _is_there(file)
        file.open("ab").close()  # the library calls a place where no file can be made a lock of another process
        _acquire(lock, folder, file)
        file.write_text(f"{holder}\n", encoding="utf-8")
    try:
        yield
    finally:
        if _holder(file) == holder:  # not if a user removed it and another process made a new one
            with suppress(OSError):
                file.unlink()
        lock.release()


def _acquire(lock: "BaseFileLock", folder: Path, file: Path) -> None:
    from filelock import Timeout

    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise FolderInUse(
            f"{folder} is in use by {_holder(file)}; wait until it has ended, or stop it; "
            f"if that process or its host is gone, remove {file}"
        ) from None
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise


def holder_of(folder: Path) -> str:
    """Return the process and the host that hold a folder; empty if none does. A lock that is held is not touched.

    A process of another host cannot be checked, so the entry in its lock counts. Raises WriteError for a lock that is
    not a plain file.
    """
    file = _place(folder.resolve())
    if not _is_there(file):
        return ""
    holder = _holder(file)
    match = _PROCESS.fullmatch(holder)
    gone = match is not None and is_here(holder) and not (_is_alive(int(match[1])) and _is_taken(file))
    return "" if gone else holder


def is_here(holder: str) -> bool:
    """Return whether the holder of a folder is a process of this host."""
    match = _PROCESS.fullmatch(holder)
    return match is not None and match[2] == platform.node()


def _is_there(file: Path) -> bool:
    """Return whether there is a lock file. Raises WriteError for a link, a pipe or a folder of its name."""
    try:
        mode = file.lstat().st_mode
    except OSError:
        return False
    if not stat.S_ISREG(mode):
        raise WriteError(f"{file} is not a plain file, so it cannot lock a folder; remove it")
    return True


def _place(folder: Path) -> Path:
    writable = os.access(folder.parent, os.W_OK) or not folder.is_dir()
    return (folder.parent if writable else folder) / f".{folder.name}.lock"


def _is_taken(file: Path) -> bool:
    """Return whether a process holds a lock: another may have the number of one that died with the machine."""
    try:
        import fcntl  # POSIX alone has it

        with file.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return True
    return False


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _holder(file: Path) -> str:
    with suppress(OSError, UnicodeDecodeError), file.open("rb") as lock:
        return lock.read(LONGEST).decode().strip() or "another process"
    return "another process"
