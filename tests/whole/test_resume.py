"""Runs that are resumed: from anywhere, on the same text, with more steps, and whatever the environment says."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ganlm_core.cli import main
from ganlm_core.plugins.host import default_host
from ganlm_core.training.run_folder import RunFolder
from tests.conftest import Ganlm, files_of

TINY = ["run", "--gen.hidden-size", "8", "--gen.embedding-size", "8", "--disc.filters", "4", "--disc.embedding-size",
        "8", "--steps", "6", "--batch-size", "8", "--noise-size", "4", "--device", "cpu", "--log-every", "1",
        "--evaluation-samples", "20", "--evaluate-every", "3", "--checkpoint-every", "3",
        "--algorithm.warmup", "0.34", "--algorithm.discriminator-warmup", "0.17"]  # fmt: skip
TEXT = "".join(f"word{number % 7} is number{number} .\n" for number in range(200))
EVAL = ["-n", "5", "--temperatures", "1", "--metrics", "likelihood"]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Another working directory, whose files of the same names are other text."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for name in ("my.txt", "data.txt"):
        (folder / name).write_text("nothing of that .\n" * 200)
    return folder


def unfinished(run: Path) -> dict[str, bytes]:
    """Take a run back to its checkpoint of step 3; return the files that it had."""
    files = files_of(run)
    shutil.rmtree(run / "bundle")
    shutil.rmtree(run / "checkpoints" / "step-00000006")
    return files


def test_a_run_resumes_and_is_evaluated_from_any_folder(
    ganlm: Ganlm, tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("my.txt").write_text(TEXT)
    assert ganlm(*TINY, "--data", "my.txt", "--out", "run")[0] == 0
    assert f'path = "{tmp_path}/my.txt"' in Path("run/config.toml").read_text()
    wanted = unfinished(tmp_path / "run")
    monkeypatch.chdir(elsewhere)
    assert ganlm("run", "--resume", "../run")[0] == 0
    assert files_of(tmp_path / "run") == wanted
    code, _, err = ganlm("eval", "../run", *EVAL)
    assert code == 0, err
    assert "another text" not in err and "kept in ../run/evaluation.json" in err


def test_data_given_again_in_another_spelling_are_the_same(ganlm: Ganlm, tmp_path: Path) -> None:
    Path("my.txt").write_text(TEXT)
    assert ganlm(*TINY, "--data", "my.txt", "--out", "run")[0] == 0
    (tmp_path / "sub").mkdir()
    assert ganlm("run", "--resume", "run", "--data", "sub/../my.txt")[0] == 0


def test_a_run_goes_on_with_data_that_were_moved(ganlm: Ganlm, tmp_path: Path) -> None:
    Path("my.txt").write_text(TEXT)
    assert ganlm(*TINY, "--data", "my.txt", "--out", "run")[0] == 0
    Path("my.txt").rename("moved.txt")
    assert ganlm("run", "--resume", "run", "--steps", 8)[0] == 1
    Path("other.txt").write_text(TEXT.replace("word", "term"))
    code, _, err = ganlm("run", "--resume", "run", "--data", "other.txt", "--steps", 8)
    assert code == 1 and "the training data of run have changed since it was started" in err
    assert "other.txt" not in Path("run/config.toml").read_text()
    code, _, err = ganlm("run", "--resume", "run", "--data", "moved.txt", "--steps", 8)
    assert code == 0, err
    assert f'path = "{tmp_path}/moved.txt"' in Path("run/config.toml").read_text()
    assert ganlm("run", "--resume", "run", "--steps", 9)[0] == 0


def standard_input(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with path.open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        yield "-"


def fifo(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    pipe = path.with_name("fifo")
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text(path.read_text()))
    writer.start()
    yield str(pipe)
    writer.join()


def process_substitution(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """What bash makes of ``<(cat path)``."""
    reading, writing = os.pipe()
    os.write(writing, path.read_bytes())
    os.close(writing)
    yield f"/dev/fd/{reading}"
    os.close(reading)


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="FIFOs and /dev/fd are POSIX's")
@pytest.mark.parametrize("source", [standard_input, fifo, process_substitution])
def test_text_that_can_be_read_only_once_is_kept(
    ganlm: Ganlm, tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, source: object
) -> None:
    (tmp_path / "plain.txt").write_text(TEXT)
    for data in source(tmp_path / "plain.txt", monkeypatch):  # type: ignore[operator]
        assert ganlm(*TINY, "--data", data, "--out", "run")[0] == 0
    assert sorted(Path("run/data.txt").read_text().splitlines()) == sorted(TEXT.splitlines())
    assert 'path = "data.txt"' in Path("run/config.toml").read_text()
    wanted = unfinished(tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / "moved")
    monkeypatch.chdir(elsewhere)
    assert ganlm("run", "--resume", tmp_path / "moved")[0] == 0
    assert files_of(tmp_path / "moved") == wanted
    code, _, err = ganlm("eval", tmp_path / "moved", *EVAL)
    assert code == 0, err
    assert "another text" not in err


def test_a_run_of_before_with_a_relative_path_resumes_where_it_was_started(ganlm: Ganlm, tmp_path: Path) -> None:
    Path("my.txt").write_text(TEXT)
    assert ganlm(*TINY, "--data", "my.txt", "--out", "run")[0] == 0
    wanted = unfinished(tmp_path / "run")
    config = Path("run/config.toml")
    config.write_text(config.read_text().replace(f"{tmp_path}/my.txt", "my.txt"))
    assert ganlm("run", "--resume", "run")[0] == 0
    assert files_of(tmp_path / "run") == wanted  # with the absolute path, which holds everywhere


def test_a_finished_run_is_trained_on(ganlm: Ganlm, tmp_path: Path) -> None:
    corpus = ["--corpus.size", "300"]
    assert ganlm(*TINY, *corpus, "--out", "run")[0] == 0
    assert ganlm("eval", "run", "-n", 20)[0] == 0
    assert Path("run/evaluation.json").exists()
    code, out, _ = ganlm("run", "--resume", "run", "--steps", 9)
    assert not Path("run/evaluation.json").exists()  # it was of the weights of step 6
    assert (code, out.splitlines()[0]) == (0, "20 sentences at temperature 1.0, weights of step 9")
    training = RunFolder(tmp_path / "run").load_config(default_host()).training
    assert (training.steps, training.planned_steps) == (9, 6)
    assert ganlm(*TINY, *corpus, "--steps", 9, "--planned-steps", 6, "--out", "whole")[0] == 0
    for name in ("generator.safetensors", "discriminator.safetensors", "evaluation.json"):
        assert Path("run/bundle", name).read_bytes() == Path("whole/bundle", name).read_bytes()
    assert Path("run/metrics.jsonl").read_bytes() == Path("whole/metrics.jsonl").read_bytes()
    code, _, err = ganlm("run", "--resume", "run", "--steps", 8)
    assert (code, err) == (
        2,
        "ganlm: error: the run has 9 steps, and --steps 8 is fewer; give more, or none\n",
    )


def test_the_environment_of_new_runs_does_not_change_an_old_one(
    ganlm: Ganlm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ganlm(*TINY, "--corpus.size", "300", "--out", "run")[0] == 0
    wanted = unfinished(tmp_path / "run")
    values = {"STEPS": "many", "GEN": "conv", "DATA": "none.txt", "OUT": "other", "RECIPE": "mle", "BATCH_SIZE": "3"}
    for name, value in values.items():
        monkeypatch.setenv(f"GANLM_{name}", value)
    assert ganlm("run", "--resume", "run")[0] == 0
    assert files_of(tmp_path / "run") == wanted


CLOSED = "import os, sys\nfrom ganlm_core.cli import main\nos.close(2)\nsys.exit(main())"
ONLY_READER = "import sys\nfrom ganlm_core.cli import main\nsys.exit(main())"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("stderr", ["a full disk", "a pipe that nobody reads", "closed"])
def test_output_that_goes_nowhere_ends_no_run(tmp_path: Path, stderr: str) -> None:
    command = [sys.executable, "-c", CLOSED if stderr == "closed" else ONLY_READER, *TINY, "--corpus.size", "300"]
    reading, writing = os.pipe()
    os.close(reading)
    with Path("/dev/full").open("w") as full:
        target = {"a full disk": full, "a pipe that nobody reads": writing}.get(stderr, subprocess.DEVNULL)
        done = subprocess.run([*command, "--out", tmp_path / "run"], stderr=target, stdout=subprocess.DEVNULL)
    os.close(writing)
    assert done.returncode == 0
    assert RunFolder(tmp_path / "run").is_finished
    assert main([*TINY, "--corpus.size", "300", "--out", str(tmp_path / "seen")]) == 0
    assert files_of(tmp_path / "run") == files_of(tmp_path / "seen")
