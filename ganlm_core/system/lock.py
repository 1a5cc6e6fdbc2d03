"""One process in a folder at a time."""

import errno
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ganlm_core.errors import FolderInUse
from ganlm_core.system.files import writing

_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)
"""Errors of file systems that have no locks, as some network disks: there nothing keeps a second process out."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold ``folder``, which need not exist yet, for this process alone. Raises FolderInUse while another has it.

    The lock is a hidden file beside the folder, so that the folder itself may be replaced. Where nothing can be written
    there, as above a mounted volume, it lies in the folder. The system frees the lock of a process that died.
    """
    from filelock import FileLock, Timeout

    folder, holder = folder.resolve(), f"process {os.getpid()} on host {platform.node()}"
    writable = os.access(folder.parent, os.W_OK) or not folder.is_dir()
    file = (folder.parent if writable else folder) / f".{folder.name}.lock"
    lock = FileLock(file)
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
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
        file.write_text(f"{holder}\n", encoding="utf-8")
    try:
        yield
    finally:
        if _holder(file) == holder:  # unless a user removed it and another process has a new one
            with suppress(OSError):
                file.unlink()
        lock.release()


def _holder(file: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return file.read_text(encoding="utf-8").strip() or "another process"
    return "another process"
