import json
import os
import re
import shutil
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

import ganlm_core
from ganlm_core.bundle import load, zoo
from ganlm_core.bundle.save import save
from ganlm_core.bundle.verify import verify
from ganlm_core.cli.context import Invocation
from ganlm_core.config.run_config import RunConfig
from ganlm_core.data.options import TOKENIZERS
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.errors import GanlmError, OptionError, UsageError, WeightsError
from ganlm_core.protocol import Shape
from ganlm_core.system.header import read_header
from ganlm_core.training import checkpoint
from ganlm_core.training.export import export
from ganlm_core.training.run_folder import RunFolder
from tests.bundles import TEXTS, edit, files_of, refused
from tests.environments import ROOT


def test_what_is_saved_is_what_is_loaded(saved, parts, host):
    model = load.load(saved, host)
    for kind, network in (("generator", model.generator), ("discriminator", model.discriminator)):
        wanted = parts["networks"][kind].state_dict()
        assert all(tensor.equal(wanted[name]) for name, tensor in network.state_dict().items())
        assert not network.training and not any(p.requires_grad for p in network.parameters())
    assert model.shape == parts["shape"]
    assert model.evaluation == parts["evaluation"] | {"after": {"nll": None}}
    assert model.config.components["generator"].distribution == "ganlm-lstm"
    assert RunConfig.from_toml(host, (saved / "recipe.toml").read_text()) == parts["config"]


def test_the_files_that_the_format_names(saved):
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
    # Fresh networks draw their initial weights; the caller's stream of random numbers must not notice.
    assert torch.get_rng_state().equal(before)
    assert generator.training and all(p.requires_grad for p in generator.parameters())


def test_sha256sum_agrees(saved):
    result = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=saved, capture_output=True, text=True)
    assert result.returncode == 0
    assert result.stdout.count(": OK\n") == len(files_of(saved)) - 1


def test_the_library_reads_the_weights(saved, parts):
    tensors = load_file(saved / "generator.safetensors")
    wanted = parts["networks"]["generator"].state_dict()
    assert tensors.keys() == wanted.keys() and all(tensors[name].equal(wanted[name]) for name in wanted)


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_modes_are_those_of_the_umask(parts, tmp_path, mask):
    old = os.umask(mask)
    try:
        folder = save(tmp_path / "again", **parts)
    finally:
        os.umask(old)
    assert folder.stat().st_mode & 0o777 == 0o777 & ~mask
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o666 & ~mask}


def test_verify_names_every_file_but_the_card(saved, host):
    details = {check.name: check.detail for check in verify(saved, host)}
    assert details.keys() == files_of(saved).keys() - {"README.md"}
    assert details["SHA256SUMS"] == "9 files are as they were saved"
    assert details["selftest.json"] == "identical"


TYPES = {"string": str, "integer": int, "number": int | float, "object": dict, "list": list}
"""What the tables of docs/bundle.md call them, by the first word of the cell."""


def keys_of(folder):
    """Every key of a bundle's JSON with its value, by the name that docs/bundle.md has for it."""
    config, evaluation, selftest, calibration = (
        json.loads((folder / f"{name}.json").read_text())
        for name in ("config", "evaluation", "selftest", "calibration")
    )
    found = config | selftest | calibration | evaluation
    found |= {f"shape.{key}": value for key, value in config["shape"].items()}
    for part in config["components"].values():
        found |= {f"components.KIND.{key}": value for key, value in part.items()}
    for row in filter(lambda value: isinstance(value, dict), evaluation.values()):
        found |= {f"ROW.{key}": value for key, value in row.items()}
    metadata = read_header(folder / "generator.safetensors").metadata
    assert list(metadata) == ["ganlm"]
    return json.loads(metadata["ganlm"]) | found


def test_the_documentation_has_every_key_with_its_type_and_no_other():
    """Of a bundle as a run leaves it."""
    folder = zoo.find("lstm-conv.autoregressive-grammar")
    written = keys_of(folder)
    page = (ROOT / "docs" / "bundle.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\|([^|]+)\|([^|]*)\|", page[page.index("## config.json") :], re.M)
    documented = {key: kind for keys, kind in rows for key in re.findall(r"`([^`]+)`", keys)}
    assert documented.keys() == written.keys()
    for key, kind in documented.items():
        assert not kind.strip() or isinstance(written[key], TYPES[kind.split()[0]]), f"{key} is no {kind}"
    for name in files_of(folder):
        assert f"| `{name}` |" in page


def test_the_documentation_says_what_tokenizers_are_made_of():
    page = (ROOT / "docs" / "bundle.md").read_text(encoding="utf-8")
    for kind in TOKENIZERS:
        made = json.loads(Tokenizer.train(kind, TEXTS, 300).to_json())
        parts = [(made[part] or {"type": "none"})["type"] for part in ("model", "pre_tokenizer", "decoder")]
        assert f"\n| {kind} | {' | '.join(parts)} |\n" in page


