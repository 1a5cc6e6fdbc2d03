"""Several runs, each in a process of its own."""

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from ganlm_core.cli import sweep
from ganlm_core.cli.context import Invocation
from ganlm_core.cli.sweep import Trained, train_all
from ganlm_core.errors import UsageError


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[SimpleNamespace]:
    """The processes that are started; none of them does anything, and the second fails."""
    calls: list[SimpleNamespace] = []
    monkeypatch.chdir(tmp_path)

    def run(words: list[str], env: dict[str, str], **_: Any) -> SimpleNamespace:
        calls.append(SimpleNamespace(words=words[3:], env=env))
        failed = "bad" in words
        return SimpleNamespace(returncode=int(failed), stderr="note\nganlm: error: no such thing\n" if failed else "")

    monkeypatch.setattr(subprocess, "run", run)
    return calls


def trained(*arguments: Any, **options: Any) -> list[Trained]:
    with click.Context(click.Command("x"), obj=Invocation()):
        return train_all(*arguments, **options)


def test_each_run_has_its_arguments_and_its_failure(started: list[SimpleNamespace]) -> None:
    good, bad = trained({Path("a"): ["--steps", "1"], Path("b"): ["bad"]}, 1, ["--plugin", "p.py"], threads=2)
    assert (good, bad) == (Trained(Path("a")), Trained(Path("b"), "no such thing"))
    assert [call.words for call in started] == [
        ["--plugin", "p.py", "run", "--json", "--out", "a", "--steps", "1"],
        ["--plugin", "p.py", "run", "--json", "--out", "b", "bad"],
    ]
    assert {call.env["OMP_NUM_THREADS"] for call in started} == {"2"}


def test_a_run_that_is_there_is_resumed_if_its_configuration_is_the_same(
    started: list[SimpleNamespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "difference", lambda old, new: [])
    monkeypatch.setattr(sweep.RunFolder, "load_config", lambda self, host: None)
    Path("a").mkdir()
    (Path("a") / "config.toml").write_text("")
    trained({Path("a"): []}, 1)
    assert [call.words for call in started] == [["run", "--json", "--resume", "a"]]
    monkeypatch.setattr(sweep, "difference", lambda old, new: ["training.steps: 1 -> 2"])
    with pytest.raises(UsageError, match=r"the run in a has another configuration \(training.steps: 1 -> 2\)"):
        trained({Path("a"): []}, 1)
    assert len(started) == 1
