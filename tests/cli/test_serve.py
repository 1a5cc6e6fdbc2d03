"""``ganlm serve`` before it listens: which runs it shows, and what it needs."""

import importlib.util
import os
from pathlib import Path

import pytest

from ganlm_core.cli.serve import RECENT, recent_runs, require_packages
from ganlm_core.errors import GanlmError


def test_without_an_address_the_newest_runs_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert recent_runs() == []
    for number in range(RECENT + 2):
        folder = Path("runs") / f"run-{number}"
        folder.mkdir(parents=True)
        (folder / "config.toml").write_text("")
        os.utime(folder, (number, number))
    (Path("runs") / "no-run").mkdir()
    assert recent_runs() == [f"runs/run-{number}" for number in range(RECENT + 1, 1, -1)]


def test_a_package_that_is_missing_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    require_packages()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "uvicorn" else object())
    with pytest.raises(GanlmError) as caught:
        require_packages()
    assert str(caught.value) == "the page needs uvicorn, which is not installed: pip install 'ganlm[serve]'"
