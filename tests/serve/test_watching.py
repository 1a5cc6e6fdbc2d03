"""The state of a run that is shown: as it changes, and when its folder goes or is another's."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ganlm_core.plugins.host import default_host
from ganlm_core.serve import watching
from ganlm_core.serve.watching import WatchedRun, stamp
from ganlm_core.training.metrics_log import MetricsLog
from ganlm_core.training.run_folder import RunFolder
from tests.serve.conftest import copy_of


def test_a_state_is_made_again_only_when_the_folder_has_changed(run: RunFolder, tmp_path: Path) -> None:
    copy = copy_of(run, tmp_path / "run")
    watched = WatchedRun(copy, default_host())
    state = watched.state()
    assert watched.state() is state
    copy.metrics.append({"step": 7, "generator_loss": 1.0})
    assert watched.state() is not state and watched.state()["step"] == 7


def test_a_state_is_made_from_one_reading_of_its_metrics(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    read, paths = MetricsLog.read, []
    monkeypatch.setattr(MetricsLog, "read", lambda log: paths.append(log.path) or read(log))
    watching.state_of(run, default_host())
    assert paths == [run.metrics.path]


def test_many_viewers_of_a_run_share_one_state(run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of a run that changes between two of them."""
    copy, made = copy_of(run, tmp_path / "run"), []
    monkeypatch.setattr(watching, "state_of", lambda run, host: made.append(run) or {})
    watched = WatchedRun(copy, default_host(), seconds=60)

    def view(step: int) -> int:
        copy.metrics.append({"step": step, "generator_loss": 1.0})
        return id(watched.state())

    with ThreadPoolExecutor(8) as viewers:
        assert len(set(viewers.map(view, range(7, 15)))) == 1
    assert len(made) == 1


def test_a_folder_that_vanishes_and_comes_back_is_told_and_shown(run: RunFolder, tmp_path: Path) -> None:
    copy = copy_of(run, tmp_path / "run")
    watched = WatchedRun(copy, default_host())
    watched.state()
    shutil.rmtree(copy.path)
    assert "run" in watched.state()["problem"] and stamp(copy) == ()
    copy_of(run, tmp_path / "run")
    assert watched.state()["step"] == 6


def test_a_folder_that_is_replaced_by_another_run_is_another_state(run: RunFolder, tmp_path: Path) -> None:
    copy = copy_of(run, tmp_path / "run")
    watched = WatchedRun(copy, default_host())
    watched.state()
    other = copy_of(run, tmp_path / "other")
    other.metrics.truncate(3)
    shutil.rmtree(copy.path)
    other.path.rename(copy.path)
    assert watched.state()["step"] == 3


def test_damage_is_a_problem_in_words_and_no_crash(run: RunFolder, tmp_path: Path) -> None:
    copy = copy_of(run, tmp_path / "run")
    copy.metrics.path.write_text("{\n{}\n")
    assert "damaged" in WatchedRun(copy, default_host()).state()["problem"]
