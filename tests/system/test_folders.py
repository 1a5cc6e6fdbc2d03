"""Folders that are replaced and removed whole, whatever operation is the last of the process."""

import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from ganlm_core.errors import GanlmError, WriteError
from ganlm_core.system.folders import (
    links_in,
    new_folder,
    remove_folder,
    removed_on_failure,
    restore,
    restore_all,
    tidy,
)
from tests.disasters import Killed, content, disaster, fill


@pytest.mark.parametrize("kill", [True, False], ids=["killed", "disk full"])
@pytest.mark.parametrize("leftover", [False, True])
def test_a_folder_is_replaced_whole_whatever_operation_is_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill: bool, leftover: bool
) -> None:
    """``leftover``: an earlier kill left an older folder set aside."""
    for number in range(1, 100):
        path = tmp_path / str(number) / "folder"
        with new_folder(path) as beside:
            fill(beside, "old")
        if leftover:
            shutil.copytree(path, path.with_name(".folder.set-aside"))
        danger = disaster(number, kill, monkeypatch)
        with danger as done, suppress(Killed, GanlmError), new_folder(path, replace=True) as beside:
            fill(beside, "new")
        restore(path)
        assert content(path) in ({b"old"}, {b"new"}), (number, done[number - 1])
        tidy(path.parent)
        assert [each.name for each in path.parent.iterdir()] == ["folder"]
        assert content(path) in ({b"old"}, {b"new"}), (number, done[number - 1])
        with new_folder(path, replace=True) as beside:
            fill(beside, "newer")
        assert content(path) == {b"newer"}
        if len(done) < number:
            assert number > 8
            return
    raise AssertionError("the operations have no end")


@pytest.mark.parametrize("kill", [True, False], ids=["killed", "disk full"])
def test_a_folder_is_removed_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill: bool) -> None:
    for number in range(1, 100):
        path = tmp_path / str(number) / "folder"
        with new_folder(path) as beside:
            fill(beside, "new")
        shutil.copytree(path, path.with_name(".folder.set-aside"))
        with disaster(number, kill, monkeypatch) as done, suppress(Killed, GanlmError):
            remove_folder(path)
        tidy(path.parent)
        assert [sorted(each.iterdir()) for each in path.parent.iterdir()] in ([], [[path / "a", path / "b"]])
        if len(done) < number:
            assert not path.exists()
            return
    raise AssertionError("the operations have no end")


def test_sigkill_between_the_renames_loses_nothing(tmp_path: Path) -> None:
    program = f"""
import os, signal
from pathlib import Path
from ganlm_core.system import files, folders
path = Path({str(tmp_path / "folder")!r})
with folders.new_folder(path) as beside:
    files.write_file(beside / "a", b"old")
rename = Path.rename
def rename_and_die(self, target):
    rename(self, target)
    os.kill(os.getpid(), signal.SIGKILL)
with folders.new_folder(path, replace=True) as beside:
    files.write_file(beside / "a", b"new")
    Path.rename = rename_and_die
"""
    assert subprocess.run([sys.executable, "-c", program]).returncode == -signal.SIGKILL
    assert not (tmp_path / "folder").exists()
    restore(tmp_path / "folder")
    assert content(tmp_path / "folder") == {b"old"}


def test_a_reader_that_restores_the_folder_in_between_does_not_stop_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, rename, times = tmp_path / "folder", Path.rename, []
    with new_folder(path) as beside:
        fill(beside, "old")

    def rename_and_restore(self: Path, target: Path) -> Path:
        renamed = rename(self, target)
        if self == path:
            times.append(1)
            if len(times) < 3:
                rename(target, path)
        return renamed

    monkeypatch.setattr(Path, "rename", rename_and_restore)
    with new_folder(path, replace=True) as beside:
        fill(beside, "new")
    assert len(times) == 3 and content(path) == {b"new"}
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]


def test_a_link_to_a_folder_stays_and_the_folder_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with new_folder(tmp_path / "link", replace=True) as beside:
        fill(beside, "new")
    assert (tmp_path / "link").is_symlink() and content(tmp_path / "real") == {b"new"}


def test_a_file_in_the_place_of_a_folder_is_replaced(tmp_path: Path) -> None:
    for _ in range(2):
        (tmp_path / "folder").write_text("a file")
        with new_folder(tmp_path / "folder", replace=True) as beside:
            fill(beside, "new")
        assert [each.name for each in tmp_path.iterdir()] == ["folder"]
        shutil.rmtree(tmp_path / "folder")


def test_without_replace_a_folder_that_holds_something_is_kept(tmp_path: Path) -> None:
    with new_folder(tmp_path / "folder") as beside:
        fill(beside, "old")
    refused = pytest.raises(WriteError, match=r"folder: Directory not empty; choose another place$")
    with refused, new_folder(tmp_path / "folder") as beside:
        fill(beside, "new")
    assert content(tmp_path / "folder") == {b"old"}
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]


def test_a_folder_whose_block_fails_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KeyError), new_folder(tmp_path / "folder") as beside:
        fill(beside, "new")
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_readers_restore_all_that_is_set_aside_and_remove_nothing(tmp_path: Path) -> None:
    for name in (".a.set-aside", ".b.set-aside", "b", ".c.partial"):
        (tmp_path / name).mkdir()
    restore_all(tmp_path)
    assert {each.name for each in tmp_path.iterdir()} == {"a", "b", ".b.set-aside", ".c.partial"}


def test_tidy_removes_only_what_killed_writers_left(tmp_path: Path) -> None:
    kept = {".hidden", "a.partial", "b.set-aside", ".gitignore"}
    for name in (*kept, ".c.partial"):
        (tmp_path / name).touch()
    (tmp_path / ".d.partial").mkdir()
    tidy(tmp_path)
    assert {each.name for each in tmp_path.iterdir()} == kept


def test_a_file_with_the_name_of_a_folder_set_aside_stays_there(tmp_path: Path) -> None:
    (tmp_path / ".file.set-aside").write_text("a user's")
    restore(tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_removed_on_failure_keeps_what_succeeds(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with removed_on_failure(tmp_path / "a"):
        pass
    assert (tmp_path / "a").exists()
    with pytest.raises(KeyboardInterrupt), removed_on_failure(tmp_path / "a"):
        raise KeyboardInterrupt
    assert not (tmp_path / "a").exists()


def test_links_are_found_down_to_a_depth(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for place in ("z", "a/y", "a/b/x"):
        (tmp_path / place).symlink_to("nowhere")
    found = [[str(link.relative_to(tmp_path)) for link in links_in(tmp_path, depth)] for depth in (0, 1, 2)]
    assert found == [["z"], ["a/y", "z"], ["a/b/x", "a/y", "z"]]
    assert list(links_in(tmp_path / "nowhere")) == []
