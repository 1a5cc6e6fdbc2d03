"""The differences between two bundles."""

import json
from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from ganlm_core.bundle.diff import diff
from ganlm_core.bundle.save import save
from ganlm_core.cli.context import Invocation
from ganlm_core.errors import WeightsError


def test_two_bundles_that_differ(command, parts, saved, host, tmp_path):
    assert command("weights", "diff", saved, saved)[:2] == (0, "no difference\n")
    config = replace(parts["config"], training=replace(parts["config"].training, seed=7))
    generator = deepcopy(parts["networks"]["generator"])
    with torch.no_grad():
        generator.output.bias[:2] += torch.tensor([3.0, 4.0])
    evaluation = parts["evaluation"] | {"before": {"nll": 12.25}}
    other = save(
        tmp_path / "other",
        **parts | {"config": config, "networks": {"generator": generator}, "evaluation": evaluation},
    )
    found = json.loads(command("weights", "diff", saved, other, "--json")[1])
    assert found["configuration"] == {"training.seed": [0, 7]}
    assert found["evaluation"] == {"before.distinct": [0.5, None], "before.nll": [12.5, 12.25]}
    assert not found["tokenizer"]
    norm = parts["networks"]["generator"].output.bias.norm().item()
    assert found["tensors"].pop("generator.output.bias") == {
        "norm": pytest.approx(5), "relative": pytest.approx(5 / norm)
    }  # fmt: skip
    assert found["tensors"]["discriminator.output.bias"] == {"shapes": [[1], None]}
    assert all(name.startswith("discriminator.") for name in found["tensors"])
    rows = [line.split() for line in command("weights", "diff", saved, other)[1].splitlines()]
    assert ["training.seed", "0", "7"] in rows and ["before.distinct", "0.5", "nothing"] in rows
    assert ["generator.output.bias", "5", f"{5 / norm:.2%}"] in rows


def test_diff_of_bundles_whose_plugin_is_missing(command, saved, copy, host_without_lstm, monkeypatch):
    monkeypatch.setattr(Invocation, "host", host_without_lstm)
    assert command("weights", "diff", saved, copy)[:2] == (0, "no difference\n")
    (copy / "recipe.toml").write_text("")
    code, _, err = command("weights", "diff", saved, copy)
    assert code == 4 and "recipe.toml was changed or damaged" in err


def test_bundles_of_different_texts_say_which_split_differs(parts, saved, tmp_path):
    corpus = parts["corpus"] | {"name": "other", "test": "f" * 64}
    other = save(tmp_path / "other", **parts | {"corpus": corpus})
    assert diff(saved, other)["configuration"] == {
        "corpus.name": ("grammar", "other"),
        "corpus.test": (parts["corpus"]["test"], "f" * 64),
    }
    unknown = save(tmp_path / "unknown", **parts | {"corpus": None})
    assert diff(saved, unknown)["configuration"]["corpus.name"] == ("grammar", None)


def test_a_file_that_was_changed_is_not_compared(saved, copy):
    (copy / "evaluation.json").write_text("{}")
    with pytest.raises(WeightsError, match=r"evaluation\.json was changed or damaged"):
        diff(saved, copy)
