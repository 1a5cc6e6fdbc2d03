"""Runs from start to end: what a new run and a resumed one do around their training."""

import json
import os
import shutil
import signal
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ganlm_core.config.run_config import RunConfig
from ganlm_core.data.batches import Batches
from ganlm_core.errors import DataError, FolderInUse, GanlmWarning, Interrupted, RunExists, UsageError, WeightsError
from ganlm_core.plugins.host import default_host
from ganlm_core.protocol import Batch
from ganlm_core.system.lock import locked
from ganlm_core.training import checkpoint, monitor
from ganlm_core.training.display import Display
from ganlm_core.training.metrics_log import MetricsLog
from ganlm_core.training.resuming import extended
from ganlm_core.training.run import Run
from ganlm_core.training.run_folder import RunFolder
from ganlm_core.training.setup import Setup
from ganlm_core.training.train import execute, train
from tests.conftest import WARM, files_of, tiny_config


def test_training_wants_a_configuration() -> None:
    with pytest.raises(UsageError) as caught:
        train("lstm", "conv")  # type: ignore[arg-type]
    assert str(caught.value) == """config is 'lstm'; give one, such as train(make_config("lstm", "conv"))"""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"out": 3}, "out is 3; wanted a path"),
        ({"out": ""}, "out is empty; wanted a path"),
        ({"start": 3}, "start is 3; wanted a path"),
        ({"host": "x"}, "host is 'x'; wanted a Host, such as Host.discover()"),
        ({"resume": 3}, "resume is 3; wanted a path"),
        (
            {"resume": "run", "out": "other"},
            "a resumed run continues in its own folder; leave out either out=... or resume=...",
        ),
    ],
)
def test_training_refuses_arguments_of_other_types(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        train(config(), **arguments)
    assert str(caught.value) == message


class Notes(Display):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


def config(**settings: Any) -> RunConfig:
    return tiny_config(
        "lstm", "conv", **{"algorithm_options": WARM, "evaluate_every": 3, "checkpoint_every": 3} | settings
    )


def test_training_warns_of_a_collapse_at_the_line_that_called_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "collapse", lambda history, real: "samples repeat" if history else "")
    with pytest.warns(GanlmWarning, match="^the generator collapsed after step 3: samples repeat$") as warned:
        train(config(), out=tmp_path / "run")
    assert [each.filename for each in warned] == [__file__]


def test_a_warning_that_is_an_error_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor, "collapse", lambda history, real: "samples repeat" if history else "")
    with warnings.catch_warnings(), pytest.raises(GanlmWarning, match=r"^the generator collapsed after step 3: "):
        warnings.simplefilter("error")
        train(config(), out=tmp_path / "run")


def test_training_keeps_its_notes_in_run_json(tmp_path: Path) -> None:
    train(config(steps=1, tokenizer_options={"max_length": 6}), out=tmp_path / "run")
    notes = json.loads((tmp_path / "run" / "run.json").read_text())["notes"]
    assert any("were longer and were cut; --tokenizer.max-length takes more" in line for line in notes)


def test_training_neither_heeds_nor_changes_what_the_program_has_set_in_torch(finished: Path, tmp_path: Path) -> None:
    state = torch.get_rng_state()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16), torch.device("meta"):
            train(config(), out=tmp_path / "run")
            assert torch.is_inference_mode_enabled() and torch.is_autocast_enabled("cpu")
            assert torch.get_default_dtype() == torch.float64 and torch.empty(0).is_meta
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(torch.get_rng_state(), state)
    assert files_of(tmp_path / "run") == files_of(finished)


def test_one_training_runs_in_a_process_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[str] = []

    def train_too(*arguments: object, **more: object) -> None:
        with pytest.raises(UsageError) as caught:
            train(config())
        refused.append(str(caught.value))
        raise DataError("that is all")

    monkeypatch.setattr("ganlm_core.training.train.execute", train_too)
    for _ in range(2):  # the second time shows that an error lets the next training begin
        with pytest.raises(DataError, match="that is all"):
            train(config())
    message = "another training runs in this process, and both would draw from one random generator; "
    assert refused == [message + "train in processes of their own"] * 2


