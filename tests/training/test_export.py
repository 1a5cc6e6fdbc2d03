"""Bundles and models of runs: from a checkpoint, or a copy of the run's own bundle."""

import shutil

import pytest
import torch

from ganlm_core.bundle import load, zoo
from ganlm_core.bundle.verify import verify
from ganlm_core.errors import FolderInUse, UsageError, WeightsError
from ganlm_core.system.lock import locked
from ganlm_core.training.export import export, load_checkpoint, unfinished_run
from tests.bundles import files_of


def test_a_bundle_of_a_checkpoint(unfinished, saved, host, tmp_path):
    folder = export(unfinished.path, tmp_path / "out", host)
    verify(folder, host)
    ours, theirs = files_of(folder), files_of(saved)
    assert ours["evaluation.json"] == b"{}\n" and b"Not evaluated.\n" in ours["README.md"]
    assert "calibration.json" not in ours  # nothing was held out
    for name in theirs.keys() - {"calibration.json", "evaluation.json", "README.md", "SHA256SUMS"}:
        assert ours[name] == theirs[name], name


def test_a_finished_run_is_exported_as_it_is(unfinished, saved, host, tmp_path):
    shutil.copytree(saved, unfinished.bundle)
    assert files_of(export(unfinished.path, tmp_path / "out", host)) == files_of(saved)
    with pytest.raises(UsageError, match="already exists; add --force to replace it, or choose another --out"):
        export(unfinished.path, tmp_path / "out", host)
    (unfinished.bundle / "README.md").write_text("")
    with pytest.raises(WeightsError, match=r"README\.md was changed or damaged"):
        export(unfinished.path, tmp_path / "other", host)
    assert not (tmp_path / "other").exists()


def test_a_copy_of_a_bundle(saved, host, tmp_path):
    assert files_of(export(saved, tmp_path / "out", host)) == files_of(saved)
    copy = export("zoo:conv-conv.one-shot-grammar", tmp_path / "zoo", host)
    assert files_of(copy) == files_of(zoo.find("conv-conv.one-shot-grammar"))


def test_one_process_exports_to_a_folder(saved, host, tmp_path):
    with locked(tmp_path / "out"), pytest.raises(FolderInUse, match="is in use by process"):
        export(saved, tmp_path / "out", host)
    export(saved, tmp_path / "out", host)
    assert [path.name for path in tmp_path.iterdir()] == ["out"], "no lock stays"


def test_a_source_that_is_nothing(host, tmp_path):
    with pytest.raises(WeightsError, match=f"there is no bundle at {tmp_path}; give a folder that has a"):
        export(tmp_path, tmp_path / "out", host)


def test_a_run_without_a_checkpoint(unfinished, host, tmp_path):
    shutil.rmtree(unfinished.checkpoints)
    with pytest.raises(WeightsError, match="checkpoint"):
        export(unfinished.path, tmp_path / "out", host)
    with pytest.raises(WeightsError, match="checkpoint"):
        load_checkpoint(unfinished, host)


def test_a_model_of_a_checkpoint_is_the_model_of_its_bundle(unfinished, saved, host):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    model, step = load_checkpoint(unfinished, host)
    assert torch.get_rng_state().equal(before)
    bundle = load.load(saved, host)
    assert step == 7 and model.calibration is None and model.evaluation == {}
    assert (model.config, model.shape) == (bundle.config, bundle.shape)
    assert model.sample(5) == bundle.sample(5) and model.score(["a cat"]) == bundle.score(["a cat"])
    assert not any(p.requires_grad for p in model.generator.parameters()) and not model.generator.training


def test_only_a_run_without_a_bundle_is_one(unfinished, saved, tmp_path):
    found = unfinished_run(unfinished.path)
    assert found is not None and found.path == unfinished.path
    assert unfinished_run(saved) is None and unfinished_run("zoo:conv-conv.one-shot-grammar") is None
    assert unfinished_run(tmp_path / "nothing") is None
    shutil.copytree(saved, unfinished.bundle)
    assert unfinished_run(unfinished.path) is None


def test_a_run_without_a_whole_checkpoint_has_nothing_to_export(unfinished, host, tmp_path):
    """A checkpoint cannot be fetched or exported again, as a bundle can."""
    (next(unfinished.checkpoints.glob("step-*")) / "state.json").write_text("{}")
    with pytest.raises(WeightsError) as caught:
        export(unfinished.path, tmp_path / "out", host)
    assert str(caught.value).endswith("its SHA-256 is not the one in SHA256SUMS; start a new run")