def test_the_card(saved):
    card = (saved / "README.md").read_text()
    assert card.startswith('---\nlibrary_name: ganlm\npipeline_tag: text-generation\nmodel_name: "lstm on grammar"\n')
    assert (
        "| | before | after |\n|---|---|---|\n| nll | 12.50 | inf |\n| distinct | 50.0% | - |\n\nsamples 100, seed 0.\n"
        in card
    )
    assert "pip install ganlm ganlm-lstm\n" in card
    assert "ganlm run --config recipe.toml" in card


def test_without_discriminator(parts, tmp_path, host):
    only = parts | {"networks": {"generator": parts["networks"]["generator"]}}
    folder = save(tmp_path / "mle", **only)
    assert "discriminator.safetensors" not in files_of(folder)
    assert "scores" not in json.loads((folder / "selftest.json").read_text())
    verify(folder, host)
    with pytest.raises(UsageError, match="this bundle has no discriminator, so it cannot score; train with"):
        load.load(folder, host).score(["a cat"])


def test_sampling_depends_on_the_seed_and_not_on_the_number(saved, host):
    model = load.load(saved, host)
    few, many = model.sample(5, seed=1, batch_size=4), model.sample(10, seed=1, batch_size=4)
    assert many[:5] == few and len(many) == 10
    assert model.sample(10, seed=2, batch_size=4) != many
    assert many[4:8] != many[:4] and model.sample(4, seed=2, batch_size=4) != many[4:8]
    assert model.sample(0) == []
    assert len(set(model.sample(20, top_k=1))) <= len(set(model.sample(20)))


def test_sentences_go_on_from_a_prompt(saved, host):
    model = load.load(saved, host)
    few, many = (model.sample(n, seed=1, prompt=" the  cat", batch_size=4) for n in (3, 10))
    assert all(text == "the cat" or text.startswith("the cat ") for text in many)
    assert len(set(many)) > 1 and few == many[:3]
    assert model.sample(10, seed=2, prompt="the cat", batch_size=4) != many
    assert model.sample(10, prompt=" ") == model.sample(10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": -1}, "n is -1; wanted 0 or more"),
        ({"temperature": 0.0}, "temperature is 0.0; wanted a number above 0"),
        ({"temperature": float("nan")}, "temperature is nan; wanted a number above 0"),
        ({"top_k": -1}, "top_k is -1; wanted 0 or more"),
        ({"top_p": 1.5}, "top_p is 1.5; wanted a number above 0 and at most 1"),
        ({"batch_size": 0}, "batch_size is 0; wanted 1 or more"),
    ],
)
def test_a_policy_that_is_none(saved, host, arguments, message):
    with pytest.raises(OptionError, match=re.escape(message)):
        load.load(saved, host).sample(**{"n": 1} | arguments)


def test_scores_are_the_discriminators_logits(saved, parts, host):
    tokens, _ = parts["tokenizer"].encode(TEXTS, 6)
    with torch.no_grad():
        wanted = parts["networks"]["discriminator"].eval()(tokens, tokens != 0)
    assert load.load(saved, host).score(TEXTS) == pytest.approx(wanted.tolist(), abs=1e-6)
    assert load.load(saved, host).score([]) == []


def test_a_run_folder_stands_for_its_bundle(saved, host, tmp_path):
    run = RunFolder.create(tmp_path / "run", "name", "")
    with pytest.raises(WeightsError, match=f"{run.path} is a run without a bundle; make one: ganlm weights export"):
        load.load(run.path, host)
    shutil.copytree(saved, run.bundle)
    assert load.load(run.path, host).sample(3) == load.load(saved, host).sample(3)


def test_no_bundle(tmp_path, host):
    message = refused(tmp_path / "none", host)
    assert message == f"there is no bundle at {tmp_path}/none; give a folder that has a config.json, or a run"


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


@pytest.mark.parametrize(
    "name", ["config.json", "generator.safetensors", "discriminator.safetensors", "tokenizer.json"]
)
def test_changed_by_one_bit(copy, host, name):
    data = bytearray((copy / name).read_bytes())
    data[-2] ^= 1
    (copy / name).write_bytes(data)
    message = refused(copy, host)
    assert message.startswith(str(copy / name))
    assert name == "config.json" or message.endswith(
        "was changed or damaged: its SHA-256 is not the one in SHA256SUMS; fetch or export it again"
    )


