"""``ganlm run --watch``: the server that is started and ended with the training."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ganlm_core.cli import watch
from ganlm_core.training.run_folder import RunFolder
from ganlm_core.training.train import execute
from tests.conftest import tiny_config


class FakeServer:
    """Stands for the process of the server."""

    def __init__(self, command: list[str], **settings: Any) -> None:
        self.command, self.ended = command, False

    def terminate(self) -> None:
        self.ended = True

    def wait(self) -> int:
        return 0


def test_the_server_of_the_run_is_started_beside_it_and_ended_with_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    servers: list[FakeServer] = []

    def start(command: list[str], **settings: Any) -> FakeServer:
        servers.append(FakeServer(command, **settings))
        return servers[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    execute(tiny_config("mlp", "mlp", steps=2), out=tmp_path / "run", display=watch.WatchedDisplay())
    (server,) = servers
    assert server.command[:5] == [sys.executable, "-m", "ganlm_core", "serve", str(tmp_path / "run")]
    assert int(server.command[-1]) > 0 and server.ended


def test_the_server_is_ended_where_nothing_can_be_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*arguments: Any) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(watch.ProgressDisplay, "ended", fail)
    display, server = watch.WatchedDisplay(), FakeServer([])
    display.server = server  # type: ignore[assignment]
    with pytest.raises(BrokenPipeError):
        display.ended(RunFolder(tmp_path), "finished")
    assert server.ended