def at_step(step: int, monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Let a program act in the midst of a step of a run, counted from 1."""
    following = Batches.next

    def acting(self: Batches, at: int, steps: int) -> Batch:
        if at + 1 == step:
            act()
        return following(self, at, steps)

    monkeypatch.setattr(Batches, "next", acting)


def stopping_message(run: Path, step: int) -> str:
    stopped = f"interrupted after step {step}; the checkpoint of step {step} is kept"
    return f"{stopped}, resume with: ganlm run --resume {run}"


def test_ctrl_c_during_training_is_a_keyboard_interrupt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    at_step(4, monkeypatch, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt) as caught:
        train(config(algorithm_options={}), out=run)
    assert str(caught.value) == stopping_message(run, 4)
    assert isinstance(caught.value.__cause__, Interrupted)


def test_the_programs_own_handler_of_a_signal_is_called_after_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, called = tmp_path / "run", list[int]()
    at_step(4, monkeypatch, lambda: signal.raise_signal(signal.SIGTERM))
    before = signal.signal(signal.SIGTERM, lambda number, frame: called.append(number))
    try:
        with pytest.raises(Interrupted) as caught:
            train(config(algorithm_options={}), out=run)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (called, str(caught.value)) == ([signal.SIGTERM], stopping_message(run, 4))


def test_a_keyboard_interrupt_without_a_signal_is_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as one that a program sets in the thread that trains."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    at_step(4, monkeypatch, interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        train(config(algorithm_options={}), out=tmp_path / "run")
    assert str(caught.value) == stopping_message(tmp_path / "run", 3)


def test_the_error_of_the_programs_own_handler_passes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Deadline(Exception):
        pass

    def ring(number: int, frame: object) -> None:
        raise Deadline("too late")

    before = signal.signal(signal.SIGALRM, ring)
    at_step(4, monkeypatch, lambda: signal.raise_signal(signal.SIGALRM))
    try:
        with pytest.raises(Deadline, match=r"^too late$"):
            train(config(algorithm_options={}), out=tmp_path / "run")
    finally:
        signal.signal(signal.SIGALRM, before)
    assert RunFolder(tmp_path / "run").info()["status"] == "failed"


def test_training_resumes_a_run_and_makes_it_longer(half: Path, finished: Path, tmp_path: Path) -> None:
    train(resume=half)
    assert files_of(half) == files_of(finished)
    train(config(steps=9), resume=half)
    whole = execute(config(steps=9, planned_steps=6), out=tmp_path / "whole").path
    assert results(half) == results(whole)


def resume(run: Path, steps: int | None = None) -> list[str]:
    """Resume a run; return the notes."""
    notes, saved = Notes(), RunFolder(run).load_config(default_host())
    execute(saved if steps is None else extended(saved, steps), resume=run, display=notes)
    return notes.lines


def stopped_at(step: int, path: Path, **settings: Any) -> Path:
    """A run that a signal stopped after a step."""

    class Stopping(Display):
        def logged(self, at: int, record: object) -> None:
            if at == step:
                os.kill(os.getpid(), 15)

    with pytest.raises(Interrupted):
        execute(config(**settings), out=path, display=Stopping())
    return path


def results(run: Path) -> dict[str, bytes]:
    """The files of a run without those that keep the configuration of their time: its checkpoints and before/."""
    return {name: data for name, data in files_of(run).items() if not name.startswith(("checkpoints/", "before/"))}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return execute(config(), out=tmp_path_factory.mktemp("finished") / "run").path


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "copy")


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stopped_at(3, tmp_path_factory.mktemp("interrupted") / "run")


@pytest.fixture
def half(interrupted: Path, tmp_path: Path) -> Path:
    """A run that was stopped after its third step, to be changed by a test."""
    return shutil.copytree(interrupted, tmp_path / "run")


def test_a_folder_in_use_is_neither_started_nor_resumed(finished: Path, half: Path, tmp_path: Path) -> None:
    with locked(half), pytest.raises(FolderInUse, match=f"in use by process {os.getpid()} on host "):
        resume(half)
    with locked(tmp_path / "new"), pytest.raises(FolderInUse):
        execute(config(), out=tmp_path / "new")
    resume(half)
    assert files_of(half) == files_of(finished)
    assert not list(tmp_path.glob(".*.lock")), "no lock stays"


def test_a_run_holds_its_folder_until_its_end(tmp_path: Path) -> None:
    class Second(Display):
        def evaluated(self, step: int, values: object, samples: object) -> None:
            with pytest.raises(FolderInUse) as caught:
                resume(tmp_path / "run")
            raised.append(str(caught.value))

    raised: list[str] = []
    execute(config(), out=tmp_path / "run", display=Second())
    assert len(raised) == 2


def test_a_run_without_a_checkpoint_begins_anew_either_way(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a process that was killed before: neither --out nor --resume sends the user to the other."""
    for name, again in (("resumed", lambda run: resume(run)), ("started", lambda run: execute(config(), out=run))):
        run = RunFolder.make(tmp_path / name, "name")
        run.start(config())
        again(run.path)
        assert files_of(run.path) == files_of(finished)


def test_a_run_without_a_checkpoint_may_be_given_more_steps(tmp_path: Path) -> None:
    run = RunFolder.make(tmp_path / "run", "name")
    run.start(config())
    resume(run.path, steps=8)
    assert run.is_finished and run.metrics.steps()[-1]["step"] == 8


def test_a_start_that_fails_leaves_an_empty_folder_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Run) -> None:
        raise DataError("no")

    monkeypatch.setattr(Run, "begin", fail)
    (tmp_path / "volume").mkdir()
    for name in ("volume", "new"):
        with pytest.raises(DataError):
            execute(config(), out=tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["volume"]
    assert list((tmp_path / "volume").iterdir()) == []


def test_a_start_does_not_touch_a_folder_with_something_in_it(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.toml").write_text("mine")
    with pytest.raises(RunExists):
        execute(config(), out=tmp_path / "mine")
    assert (tmp_path / "mine" / "config.toml").read_text() == "mine"


def test_more_steps_than_planned_equal_one_run_with_this_plan(finished: Path, copy: Path, tmp_path: Path) -> None:
    """Six steps and then three more, or nine at once of which six are planned."""
    assert resume(copy, steps=9) == []
    whole = execute(config(steps=9, planned_steps=6), out=tmp_path / "whole").path
    assert results(copy) == results(whole)
    assert files_of(copy / "before") == files_of(finished / "before")
    training = RunFolder(copy).load_config(default_host()).training
    assert (training.steps, training.planned_steps) == (9, 6)
    assert resume(copy) == [f"{copy} is finished; its bundle is {copy / 'bundle'}"]


def test_an_interrupted_run_may_be_given_more_steps(half: Path, tmp_path: Path) -> None:
    resume(half, steps=9)
    whole = execute(config(steps=9, planned_steps=6), out=tmp_path / "whole").path
    assert files_of(half / "bundle") == files_of(whole / "bundle")


def test_more_steps_that_are_interrupted_go_on(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Run) -> None:
        raise KeyError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(Run, "restore", fail)
        with pytest.raises(KeyError):
            resume(copy, steps=9)
    resume(copy)
    whole = execute(config(steps=9, planned_steps=6), out=tmp_path / "whole").path
    assert results(copy) == results(whole)


def test_a_run_that_stopped_itself_is_trained_on(tmp_path: Path) -> None:
    run = execute(config(keep="best", patience=1, evaluate_every=1), out=tmp_path / "run")
    stopped = RunFolder(run.path).info().get("stopped")
    resume(run.path, steps=9)
    assert [record["step"] for record in run.metrics.steps()][-1] >= (6 if stopped is None else 1)
    more = replace(extended(config(), 9))
    assert run.load_config(default_host()).training.steps == more.training.steps == 9


def test_patience_starts_anew_with_more_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two evaluations without a better one end the run; after that, two more do, and not the first."""
    scores, evaluated = iter([1.0, *[2.0] * 20]), monitor.interim_evaluation

    def never_better(setup: Setup, step: int) -> Any:
        values, samples = evaluated(setup, step)
        return values | {"validation_nll": next(scores)}, samples

    monkeypatch.setattr(monitor, "interim_evaluation", never_better)
    run = execute(config(steps=9, keep="last", patience=2, evaluate_every=1), out=tmp_path / "run")
    assert run.metrics.steps()[-1]["step"] == 3
    resume(run.path, steps=12)
    assert run.metrics.steps()[-1]["step"] == 5


def test_a_configuration_that_was_edited_is_refused(half: Path) -> None:
    path = half / "config.toml"
    original = path.read_text()
    for old, new, change in (
        ("steps = 6", "steps = 8", "training.planned_steps: 6 -> 0"),
        ("batch_size = 8", "batch_size = 4", "training.batch_size: 8 -> 4"),
    ):
        path.write_text(original.replace(old, new))
        with pytest.raises(UsageError) as caught:
            resume(half)
        assert str(caught.value) == (
            f"{path} was edited after the last checkpoint ({change}); put it back as it was, or start a new run; "
            "only --resume RUN --steps MORE changes a run"
        )
    path.write_text(original.replace('device = "cpu"', 'device = "auto"'))
    resume(half)


def test_lines_of_metrics_that_are_lost_are_told(half: Path, finished: Path) -> None:
    metrics = half / "metrics.jsonl"
    lines = metrics.read_bytes().splitlines(keepends=True)
    metrics.write_bytes(b"".join(lines[:2]))
    assert resume(half) == [f"{metrics} has lost 2 of its 4 lines; training goes on"]
    assert files_of(half / "bundle") == files_of(finished / "bundle")
    assert len(RunFolder(half).metrics.read()) == len(RunFolder(finished).metrics.read()) - 2


def test_lines_of_metrics_that_were_added_are_told(half: Path, finished: Path) -> None:
    metrics = half / "metrics.jsonl"
    first, *others = metrics.read_bytes().splitlines(keepends=True)
    metrics.write_bytes(b"".join([first, first, *others]))
    assert resume(half) == [f"{metrics} has lines that the run did not write, so it may lack others; training goes on"]
    assert files_of(half / "bundle") == files_of(finished / "bundle")


def test_metrics_are_on_the_disk_before_the_checkpoint_that_counts_on_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    sync, save = MetricsLog.sync, checkpoint.save
    monkeypatch.setattr(MetricsLog, "sync", lambda self: (order.append("sync"), sync(self)))
    monkeypatch.setattr(checkpoint, "save", lambda *args, **more: (order.append("save"), save(*args, **more)))
    execute(config(), out=tmp_path / "run")
    assert order == ["sync", "save"] * 3


def test_missing_files_of_a_folder_are_restored_with_a_note(half: Path, finished: Path) -> None:
    (half / "tokenizer.json").unlink()
    shutil.rmtree(half / "samples")
    assert resume(half) == [
        f"{half / 'tokenizer.json'} was missing and was written again",
        f"{half / 'samples'} was missing; the samples of earlier evaluations are lost",
    ]
    missing = files_of(finished).keys() - files_of(half).keys()
    assert missing == {"samples/step-00000003.txt"}
    assert files_of(half / "bundle") == files_of(finished / "bundle")


def test_other_data_are_told_as_such_before_their_tensors_are_compared(tmp_path: Path) -> None:
    """Data of another vocabulary make networks of another shape."""
    data = tmp_path / "my.txt"
    data.write_text("".join(f"word{number % 7} is {number} .\n" for number in range(200)))
    run = stopped_at(4, tmp_path / "run", data=data, corpus_options={})
    data.write_text("".join(f"other{number % 9} was {number} .\n" for number in range(300)))
    with pytest.raises(DataError, match=f"the training data of {run} have changed since it was started; put the old"):
        resume(run)


def test_a_state_of_the_wrong_types_is_refused(half: Path) -> None:
    for path in (half / "checkpoints").iterdir():
        state = json.loads((path / "state.json").read_text())
        state["extra"] = {"dict": [["batches", 3], ["data", ""], ["progress", {"dict": []}]]}
        (path / "state.json").write_text(json.dumps(state))
        (path / "SHA256SUMS").unlink()
        checkpoint.write_sums(path)
    with pytest.raises(WeightsError, match=r"state\.json is not the state of a checkpoint .*; start a new run"):
        resume(half)


def test_a_run_may_be_moved(half: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = half.rename(tmp_path / "elsewhere")
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    resume(Path("../elsewhere"))
    assert files_of(moved) == files_of(finished)


def test_a_config_in_the_current_folder_is_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is taken for one only where torchrun remembers that folder."""
    monkeypatch.chdir(tmp_path)
    Path("config.toml").write_text(tiny_config("mlp", "mlp").to_toml())
    folder = execute(tiny_config("mlp", "mlp", steps=1), out=Path("run"))
    assert folder.path.name == "run" and folder.bundle.is_dir() and not Path("checkpoints").exists()
