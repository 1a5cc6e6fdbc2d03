"""What is checked and restored before a run goes on; test_train.py does so with whole runs."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ganlm_core.config.run_config import RunConfig
from ganlm_core.errors import UsageError
from ganlm_core.training.resuming import extended, has_more_steps, restore_missing_files, resumed
from ganlm_core.training.run_folder import RunFolder
from tests.conftest import tiny_config

CONFIG = tiny_config("mlp", "mlp")
RUN = Path("runs/mine")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    found = RunFolder.make(tmp_path / "run", "run")
    found.start(CONFIG)
    found.write_tokenizer("{}")
    return found


def changed(config: RunConfig, **training: Any) -> RunConfig:
    return replace(config, training=replace(config.training, **training))


def test_more_steps_leave_the_plan_as_it_was() -> None:
    more = extended(CONFIG, 40)
    assert (more.training.steps, more.training.planned_steps) == (40, CONFIG.training.steps)
    assert extended(more, 60) == changed(more, steps=60)
    assert extended(more, 40) == more
    with pytest.raises(UsageError, match="the run has 40 steps, and --steps 30 is fewer; give more, or none"):
        extended(more, 30)


def test_a_run_is_resumed_with_the_configuration_of_its_start_also_after_it_got_more_steps() -> None:
    longer = extended(CONFIG, 40)
    assert resumed(RUN, CONFIG, CONFIG) == CONFIG
    assert resumed(RUN, CONFIG, changed(CONFIG, steps=40)) == resumed(RUN, CONFIG, longer) == longer
    assert resumed(RUN, longer, changed(CONFIG, steps=60)) == extended(longer, 60)


def test_a_run_is_resumed_with_no_other_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    for wanted, differences in (
        (changed(CONFIG, batch_size=9, seed=3), "training.batch_size: 8 -> 9, training.seed: 0 -> 3"),
        (changed(CONFIG, steps=40, planned_steps=9), "training.planned_steps: 6 -> 9"),
    ):
        with pytest.raises(UsageError) as caught:
            resumed(RUN, CONFIG, wanted)
        assert str(caught.value) == (
            f"--resume runs/mine: the run has another configuration ({differences}); "
            "resume it without these options, or start a new run"
        )


def test_a_run_is_resumed_with_its_data_at_their_new_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    old, moved = (tiny_config("mlp", "mlp", data=name, corpus_options={}) for name in ("old.txt", "moved.txt"))
    assert resumed(RUN, old, moved).corpus.options.as_dict()["path"] == str(tmp_path / "moved.txt")


def test_more_steps_are_seen_and_an_unchanged_configuration_has_none(folder: RunFolder) -> None:
    assert not has_more_steps(CONFIG, CONFIG, folder)
    assert has_more_steps(CONFIG, extended(CONFIG, 9), folder)


def test_any_other_edit_is_refused_by_name_but_the_device_may_change(folder: RunFolder) -> None:
    assert not has_more_steps(CONFIG, changed(CONFIG, device="auto"), folder)
    with pytest.raises(UsageError, match=r"was edited after the last checkpoint \(training\.batch_size: 8 -> 9\)"):
        has_more_steps(CONFIG, changed(CONFIG, batch_size=9), folder)


def test_missing_files_are_written_again_and_told(folder: RunFolder) -> None:
    assert restore_missing_files(folder, "{}") == []
    folder.tokenizer_file.unlink()
    shutil.rmtree(folder.samples)
    assert restore_missing_files(folder, "{}") == [
        f"{folder.path / 'tokenizer.json'} was missing and was written again",
        f"{folder.samples} was missing; the samples of earlier evaluations are lost",
    ]
    assert folder.tokenizer() == "{}" and folder.samples.is_dir()
