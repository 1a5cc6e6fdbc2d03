"""Helpers of the tests of sweeps: plans of tiny runs, and a process that pretends to train."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ganlm_core.plugins.host import default_host
from ganlm_core.sweep import job
from ganlm_core.sweep.folder import SweepFolder
from ganlm_core.sweep.plan import Plan, make_plan
from ganlm_core.training.run_folder import RunFolder

TINY: dict[str, Any] = {
    "recipe": "mle",
    "steps": 6,
    "batch-size": 8,
    "gen.hidden-size": 8,
    "gen.embedding-size": 8,
    "log-every": 1,
    "evaluation-samples": 20,
    "corpus.size": 300,
    "device": "cpu",
}
FLAGS = [word for key, value in TINY.items() for word in (f"--{key}", str(value))]


class StopLevel:
    """A Stop of a fixed level."""

    def __init__(self, level: int = 0) -> None:
        self.level = level


def tiny_plan(**table: Any) -> Plan:
    return make_plan(default_host(), [], TINY | table)


def sweep(folder: Path, **table: Any) -> SweepFolder:
    """Write the plan of tiny runs with more lists into a folder."""
    found = SweepFolder(folder)
    found.write(tiny_plan(**table), default_host())
    return found


def finish(folder: RunFolder, config: str, evaluation: Mapping[str, Any] | None = None) -> None:
    """Write the files by which a run is finished."""
    from ganlm_core.system.files import write_json

    folder.bundle.mkdir(parents=True, exist_ok=True)
    (folder.path / "config.toml").write_text(config)
    folder.write_info(status="finished", cpu_seconds=2.0)
    write_json(
        folder.bundle / "evaluation.json", evaluation or {"after": {"distinct": 0.5}, "samples": 20, "temperature": 1.0}
    )


class Pretended:
    """Takes the place of Popen: finishes each run at once, but for runs whose path has "bad" in it."""

    def __init__(self) -> None:
        self.words: list[list[str]] = []
        self.environments: list[dict[str, str]] = []

    def __call__(self, words: Sequence[str], env: dict[str, str], stderr: Any, **_: Any) -> "Ended":
        self.words.append(list(words[3:]))
        self.environments.append(env)
        run = Path(words[-1])
        if "bad" in run.name:
            stderr.write(b"a note\nganlm: error: no such thing\n")
            return Ended(1)
        finish(RunFolder(run), (run.parent / "configs" / f"{run.name}.toml").read_text())
        return Ended(0)


class Ended:
    """A process that has ended."""

    def __init__(self, code: int) -> None:
        self.returncode, self.pid = code, 1

    def poll(self) -> int:
        return self.returncode


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Pretended:
    found = Pretended()
    monkeypatch.setattr(job, "Popen", found)
    return found