@pytest.mark.parametrize("name", ["README.md", "recipe.toml", "selftest.json"])
def test_verify_also_checks_what_loading_does_not_read(copy, host, name):
    with (copy / name).open("a") as file:
        file.write(" ")
    load.load(copy, host)
    with pytest.raises(WeightsError, match=f"{name} was changed or damaged"):
        verify(copy, host)


def test_other_arithmetic_passes_the_selftest(copy, host):
    recorded = json.loads((copy / "selftest.json").read_text())
    edit(copy, "selftest.json", logits=[value + 1e-4 for value in recorded["logits"]], logits_sha256="")
    assert verify(copy, host)[-1].detail == "within 0.001"


@pytest.fixture
def run(parts, tmp_path):
    """A run that was stopped at step 7: a checkpoint and no bundle."""
    run = RunFolder.create(tmp_path / "run", "name", parts["config"].to_toml())
    run.write_tokenizer(parts["tokenizer"].to_json())
    run.write_info(shape={"vocabulary": 11, "length": 6, "noise": 3})
    networks = parts["networks"]
    checkpoint.save(
        run.checkpoints, 7, modules={"algorithm": torch.nn.ModuleDict(networks)}, networks=networks, optimizers={}
    )
    return run


def test_a_bundle_of_a_checkpoint(run, saved, host, tmp_path):
    folder = export(run, tmp_path / "out", host)
    verify(folder, host)
    ours, theirs = files_of(folder), files_of(saved)
    assert ours["evaluation.json"] == b"{}\n" and b"Not evaluated.\n" in ours["README.md"]
    assert "calibration.json" not in ours  # nothing was held out
    for name in theirs.keys() - {"calibration.json", "evaluation.json", "README.md", "SHA256SUMS"}:
        assert ours[name] == theirs[name], name


def test_a_finished_run_is_exported_as_it_is(run, saved, host, tmp_path):
    shutil.copytree(saved, run.bundle)
    assert files_of(export(run, tmp_path / "out", host)) == files_of(saved)
    with pytest.raises(UsageError, match="already exists; add --force to replace it, or choose another --out"):
        export(run, tmp_path / "out", host)
    (run.bundle / "README.md").write_text("")
    with pytest.raises(WeightsError, match=r"README\.md was changed or damaged"):
        export(run, tmp_path / "other", host)
    assert not (tmp_path / "other").exists()


def test_full_disk(parts, tmp_path, monkeypatch):
    def refuse(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ganlm_core.system.files.os.fsync", refuse)
    with pytest.raises(GanlmError, match=r"cannot write .*: No space left on device; free some space"):
        save(tmp_path / "out", **parts)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def ganlm(command):
    return command


def test_command_sample(ganlm, saved, host):
    texts = load.load(saved, host).sample(4, seed=3, top_k=2)
    code, out, err = ganlm("sample", saved, "-n", 4, "--seed", 3, "--top-k", 2)
    assert (code, out.split("\n"), err) == (0, [*texts, ""], "")
    texts = load.load(saved, host).sample(4, prompt="the")
    assert ganlm("sample", saved, "-n", 4, "--prompt", "the") == (0, "".join(f"{text}\n" for text in texts), "")
    code, out, _ = ganlm("sample", saved, "-n", 4, "--prompt", "the", "--json")
    assert [json.loads(line)["text"] for line in out.splitlines()] == texts


def test_command_sample_refuses(ganlm, saved, tmp_path):
    assert ganlm("sample", tmp_path)[0] == 4
    code, _, err = ganlm("sample", saved, "--top-p", 2)
    assert code == 2 and "--top-p" in err
    code, _, err = ganlm("sample", saved, "--device", "abacus")
    assert code == 2 and "there is no device 'abacus'" in err


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("the yak", "the vocabulary has no 'yak'; take other words for the prompt"),
        (
            "the cat the cat the cat",
            "the prompt has 6 tokens, and a sequence of this generator has 6 at most; give a shorter one",
        ),
    ],
)
def test_command_sample_refuses_a_prompt(ganlm, saved, prompt, message):
    assert ganlm("sample", saved, "--prompt", prompt) == (2, "", f"ganlm: error: {message}\n")


def test_command_verify(ganlm, copy):
    code, out, _ = ganlm("weights", "verify", copy)
    assert code == 0 and out.splitlines()[-1] == "ok  selftest.json: identical"
    code, out, _ = ganlm("weights", "verify", copy, "--json")
    assert code == 0 and json.loads(out)["ok"] is True
    (copy / "README.md").write_text("")
    code, out, err = ganlm("weights", "verify", copy, "--json")
    assert code == 4 and json.loads(out)["ok"] is False
    assert err == f"ganlm: error: {json.loads(out)['error']}\n"


def test_command_verify_without_the_plugin(ganlm, saved, host_without_lstm, monkeypatch):
    monkeypatch.setattr(Invocation, "host", host_without_lstm)
    code, _, err = ganlm("weights", "verify", saved)
    assert code == 3 and err.endswith("pip install ganlm-lstm\n")


