"""Saving: what is in the folder, byte by byte, and what stays when saving fails."""

import json
import os
import re
import subprocess

import pytest
import torch
from safetensors.torch import load_file

from ganlm_core.bundle import load
from ganlm_core.bundle.save import save, without_paths
from ganlm_core.bundle.verify import verify
from ganlm_core.config.run_config import RunConfig, override
from ganlm_core.errors import GanlmError, UsageError, WeightsError
from ganlm_core.protocol import Shape
from tests.bundles import files_of


def test_a_loaded_bundle_equals_the_saved_one(saved, parts, host):
    model = load.load(saved, host)
    for kind, network in (("generator", model.generator), ("discriminator", model.discriminator)):
        wanted = parts["networks"][kind].state_dict()
        assert all(tensor.equal(wanted[name]) for name, tensor in network.state_dict().items())
        assert not network.training and not any(p.requires_grad for p in network.parameters())
    assert model.shape == parts["shape"]
    assert model.evaluation == parts["evaluation"] | {"after": {"nll": None}}
    assert model.config.components["generator"].distribution == "ganlm-lstm"
    assert RunConfig.from_toml(host, (saved / "recipe.toml").read_text()) == parts["config"]


def test_a_bundle_has_the_files_of_the_format(saved):
    assert sorted(files_of(saved)) == [
        "README.md", "SHA256SUMS", "calibration.json", "config.json", "discriminator.safetensors", "evaluation.json",
        "generator.safetensors", "recipe.toml", "selftest.json", "tokenizer.json",
    ]  # fmt: skip


def test_two_saves_give_the_same_bytes(saved, parts, tmp_path):
    torch.manual_seed(99)
    assert files_of(save(tmp_path / "again", **parts)) == files_of(saved)


def test_saving_leaves_the_networks_and_the_random_state_alone(parts, tmp_path):
    generator = parts["networks"]["generator"].train()
    before = torch.get_rng_state()
    save(tmp_path / "again", **parts)
    # New networks draw their initial weights, which must not advance the caller's random numbers.
    assert torch.get_rng_state().equal(before)
    assert generator.training and all(p.requires_grad for p in generator.parameters())


def test_sha256sum_reads_the_checksums(saved):
    result = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=saved, capture_output=True, text=True)
    assert result.returncode == 0
    assert result.stdout.count(": OK\n") == len(files_of(saved)) - 1


def test_the_safetensors_library_reads_the_weights(saved, parts):
    tensors = load_file(saved / "generator.safetensors")
    wanted = parts["networks"]["generator"].state_dict()
    assert tensors.keys() == wanted.keys() and all(tensors[name].equal(wanted[name]) for name in wanted)


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_files_have_the_modes_of_the_umask(parts, tmp_path, mask):
    old = os.umask(mask)
    try:
        folder = save(tmp_path / "again", **parts)
    finally:
        os.umask(old)
    assert folder.stat().st_mode & 0o777 == 0o777 & ~mask
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o666 & ~mask}


def test_a_bundle_without_discriminator(parts, tmp_path, host):
    only = parts | {"networks": {"generator": parts["networks"]["generator"]}}
    folder = save(tmp_path / "mle", **only)
    assert "discriminator.safetensors" not in files_of(folder)
    assert "scores" not in json.loads((folder / "selftest.json").read_text())
    verify(folder, host)
    with pytest.raises(UsageError, match="this bundle has no discriminator, so it cannot score; train with"):
        load.load(folder, host).score(["a cat"])


def test_an_existing_folder_is_kept_unless_forced(saved, parts, copy, host):
    (copy / "note").write_text("")
    with pytest.raises(
        UsageError, match=re.escape(f"{copy} already exists; add --force to replace it, or choose another --out")
    ):
        save(copy, **parts)
    assert (copy / "note").exists()
    save(copy, **parts, force=True)
    assert files_of(copy) == files_of(saved)
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]


def test_force_replaces_nothing_but_bundles(parts, tmp_path):
    (tmp_path / "letters").write_text("dear")
    with pytest.raises(
        UsageError, match=f"{tmp_path} has no config.json or no SHA256SUMS, so --force does not replace it"
    ):
        save(tmp_path, **parts, force=True)
    assert (tmp_path / "letters").exists()


def test_a_save_that_fails_leaves_the_old_bundle(saved, parts, copy):
    broken = parts | {"shape": Shape(99, 6, 3)}
    with pytest.raises(WeightsError):
        save(copy, **broken, force=True)
    assert files_of(copy) == files_of(saved)
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]


def test_full_disk(parts, tmp_path, monkeypatch):
    def refuse(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ganlm_core.system.files.os.fsync", refuse)
    with pytest.raises(GanlmError, match=r"cannot write .*: No space left on device; free some space"):
        save(tmp_path / "out", **parts)
    assert not list(tmp_path.iterdir())


def test_no_absolute_path_goes_into_a_bundle(parts, host, tmp_path):
    """The text and the weights of an oracle are named by their files; what is no absolute path stays."""
    home = tmp_path / "home" / "me"
    config = override(host, parts["config"], [{"corpus": {"file": {"path": str(home / "my text.txt")}}}])
    corpus = parts["corpus"] | {"name": str(home / "my text.txt")}
    folder = save(tmp_path / "bundle", **parts | {"config": config, "corpus": corpus})
    assert not [name for name, data in files_of(folder).items() if str(tmp_path).encode() in data]
    assert RunConfig.from_toml(host, (folder / "recipe.toml").read_text()).corpus.options.path == "my text.txt"
    assert json.loads((folder / "config.json").read_text())["corpus"]["name"] == "my text.txt"
    assert "# lstm on my text.txt\n" in (folder / "README.md").read_text()
    oracle = override(host, config, [{"corpus": {"oracle": {"weights": str(home / "oracle.safetensors")}}}])
    assert without_paths(host, oracle).corpus.options.weights == "oracle.safetensors"
    for path in ("my.txt", "texts/my.txt", "-", "/"):
        relative = override(host, config, [{"corpus": {"file": {"path": path}}}])
        assert without_paths(host, relative) == relative
