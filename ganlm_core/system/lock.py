"""One process in a folder at a time."""

import errno
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ganlm_core.errors import FolderInUse
from ganlm_core.system.files import writing

if TYPE_CHECKING:
    from filelock import BaseFileLock

_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)
"""Errors of file systems without locks, such as some network disks. A second process is not refused there."""

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
    """Return the process and the host that hold a folder; empty if none does. The lock itself is not touched.

    A process of another host cannot be checked, so the entry in its lock counts.
    """
    file = _place(folder.resolve())
    if not file.exists():
        return ""
    holder = _holder(file)
    match = _PROCESS.fullmatch(holder)
    gone = match is not None and match[2] == platform.node() and not _is_alive(int(match[1]))
    return "" if gone else holder


def _place(folder: Path) -> Path:
    writable = os.access(folder.parent, os.W_OK) or not folder.is_dir()
    return (folder.parent if writable else folder) / f".{folder.name}.lock"


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _holder(file: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return file.read_text(encoding="utf-8").strip() or "another process"
    return "another process"
