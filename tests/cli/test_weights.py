"""``ganlm weights``: inspect, verify, diff and export, through the command line."""

import json
import subprocess
import sys

import torch
from safetensors.torch import save_file

from ganlm_core.cli.context import Invocation
from tests.bundles import files_of, rewrite
from tests.environments import ROOT


def test_command_verify(command, copy):
    code, out, _ = command("weights", "verify", copy)
    assert code == 0 and out.splitlines()[-1] == "ok  selftest.json: identical"
    code, out, _ = command("weights", "verify", copy, "--json")
    assert code == 0 and json.loads(out)["ok"] is True
    (copy / "README.md").write_text("")
    code, out, err = command("weights", "verify", copy, "--json")
    assert code == 4 and json.loads(out)["ok"] is False
    assert err == f"ganlm: error: {json.loads(out)['error']}\n"


def test_command_verify_without_the_plugin(command, saved, host_without_lstm, monkeypatch):
    monkeypatch.setattr(Invocation, "host", host_without_lstm)
    code, _, err = command("weights", "verify", saved)
    assert code == 3 and err.endswith("pip install ganlm-lstm\n")


def test_command_inspect(command, saved):
    code, out, _ = command("weights", "inspect", saved, "--json")
    found = json.loads(out)
    generator, discriminator = found["files"]
    assert code == 0 and discriminator["file"].endswith("discriminator.safetensors")
    assert found["config"] == json.loads((saved / "config.json").read_text())
    assert generator["tensors"]["output.bias"] == {"dtype": "F32", "shape": [11]}
    assert generator["bytes"] == (saved / "generator.safetensors").stat().st_size
    sizes = f"10 tensors, {generator['elements']:,} values, {generator['bytes']:,} bytes"
    code, out, _ = command("weights", "inspect", saved / "generator.safetensors")
    assert code == 0 and out.splitlines()[0] == f"{saved}/generator.safetensors: {sizes}"
    lines = command("weights", "inspect", saved)[1].splitlines()
    assert lines[0] == "bundle of format 1, made by ganlm 0.1.0: vocabulary 11, length 6, noise 3"
    assert any(
        line.split() == ["generator", "lstm", "ganlm-lstm", "0.1.0", "dropout=0.0", "embedding_size=4",
                         "hidden_size=8", "layers=1", "tie=False"]
        for line in lines
    )  # fmt: skip
    assert ["generator", "hf:ann/poems", "e" * 40, "d" * 64] in [line.split() for line in lines]
    assert ["generator", "zoo:old", "f" * 64] in [line.split() for line in lines]


def test_inspect_hides_control_characters(command, tmp_path):
    save_file({"\x1b[2Jname": torch.ones(1)}, tmp_path / "weights.safetensors", {"key": "\x1b[2J"})
    code, out, _ = command("weights", "inspect", tmp_path / "weights.safetensors")
    assert code == 0 and "\x1b" not in out and "\\x1b[2Jname" in out


def test_inspect_needs_no_torch(saved):
    code = (
        "import sys; from pathlib import Path; from ganlm_core.cli.weights import contents; "
        f"contents(Path({str(saved)!r})); print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT).stdout == "False\n"


def test_command_export(command, unfinished, tmp_path):
    code, out, _ = command("weights", "export", unfinished.path, "--out", tmp_path / "out")
    assert (code, out) == (0, f"{tmp_path / 'out'}\n")
    code, _, err = command("weights", "export", unfinished.path, "--out", tmp_path / "out")
    assert code == 2 and "add --force" in err
    assert command("weights", "export", unfinished.path, "--out", tmp_path / "out", "--force")[0] == 0
    assert command("weights", "export", tmp_path, "--out", tmp_path / "other")[0] == 4


def test_command_export_of_a_bundle_and_of_the_zoo(command, saved, host, tmp_path):
    assert command("weights", "export", saved, "--out", tmp_path / "copy")[:2] == (0, f"{tmp_path / 'copy'}\n")
    assert files_of(tmp_path / "copy") == files_of(saved)
    name = "zoo:conv-conv.one-shot-grammar"
    assert command("weights", "export", name, "--out", tmp_path / "zoo")[0] == 0
    assert command("weights", "diff", name, tmp_path / "zoo")[1] == "no difference\n"


def test_command_sample_and_score_of_a_run_in_training(command, unfinished, saved):
    """Its latest checkpoint is used, and a note says so."""
    code, out, err = command("sample", unfinished.path, "-n", 3)
    assert code == 0, err
    assert (code, out) == command("sample", saved, "-n", 3)[:2]
    assert err == f"{unfinished.path} has not finished; its checkpoint of step 7 is used\n"


def test_command_sample_of_weights_of_16_bits(command, copy):
    rewrite(
        copy, "generator.safetensors", lambda tensors: tensors.update({k: v.bfloat16() for k, v in tensors.items()})
    )
    assert command("sample", copy, "-n", 1)[0] == 0
    code, _, err = command("weights", "verify", copy)
    assert code == 4 and "rounded to BF16" in err
