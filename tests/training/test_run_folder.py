"""The run folder: where it is made, what is in it, and what happens on a disk that refuses."""

import errno
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ganlm_core.config.make_config import make_config
from ganlm_core.errors import GanlmError, PluginError, RunExists, UnknownName, UsageError, WeightsError, WriteError
from ganlm_core.plugins.host import default_host
from ganlm_core.system import files
from ganlm_core.training import run_folder
from ganlm_core.training.paths import with_data_at
from ganlm_core.training.run_folder import STARTING, RunFolder, run_name

CONFIG = make_config("lstm", "conv", steps=20)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder.make(tmp_path / "run", "lstm-conv-grammar")
    folder.start(CONFIG)
    return folder


def names(folder: RunFolder) -> list[str]:
    return sorted(path.name for path in folder.path.iterdir())


def test_default_names_count_up(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = [RunFolder.make(None, name).path for name in ("lstm-conv-grammar", "lstm-conv-grammar", "mine-gru")]
    assert made == [Path("runs/lstm-conv-grammar-1"), Path("runs/lstm-conv-grammar-2"), Path("runs/mine-gru-1")]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("grammar", "lstm-conv-grammar"),
        ("captions.txt", "lstm-conv-captions"),
        ("some/where/my data (1).csv.gz", "lstm-conv-my-data--1"),
        ("größe.txt", "lstm-conv-größe"),
        ("....txt", "lstm-conv-file"),
        ("-", "lstm-conv-stdin"),
        ("/dev/fd/63", "lstm-conv-pipe"),
    ],
)
def test_a_run_is_named_after_its_networks_and_its_text(data, name):
    config = make_config("lstm", "conv", data=data)
    assert run_name(config) == name
    assert run_name(replace(config, generator=replace(config.generator, name="mine/gru"))) == name.replace(
        "lstm", "mine-gru"
    )


def test_a_missing_plugin_is_named_only_where_a_component_is_unknown(run):
    run.write_info(plugin_files=["mine.py"])
    text = run.config()
    (run.path / "config.toml").write_text(text.replace("[generator.lstm]", "[generator.mine]"))
    with pytest.raises(PluginError) as caught:
        run.load_config(default_host())
    assert str(caught.value) == f"{run.path} was started with a plugin that is not loaded; add --plugin mine.py"
    (run.path / "config.toml").write_text(text.replace("[generator.lstm]", "[generator.lstm]\nhidden_sizes = 3"))
    with pytest.raises(UnknownName) as other:
        run.load_config(default_host())
    assert "there is no generator 'lstm' option 'hidden-sizes'" in str(other.value)


def test_start_leaves_what_open_wants(run):
    again = RunFolder.open(run.path)
    assert again.load_config(default_host()) == CONFIG
    assert names(run) == ["checkpoints", "config.toml", "run.json", "samples"]
    assert again.info() == {"status": STARTING}
    assert again.metrics.read() == []


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".run.lock").touch()
    assert RunFolder.make(tmp_path / "run", "name").path == tmp_path / "run"


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").touch()
    with pytest.raises(RunExists) as caught:
        RunFolder.make(tmp_path / "notes", "name")
    assert str(caught.value) == f"{tmp_path / 'notes'} already exists and is not empty; choose another --out"
    (tmp_path / "notes" / "config.toml").touch()
    with pytest.raises(RunExists, match=re.escape(f"choose another --out, or resume it: --resume {tmp_path}/notes")):
        RunFolder.make(tmp_path / "notes", "name")


def test_a_run_that_never_began_may_be_started_again_or_resumed(run):
    """Neither way sends the user to the other."""
    (run.path / ".tokenizer.json.partial").touch()
    (run.checkpoints / ".step-00000000.partial").mkdir()
    run.write_tokenizer("{}")
    assert RunFolder.make(run.path, "name") == RunFolder.open(run.path) == run
    run.start(replace(CONFIG, recipe="mle"))
    assert names(run) == ["checkpoints", "config.toml", "run.json", "samples"]
    assert list(run.checkpoints.iterdir()) == []
    assert run.load_config(default_host()).recipe == "mle"


@pytest.mark.parametrize("change", ["a checkpoint", "another status", "another file", "no run.json", "a damaged one"])
def test_a_run_that_began_is_never_started_again(run, change):
    match change:
        case "a checkpoint":
            (run.checkpoints / "step-00000000").mkdir()
        case "another status":
            run.write_info(status="started")
        case "another file":
            (run.path / "notes.txt").touch()
        case "no run.json":
            (run.path / "run.json").unlink()
        case "a damaged one":
            (run.path / "run.json").write_text("{")
    with pytest.raises(RunExists):
        RunFolder.make(run.path, "name")