def test_command_inspect(ganlm, saved):
    code, out, _ = ganlm("weights", "inspect", saved, "--json")
    found = json.loads(out)
    generator, discriminator = found["files"]
    assert code == 0 and discriminator["file"].endswith("discriminator.safetensors")
    assert found["config"] == json.loads((saved / "config.json").read_text())
    assert generator["tensors"]["output.bias"] == {"dtype": "F32", "shape": [11]}
    assert generator["bytes"] == (saved / "generator.safetensors").stat().st_size
    sizes = f"10 tensors, {generator['elements']:,} values, {generator['bytes']:,} bytes"
    code, out, _ = ganlm("weights", "inspect", saved / "generator.safetensors")
    assert code == 0 and out.splitlines()[0] == f"{saved}/generator.safetensors: {sizes}"
    lines = ganlm("weights", "inspect", saved)[1].splitlines()
    assert lines[0] == "bundle of format 1, made by ganlm 0.1.0: vocabulary 11, length 6, noise 3"
    assert any(
        line.split() == ["generator", "lstm", "ganlm-lstm", "0.1.0", "dropout=0.0", "embedding_size=4",
                         "hidden_size=8", "layers=1", "tie=False"]
        for line in lines
    )  # fmt: skip


def test_two_bundles_that_differ(ganlm, parts, saved, host, tmp_path):
    assert ganlm("weights", "diff", saved, saved)[:2] == (0, "no difference\n")
    config = replace(parts["config"], training=replace(parts["config"].training, seed=7))
    generator = deepcopy(parts["networks"]["generator"])
    with torch.no_grad():
        generator.output.bias[:2] += torch.tensor([3.0, 4.0])
    evaluation = parts["evaluation"] | {"before": {"nll": 12.25}}
    other = save(
        tmp_path / "other",
        **parts | {"config": config, "networks": {"generator": generator}, "evaluation": evaluation},
    )
    found = json.loads(ganlm("weights", "diff", saved, other, "--json")[1])
    assert found["configuration"] == {"training.seed": [0, 7]}
    assert found["evaluation"] == {"before.distinct": [0.5, None], "before.nll": [12.5, 12.25]}
    assert not found["tokenizer"]
    norm = parts["networks"]["generator"].output.bias.norm().item()
    assert found["tensors"].pop("generator.output.bias") == {
        "norm": pytest.approx(5), "relative": pytest.approx(5 / norm)
    }  # fmt: skip
    assert found["tensors"]["discriminator.output.bias"] == {"shapes": [[1], None]}
    assert all(name.startswith("discriminator.") for name in found["tensors"])
    rows = [line.split() for line in ganlm("weights", "diff", saved, other)[1].splitlines()]
    assert ["training.seed", "0", "7"] in rows and ["before.distinct", "0.5", "nothing"] in rows
    assert ["generator.output.bias", "5", f"{5 / norm:.2%}"] in rows


def test_diff_of_bundles_whose_plugin_is_missing(ganlm, saved, copy, host_without_lstm, monkeypatch):
    monkeypatch.setattr(Invocation, "host", host_without_lstm)
    assert ganlm("weights", "diff", saved, copy)[:2] == (0, "no difference\n")
    (copy / "recipe.toml").write_text("")
    code, _, err = ganlm("weights", "diff", saved, copy)
    assert code == 4 and "recipe.toml was changed or damaged" in err


def test_inspect_hides_control_characters(ganlm, tmp_path):
    save_file({"\x1b[2Jname": torch.ones(1)}, tmp_path / "weights.safetensors", {"key": "\x1b[2J"})
    code, out, _ = ganlm("weights", "inspect", tmp_path / "weights.safetensors")
    assert code == 0 and "\x1b" not in out and "\\x1b[2Jname" in out


def test_inspect_needs_no_torch(saved):
    code = (
        "import sys; from pathlib import Path; from ganlm_core.cli.weights import contents; "
        f"contents(Path({str(saved)!r})); print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT).stdout == "False\n"


def test_command_export(ganlm, run, tmp_path):
    code, out, _ = ganlm("weights", "export", run.path, "--out", tmp_path / "out")
    assert (code, out) == (0, f"{tmp_path / 'out'}\n")
    code, _, err = ganlm("weights", "export", run.path, "--out", tmp_path / "out")
    assert code == 2 and "add --force" in err
    assert ganlm("weights", "export", run.path, "--out", tmp_path / "out", "--force")[0] == 0
    assert ganlm("weights", "export", tmp_path, "--out", tmp_path / "other")[0] == 2


def test_load_is_the_packages_own_name():
    assert ganlm_core.load is load.load
