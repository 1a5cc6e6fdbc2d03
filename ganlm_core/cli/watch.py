"""``ganlm run --watch``: the live page of a run, in a process beside the training."""

import subprocess
import sys

from ganlm_core.cli.display import ProgressDisplay
from ganlm_core.cli.serve import PORT, require_packages
from ganlm_core.serve.server import LOOPBACK, free_port
from ganlm_core.training.run_folder import RunFolder
from ganlm_core.training.setup import Setup


class WatchedDisplay(ProgressDisplay):
    """Progress on standard error, and a page that shows the run until it ends."""

    def __init__(self) -> None:
        require_packages()
        super().__init__()
        self.server: subprocess.Popen[bytes] | None = None

    def started(self, setup: Setup, folder: RunFolder, step: int) -> None:
        super().started(setup, folder, step)
        port = free_port(LOOPBACK, PORT)
        command = [sys.executable, "-m", "ganlm_core", *setup.host.flags(), "serve", str(folder.path)]
        self.server = subprocess.Popen(
            [*command, "--port", str(port)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )

    def ended(self, folder: RunFolder, status: str) -> None:
        try:
            super().ended(folder, status)
        finally:
            if self.server is not None:
                self.server.terminate()
                self.server.wait()
