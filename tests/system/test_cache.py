"""Folders in the cache are made once, and again when they are damaged."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ganlm_core.errors import DataError, WriteError
from ganlm_core.system.cache import cache, kept, whole
from ganlm_core.system.sums import write_sums


class Maker:
    """Writes a file, and counts how often it was asked to."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, folder: Path) -> None:
        self.times += 1
        (folder / "data").write_bytes(b"x" * 1000)
        (folder / "more").write_bytes(b"")


def read(folder: Path) -> Path:
    """Return the folder if its content is what Maker writes."""
    if (folder / "data").read_bytes() != b"x" * 1000:
        raise KeyError("data")
    return folder


def test_the_cache_is_where_the_user_says_or_where_caches_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache() == Path("/home/me/.cache/ganlm")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache() == Path("/caches/ganlm")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANLM_CACHE", "mine")
    assert cache() == tmp_path / "mine"


def test_without_a_home_a_folder_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as where neither HOME nor an account tells
    with pytest.raises(WriteError, match=r"^there is no home folder for a cache; name a folder with GANLM_CACHE$"):
        cache()
    monkeypatch.setenv("GANLM_CACHE", "/mine")
    assert cache() == Path("/mine")


def test_a_folder_is_made_once_and_only_the_user_may_read_it(tmp_path: Path) -> None:
    folder, make = tmp_path / "cache" / "it", Maker()
    assert [kept(folder, make, read, "making it") for _ in range(3)] == [folder] * 3
    assert make.times == 1
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "data").write_bytes(b"x" * 999),
        lambda folder: (folder / "data").write_bytes(b"x" * 999 + b"y"),
        lambda folder: (folder / "more").unlink(),
        lambda folder: (folder / "SHA256SUMS").unlink(),
        lambda folder: (folder / "SHA256SUMS").write_bytes(b""),
        lambda folder: (folder / "SHA256SUMS").write_text("no sums\n"),
        lambda folder: [(folder / "data").write_bytes(b"other"), (folder / "SHA256SUMS").unlink(), write_sums(folder)],
        lambda folder: [(folder / "SHA256SUMS").unlink(), (folder / "SHA256SUMS").mkdir()],
        lambda folder: [(folder / "data").unlink(), os.mkfifo(folder / "data")],
        lambda folder: [shutil.rmtree(folder), folder.write_text("a file")],
    ],
    ids=[
        "cut",
        "changed",
        "lost",
        "without sums",
        "with empty sums",
        "with other sums",
        "other content with its sums",
        "a folder for the sums",
        "a pipe for a file",
        "a file for the folder",
    ],
)
def test_a_damaged_folder_is_made_again(tmp_path: Path, damage: object) -> None:
    folder, make = tmp_path / "it", Maker()
    kept(folder, make, read, "making it")
    damage(folder)  # type: ignore[operator]
    for _ in range(2):
        kept(folder, make, read, "making it")
    assert make.times == 2
    assert (folder / "data").read_bytes() == b"x" * 1000


def test_a_folder_that_cannot_be_made_does_not_exist(tmp_path: Path) -> None:
    def refuse(folder: Path) -> None:
        (folder / "half").write_bytes(b"x")
        raise DataError("no such data")

    def fill_the_disk(folder: Path) -> None:
        (folder / "half").write_bytes(b"x")
        raise OSError(28, "No space left on device")

    folder = tmp_path / "it"
    with pytest.raises(DataError, match=r"^no such data$"):
        kept(folder, refuse, read, "making it")
    with pytest.raises(WriteError) as caught:
        kept(folder, fill_the_disk, read, "making it")
    assert str(caught.value) == f"cannot write {folder}: No space left on device; free some space"
    assert [path.name for path in tmp_path.iterdir()] == ["it.lock"]
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match=r"Not a directory; a part of the path is a file, choose another place$"):
        kept(tmp_path / "file" / "corpora" / "it", Maker(), read, "making it")


def test_a_reader_that_fails_twice_raises(tmp_path: Path) -> None:
    def cannot_read(folder: Path) -> None:
        raise KeyError("never right")

    make = Maker()
    with pytest.raises(KeyError, match="never right"):
        kept(tmp_path / "it", make, cannot_read, "making it")
    assert make.times == 2


def test_a_folder_that_a_killed_process_set_aside_is_used(tmp_path: Path) -> None:
    folder, make = tmp_path / "it", Maker()
    kept(folder, make, read, "making it")
    folder.rename(tmp_path / ".it.set-aside")
    assert kept(folder, make, read, "making it") == folder and make.times == 1


def test_a_folder_with_its_own_checksums_is_checked_by_them(tmp_path: Path) -> None:
    made: list[Path] = []

    def fill(folder: Path) -> None:
        made.append(folder)
        (folder / "data").write_bytes(b"x")
        write_sums(folder)

    assert [whole(tmp_path / "it", fill) for _ in range(2)] == [tmp_path / "it"] * 2
    (tmp_path / "it" / "data").write_bytes(b"y")
    whole(tmp_path / "it", fill)
    assert len(made) == 2


def test_a_killed_process_leaves_no_folder(tmp_path: Path) -> None:
    folder, make = tmp_path / "it", Maker()
    program = f"""
import os, signal
from pathlib import Path
from ganlm_core.system.cache import kept

def make(folder):
    (folder / "data").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)

kept(Path({str(folder)!r}), make, list, "making it")
"""
    assert subprocess.run([sys.executable, "-c", program]).returncode == -signal.SIGKILL
    assert not folder.exists()
    kept(folder, make, read, "making it")
    assert (folder / "data").read_bytes() == b"x" * 1000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["it", "it.lock"]


def test_one_of_two_processes_makes_the_folder_and_the_other_waits(tmp_path: Path) -> None:
    made, begun, go_on = Maker(), threading.Event(), threading.Event()

    def make(folder: Path) -> None:
        begun.set()
        go_on.wait(30)
        made(folder)

    threads = [threading.Thread(target=kept, args=(tmp_path / "it", make, read, "making it")) for _ in range(2)]
    threads[0].start()
    assert begun.wait(30)
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert made.times == 1
