"""One process in a folder: the others are told who has it."""

import errno
import fcntl
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ganlm_core.errors import FolderInUse, WriteError
from ganlm_core.system.lock import holder_of, locked

HOLD = """
import sys
from collections.abc import Callable
from pathlib import Path
from ganlm_core.system.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(folder: Path) -> "subprocess.Popen[str]":
    """Start a process that holds ``folder`` until its standard input ends."""
    command = [sys.executable, "-c", HOLD, str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_told_who_has_the_folder_and_what_to_do(tmp_path: Path) -> None:
    process = hold(tmp_path / "run")
    with pytest.raises(FolderInUse) as caught, locked(tmp_path / "run"):
        pass
    assert str(caught.value) == (
        f"{tmp_path / 'run'} is in use by process {process.pid} on host {platform.node()}; "
        f"wait until it has ended, or stop it; if that process or its host is gone, remove {tmp_path / '.run.lock'}"
    )
    assert caught.value.exit_code == 1
    process.communicate("")
    with locked(tmp_path / "run"):
        pass


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    process = hold(tmp_path / "run")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (tmp_path / ".run.lock").exists()
    with locked(tmp_path / "run"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_advice_to_remove_the_file_clears_the_lock(tmp_path: Path) -> None:
    process = hold(tmp_path / "run")
    (tmp_path / ".run.lock").unlink()
    with locked(tmp_path / "run"):
        process.communicate("")
        with pytest.raises(FolderInUse), locked(tmp_path / "run"):
            pass


def test_the_lock_goes_with_the_block_however_it_ends(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), locked(tmp_path / "run"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path / "run"):
        assert [path.name for path in tmp_path.iterdir()] == [".run.lock"]


def test_two_names_of_a_folder_are_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to("run")
    monkeypatch.chdir(tmp_path / "run")
    for other in (tmp_path / "link", Path(), Path("../run")):
        with locked(tmp_path / "run"), pytest.raises(FolderInUse), locked(other):
            pass
    with locked(tmp_path / "run"), locked(tmp_path / "another"):
        pass


def test_without_a_place_beside_the_folder_the_lock_lies_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "volume").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with locked(tmp_path / "volume"):
        assert [path.name for path in (tmp_path / "volume").iterdir()] == [".volume.lock"]
        with pytest.raises(FolderInUse), locked(tmp_path / "volume"):
            pass


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP])
def test_a_file_system_without_locks_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked(tmp_path / "run"):
        assert [path.name for path in tmp_path.iterdir()] == [".run.lock"]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_below_a_file_cannot_be_held(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match=r"File exists; choose another place$"), locked(tmp_path / "file" / "run"):
        pass


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder in which nothing can be made")
def test_a_place_where_no_file_can_be_made_is_not_in_use() -> None:
    with pytest.raises(WriteError, match=r"^cannot write /proc/\.run\.lock: "), locked(Path("/proc/run")):
        pass


def test_the_holder_is_told_without_taking_the_lock(tmp_path: Path) -> None:
    """A killed process leaves its lock file; a process of another host is believed."""
    run = tmp_path / "run"
    assert holder_of(run) == ""
    process = hold(run)
    assert holder_of(run) == f"process {process.pid} on host {platform.node()}"
    process.kill()
    process.communicate()
    assert (tmp_path / ".run.lock").exists() and holder_of(run) == ""
    (tmp_path / ".run.lock").write_text("process 1 on host elsewhere\n")
    assert holder_of(run) == "process 1 on host elsewhere"


def test_a_lock_of_a_process_whose_number_another_has_is_free(tmp_path: Path) -> None:
    """After a crash of the machine, the number in the lock may be of any process."""
    (tmp_path / ".run.lock").write_text(f"process {os.getpid()} on host {platform.node()}\n")
    assert holder_of(tmp_path / "run") == ""
    with locked(tmp_path / "run"):
        assert holder_of(tmp_path / "run") == f"process {os.getpid()} on host {platform.node()}"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="FIFOs are POSIX's")
@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda file: file.symlink_to("victim")])
def test_a_lock_that_is_not_a_plain_file_is_refused(tmp_path: Path, make: Callable[[Path], object]) -> None:
    """Opening a pipe would wait for ever, and a link would lead elsewhere."""
    make(tmp_path / ".run.lock")
    with pytest.raises(WriteError) as caught, locked(tmp_path / "run"):
        pass
    assert str(caught.value) == f"{tmp_path / '.run.lock'} is not a plain file, so it cannot lock a folder; remove it"
    with pytest.raises(WriteError, match="is not a plain file, so it cannot lock a folder; remove it"):
        holder_of(tmp_path / "run")
    assert [each.name for each in tmp_path.iterdir()] == [".run.lock"]


def test_a_little_of_a_long_lock_is_read(tmp_path: Path) -> None:
    (tmp_path / ".run.lock").write_text("x" * 5000)
    assert holder_of(tmp_path / "run") == "x" * 1024
