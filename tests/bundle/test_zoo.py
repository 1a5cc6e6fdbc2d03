"""The zoo: its content, bundles by name, and their listing."""

import json
import shutil
import tomllib
from pathlib import Path

import pytest

import ganlm_core
from ganlm_core.bundle import load, zoo
from ganlm_core.bundle.verify import verify
from ganlm_core.errors import UnknownName
from ganlm_core.plugins.host import Host, default_host
from tests.conftest import Ganlm


@pytest.mark.parametrize("entry", list(zoo.entries()), ids=lambda entry: entry.name)
def test_a_bundle_of_the_zoo(entry: zoo.Entry) -> None:
    """It verifies, its name says what is in it, and it was evaluated beside real text."""
    default_host.cache_clear()
    folder = zoo.find(entry.name)
    verify(folder)
    model = ganlm_core.load(f"zoo:{entry.name}")
    recipe = tomllib.loads((folder / "recipe.toml").read_text(encoding="utf-8"))
    networks = "-".join(model.config.components[kind].name for kind in model.config.networks)
    tokenizer = "-char" if "char" in recipe["tokenizer"] else ""
    corpus = model.config.components["corpus"].name
    assert entry.name == f"{networks}.{recipe['recipe']}-{corpus}{tokenizer}"
    assert entry.metrics.keys() & model.evaluation["real"].keys() >= {"valid", "distinct", "copied", "process_nll"}
    assert entry.sample == model.sample(1)[0].strip()


def test_the_zoo_has_each_kind_of_generator_and_each_main_method() -> None:
    names = [entry.name.split(".") for entry in zoo.entries()]
    assert {networks.partition("-")[0] for networks, _ in names} >= {"mlp", "lstm", "conv", "transformer"}
    methods = {"mle", "likelihood", "seqgan", "relgan", "scratchgan", "cot", "cooperative"}
    assert {method.partition("-")[0] for _, method in names} >= methods
    assert any(method.endswith("-char") for _, method in names)
    assert sum(entry.size for entry in zoo.entries()) <= 20 * 10**6


@pytest.fixture
def pair(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the only bundle in the zoo."""
    monkeypatch.setattr(zoo, "FOLDER", tmp_path / "zoo")
    shutil.copytree(saved, tmp_path / "zoo" / "lstm-conv.test-grammar")
    return "lstm-conv.test-grammar"


def test_a_bundle_of_the_zoo_is_found_by_its_name(command: Ganlm, pair: str, saved: Path, host: Host) -> None:
    texts = load.load(saved, host).sample(3)
    assert ganlm_core.load(f"zoo:{pair}", host).sample(3) == texts
    assert command("sample", f"zoo:{pair}", "-n", 3) == (0, "".join(f"{text}\n" for text in texts), "")
    assert command("weights", "verify", f"zoo:{pair}")[0] == 0
    with pytest.raises(UnknownName) as caught:
        ganlm_core.load("zoo:lstm-conv.tset-grammar")
    assert str(caught.value) == (
        f"there is no bundle 'lstm-conv.tset-grammar' in the zoo; did you mean '{pair}'? "
        "'ganlm list weights' shows them"
    )


def test_the_zoo_is_listed_with_size_score_and_a_sentence(command: Ganlm, pair: str, saved: Path, host: Host) -> None:
    size = sum(file.stat().st_size for file in saved.iterdir())
    sentence = load.load(saved, host).sample(1)[0].strip()
    (entry,) = json.loads(command("list", "weights", "--json")[1])
    assert (entry["kind"], entry["name"], entry["size"]) == ("weights", f"zoo:{pair}", size)
    assert entry["sample"] == sentence and entry["summary"] == f"{size / 1e6:.1f} MB: {sentence}"
    assert f"zoo:{pair}" in command("list")[1]


def test_an_empty_zoo(command: Ganlm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "FOLDER", tmp_path)
    assert command("list", "weights", "--json") == (0, "[]\n", "")