def test_a_start_that_was_killed_before_the_configuration_is_started_again(run):
    (run.path / "config.toml").unlink()
    with pytest.raises(UsageError) as caught:
        RunFolder.open(run.path)
    assert (
        str(caught.value) == f"the run at {run.path} was stopped before it began; start it again with --out {run.path}"
    )
    RunFolder.make(run.path, "name")


def test_sentences_that_cannot_be_read_again_are_kept(tmp_path):
    folder = RunFolder.make(tmp_path / "run", "name")
    folder.start(make_config("lstm", "conv", data="-"), ["a cat", "ein Käfer"])
    assert folder.data.read_text(encoding="utf-8") == "a cat\nein Käfer\n"
    assert 'path = "data.txt"' in folder.config()
    moved = RunFolder(folder.path.rename(tmp_path / "moved"))
    assert moved.load_config(default_host()).corpus.options.path == str(moved.data)


def test_paths_of_data_are_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("my.txt").write_text("a cat\n")
    weights = make_config("lstm", "conv", data="oracle", corpus_options={"weights": "my.safetensors"})
    for config, path in (
        (make_config("lstm", "conv", corpus="file", corpus_options={"path": "my.txt"}), "my.txt"),
        (weights, "my.safetensors"),
    ):
        folder = RunFolder.make(None, "name")
        folder.start(config)
        anchored = with_data_at(config, lambda path: str(tmp_path / path))
        assert folder.load_config(default_host()) == anchored != config
        assert str(tmp_path / path) in folder.config()
    assert with_data_at(CONFIG, lambda path: "elsewhere") == CONFIG


def test_paths_of_bundles_that_rewards_read_are_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("bundle").mkdir()
    for given, kept in (("bundle", str(tmp_path / "bundle")), ("zoo:a", "zoo:a")):
        folder = RunFolder.make(None, "name")
        folder.start(make_config("lstm", "conv", reward={"classifier": {"path": given}}))
        assert folder.load_config(default_host()).rewards["classifier"].options.path == kept


