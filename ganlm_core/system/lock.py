"""One process in a folder at a time."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ganlm_core.errors import FolderInUse
from ganlm_core.system.files import writing


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
        file.write_text(f"{holder}\n", encoding="utf-8")
    try:
        yield
    finally:
        if _holder(file) == holder:  # unless a user removed it and another process has a new one
            file.unlink(missing_ok=True)
        lock.release()


def _holder(file: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return file.read_text(encoding="utf-8").strip() or "another process"
    return "another process"
