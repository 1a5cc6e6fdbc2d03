"""What is checked and restored before a run goes on; test_train.py does so with whole runs."""

import shutil
from pathlib import Path

import pytest

from ganlm_core.errors import UsageError
from ganlm_core.plugins.host import default_host
from ganlm_core.training.progress import Progress, Saved
from ganlm_core.training.resuming import has_more_steps, mended
from ganlm_core.training.run_folder import RunFolder, extended
from ganlm_core.training.setup import Setup, prepare
from tests.conftest import tiny_config


@pytest.fixture
def setup() -> Setup:
    return prepare(tiny_config("mlp", "mlp"))


@pytest.fixture
def folder(setup: Setup, tmp_path: Path) -> RunFolder:
    found = RunFolder.make(tmp_path / "run", "run")
    found.start(setup.config, None)
    found.write_tokenizer(setup.tokenizer.to_json())
    return found


def saved(folder: RunFolder) -> Saved:
    return Saved(batches=(0, 0), data="", config=folder.config(), progress=Progress())


def test_more_steps_are_seen_and_an_unchanged_configuration_has_none(setup: Setup, folder: RunFolder) -> None:
    before = saved(folder)
    assert not has_more_steps(before, default_host(), folder)
    folder.write_config(extended(folder.load_config(default_host()), 9))
    assert has_more_steps(before, default_host(), folder)


def test_any_other_edit_is_refused_by_name_but_the_device_may_change(folder: RunFolder) -> None:
    before, path = saved(folder), folder.path / "config.toml"
    text = path.read_text()
    path.write_text(text.replace('device = "cpu"', 'device = "auto"'))
    assert not has_more_steps(before, default_host(), folder)
    path.write_text(text.replace("batch_size = 8", "batch_size = 9"))
    with pytest.raises(UsageError, match=r"was edited after the last checkpoint \(training\.batch_size: 8 -> 9\)"):
        has_more_steps(before, default_host(), folder)


def test_missing_files_are_written_again_and_told(setup: Setup, folder: RunFolder) -> None:
    assert mended(setup, folder) == []
    text = folder.tokenizer()
    (folder.path / "tokenizer.json").unlink()
    shutil.rmtree(folder.samples)
    notes = mended(setup, folder)
    assert len(notes) == 2 and "tokenizer.json was missing and was written again" in notes[0]
    assert folder.tokenizer() == text and folder.samples.is_dir()