@pytest.mark.parametrize("path", ["run", None])
def test_a_place_that_cannot_be_written(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(GanlmError) as caught:
        RunFolder.make(path and Path(path), "name")
    place = Path(path or "runs/name-1")
    assert str(caught.value) == f"cannot write {place}: No space left on device; free some space"


def test_a_place_that_is_not_utf8_is_refused_at_the_start(tmp_path):
    """Safetensors could not open the first weights that are saved there."""
    with pytest.raises(WriteError, match="its name is not UTF-8; choose another place"):
        RunFolder.make(tmp_path / "\udcff", "name")
    assert list(tmp_path.iterdir()) == []


def test_open_wants_a_run(tmp_path):
    with pytest.raises(UsageError, match=re.escape(f"there is no run at {tmp_path}/none; give the folder")):
        RunFolder.open(tmp_path / "none")
    with pytest.raises(UsageError, match=re.escape(f"{tmp_path} is not a run folder, it has no config.toml")):
        RunFolder.open(tmp_path)


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("checkpoints", "../precious"),
        ("samples/final.txt", "../../precious/secret"),
        (".report.html.partial", "../precious/secret"),
        ("run.json", "nowhere"),
    ],
)
def test_a_run_that_holds_a_link_is_not_opened(run, tmp_path, name, target):
    """The checkpoints of another run would be removed, and a secret be shown on the page."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "secret").touch()
    place = run.path / name
    place.rmdir() if place.is_dir() else place.unlink(missing_ok=True)
    place.symlink_to(target)
    with pytest.raises(WeightsError) as caught:
        RunFolder.open(run.path)
    assert str(caught.value) == f"{place} is a symbolic link; put what it points to in its place, or remove it"


def test_a_run_may_itself_be_a_link(run, tmp_path):
    (tmp_path / "latest").symlink_to(run.path.name)
    assert RunFolder.open(tmp_path / "latest").load_config(default_host()) == CONFIG


def test_info_is_merged(run):
    run.write_info(status="started", seed=3, **run_folder.versions())
    run.write_info(status="finished", shape={"vocabulary": 9, "length": 4, "noise": 0})
    info = RunFolder.open(run.path).info()
    assert (info["status"], info["seed"], info["ganlm"]) == ("finished", 3, "0.1.0")
    assert run.shape() == {"vocabulary": 9, "length": 4, "noise": 0}


def test_a_run_without_shape_says_so(run):
    with pytest.raises(
        WeightsError, match=re.escape("run.json has no shape; put the file back as it was, or start a new run")
    ):
        run.shape()


@pytest.mark.parametrize(
    ("name", "value"),
    [("versions", "0.1"), ("shape", []), ("status", 1), ("unused", "loss"), ("seconds", "x"), ("cpu_seconds", 10**400)],
)
def test_a_value_of_another_type_in_run_json_is_damage(run, name, value):
    (run.path / "run.json").write_text(json.dumps({name: value}))
    with pytest.raises(WeightsError, match=f"run.json has a value under '{name}' that is no .*; put the file back"):
        run.info()


@pytest.mark.parametrize("name", ["generator", "discriminator", "training"])
def test_a_configuration_without_a_table_that_everything_needs(run, name):
    tables = run.tables()
    assert list(tables[name])
    path = run.path / "config.toml"
    path.write_text(re.sub(rf"(?ms)^\[{name}.*?(?=^\[|\Z)", "", path.read_text()))
    for use in (run.tables, run.title):
        with pytest.raises(WeightsError, match=re.escape(f"config.toml has no table [{name}]; put the file back")):
            use()


def test_samples(run):
    run.write_samples(500, ["a cat", "ein Käfer"])
    assert (run.samples / "step-00000500.txt").read_text(encoding="utf-8") == "a cat\nein Käfer\n"


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_files_get_the_mode_of_the_umask(run, mask):
    old = os.umask(mask)
    try:
        run.write_info(status="started")
        run.metrics.append({"step": 1})
    finally:
        os.umask(old)
    for name in ("run.json", "metrics.jsonl"):
        assert (run.path / name).stat().st_mode & 0o777 == 0o666 & ~mask


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
    assert json.loads((run.path / "run.json").read_text())["status"] == "started"
    assert not list(run.path.glob(".*"))


def test_a_place_below_a_file_cannot_be_made(run):
    path = run.path / "config.toml" / "below"
    with pytest.raises(GanlmError) as caught:
        RunFolder.make(path, "name")
    advice = "a part of the path is a file, choose another place"
    assert str(caught.value) == f"cannot write {path}: Not a directory; {advice}"


def test_a_damaged_file_of_a_run_is_not_to_be_fetched_again(run):
    (run.path / "run.json").write_text("{")
    (run.path / "tokenizer.json").write_bytes(b"\xff")
    (run.path / "config.toml").unlink()
    for read in (run.info, run.tokenizer, run.config):
        with pytest.raises(WeightsError) as caught:
            read()
        assert str(caught.value).endswith("; put the file back as it was, or start a new run")


@pytest.mark.parametrize("labels", [5, [["a"]], [["a", "x"]], [3]])
def test_damaged_labels_are_named(run, labels):
    run.write_info(labels=labels)
    with pytest.raises(WeightsError, match=r"labels"):
        run.labels()


def test_a_run_is_finished_when_it_has_a_bundle_and_was_not_resumed(run):
    assert not run.is_finished
    run.bundle.mkdir()
    assert not run.is_finished
    run.write_info(status="finished")
    assert run.is_finished
    (run.path / "run.json").unlink()
    assert run.is_finished


def test_the_title_names_the_networks_and_the_method(run):
    assert run.title() == "lstm against conv by autoregressive"
    run.write_info(method="seqgan with loss focal", unused=["discriminator"])
    assert run.title() == "lstm by seqgan with loss focal"
    came = {network: [{"name": name, "revision": "", "sha256": "a" * 64}] for network, name in
            (("generator", "zoo:one"), ("discriminator", "zoo:two"))}  # fmt: skip
    run.write_info(descent=came)
    assert run.title() == "lstm by seqgan with loss focal from zoo:one"
    run.write_info(unused=[])
    assert run.title() == "lstm against conv by seqgan with loss focal from zoo:one and zoo:two"
    run.write_info(descent={})
    other = replace(CONFIG, loss=make_config("lstm", "conv", loss="hinge").loss)
    run.write_info(method="", unused=[])
    run.write_config(other)
    assert run.title() == "lstm against conv by autoregressive with loss hinge"
