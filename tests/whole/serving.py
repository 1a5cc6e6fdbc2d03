"""``ganlm serve`` in a process of its own, for tests and for the load script."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

ADDRESS = re.compile(r"http://\S+")


class Server(NamedTuple):
    """A running server; ``log`` is all that it writes to standard error."""

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path


@contextmanager
def served(*arguments: object, cwd: Path | None = None) -> Iterator[Server]:
    """Start the server on a free port, with one thread; end it after the block."""
    command = [sys.executable, "-m", "ganlm_core", "serve", *map(str, arguments), "--port", "0"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as errors:
            process = subprocess.Popen(command, cwd=cwd, env=environment, stderr=errors)
        try:
            yield Server(_address(process, log), process, log)
        finally:
            process.terminate()
            process.wait(20)


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    """Wait for the address of the page. Nothing but the log tells when it is there."""
    while not (found := ADDRESS.search(log.read_text())):
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    return found[0]


def memory_of(process: "subprocess.Popen[bytes]") -> int:
    """Return the memory of a process in KiB, where Linux tells it."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
