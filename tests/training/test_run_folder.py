import errno
import json
import os
import re
from pathlib import Path

import pytest

from ganlm_core.errors import GanlmError, RunExists, UsageError, WeightsError
from ganlm_core.system import files
from ganlm_core.training import run_folder
from ganlm_core.training.run_folder import RunFolder


@pytest.fixture
def run(tmp_path):
    return RunFolder.create(tmp_path / "run", "lstm-conv-grammar", "x = 1\n")


def test_default_names_count_up(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = [
        RunFolder.create(None, name, "").path for name in ("lstm-conv-grammar", "lstm-conv-grammar", "mine/gru-conv")
    ]
    assert made == [Path("runs/lstm-conv-grammar-1"), Path("runs/lstm-conv-grammar-2"), Path("runs/mine-gru-conv-1")]


def test_create_leaves_what_open_wants(run):
    again = RunFolder.open(run.path)
    assert again.config() == "x = 1\n"
    assert sorted(path.name for path in run.path.iterdir()) == ["checkpoints", "config.toml", "samples"]
    assert again.info() == {}
    assert again.read_metrics() == []


def test_an_existing_folder_is_left_alone(run):
    message = f"{run.path} already exists; choose another --out, or go on with it: --resume {run.path}"
    with pytest.raises(RunExists, match=re.escape(message)):
        RunFolder.create(run.path, "name", "y = 2\n")
    assert run.config() == "x = 1\n"


def test_a_folder_that_is_no_run_cannot_be_gone_on_with(tmp_path):
    (tmp_path / "notes").mkdir()
    with pytest.raises(RunExists) as caught:
        RunFolder.create(tmp_path / "notes", "name", "")
    assert str(caught.value) == f"{tmp_path / 'notes'} already exists; choose another --out"


@pytest.mark.parametrize("path", ["run", None])
def test_a_folder_whose_configuration_cannot_be_written_is_not_left(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)

    def refuse(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", refuse)
    place = Path(path or "runs/name-1")
    with pytest.raises(GanlmError) as caught:
        RunFolder.create(path and place, "name", "x = 1\n")
    assert str(caught.value) == f"cannot write {place / 'config.toml'}: No space left on device; free some space"
    assert not place.exists()


def test_open_wants_a_run(tmp_path):
    with pytest.raises(UsageError, match=re.escape(f"there is no run at {tmp_path}/none; give the folder")):
        RunFolder.open(tmp_path / "none")
    with pytest.raises(UsageError, match=re.escape(f"{tmp_path} is no run folder, it has no config.toml")):
        RunFolder.open(tmp_path)


def test_info_is_merged(run):
    run.write_info(status="started", seed=3, **run_folder.versions())
    run.write_info(status="finished", shape={"vocabulary": 9, "length": 4, "noise": 0})
    info = RunFolder.open(run.path).info()
    assert (info["status"], info["seed"], info["ganlm"]) == ("finished", 3, "0.1.0")
    assert run.shape() == {"vocabulary": 9, "length": 4, "noise": 0}


def test_a_run_without_shape_says_so(run):
    with pytest.raises(WeightsError, match=re.escape("run.json has no shape; start the run anew")):
        run.shape()


def test_metrics_are_json_lines_with_sorted_keys_and_no_nan(run):
    run.append_metrics({"step": 20, "loss": 0.5, "accuracy": float("nan")})
    run.append_metrics({"step": 40, "loss": 1e-9})
    assert run.metrics.read_text() == '{"accuracy": null, "loss": 0.5, "step": 20}\n{"loss": 1e-09, "step": 40}\n'


def test_truncation_gives_the_bytes_of_a_run_that_stopped_there(run):
    for step in (20, 40):
        run.append_metrics({"step": step, "loss": 0.1 / 3})
    wanted = run.metrics.read_bytes()
    run.append_metrics({"step": 60, "loss": 1.0})
    with run.metrics.open("a") as file:
        file.write('{"loss": 0.3, "st')
    run.truncate_metrics(2)
    assert run.metrics.read_bytes() == wanted


def test_a_damaged_line_before_the_last_is_an_error(run):
    run.metrics.write_text('{"step": 1\n{"step": 2}\n')
    with pytest.raises(WeightsError, match=r"metrics\.jsonl is damaged"):
        run.read_metrics()


def test_samples(run):
    run.write_samples(500, ["a cat", "ein Käfer"])
    assert (run.samples / "step-00000500.txt").read_text(encoding="utf-8") == "a cat\nein Käfer\n"


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_files_get_the_mode_of_the_umask(run, mask):
    old = os.umask(mask)
    try:
        run.write_info(status="started")
        run.append_metrics({"step": 1})
    finally:
        os.umask(old)
    for name in ("run.json", "metrics.jsonl"):
        assert (run.path / name).stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_full_disk_while_appending(run):
    run.metrics.symlink_to("/dev/full")
    message = f"cannot write {run.metrics}: No space left on device; free some space"
    with pytest.raises(GanlmError, match=re.escape(message)):
        run.append_metrics({"step": 1})


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.ENOSPC, "No space left on device; free some space"),
        (errno.EROFS, "Read-only file system; choose a place that you may write to"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_a_refused_write_changes_nothing(run, monkeypatch, code, message):
    run.write_info(status="started")

    def refuse(descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.os, "fsync", refuse)
    with pytest.raises(GanlmError) as caught:
        run.write_info(status="finished")
    assert str(caught.value) == f"cannot write {run.path / 'run.json'}: {message}"
    assert json.loads((run.path / "run.json").read_text()) == {"status": "started"}
    assert not list(run.path.glob(".*"))


def test_a_place_below_a_file_cannot_be_made(run):
    path = run.path / "config.toml" / "below"
    with pytest.raises(GanlmError) as caught:
        RunFolder.create(path, "name", "")
    advice = "a part of the path is a file, choose another place"
    assert str(caught.value) == f"cannot write {path}: Not a directory; {advice}"
