"""The facts that a bundle has about its run: its text, its method, and nothing about the machine."""

import json
from pathlib import Path

import pytest

from ganlm_core.data.grammar import Grammar
from ganlm_core.data.options import FileOptions
from ganlm_core.data.text_files import file_corpus
from tests.conftest import Ganlm

SMALL = ("--gen.hidden-size", 8, "--gen.embedding-size", 8, "--disc.filters", 4, "--steps", 4, "--batch-size", 8,
         "--evaluation-samples", 20)  # fmt: skip


@pytest.fixture
def bundle(ganlm: Ganlm, tmp_path: Path) -> Path:
    """The bundle of a run on a file with an absolute path, with another loss than the recipe's."""
    file = tmp_path / "home" / "my text.txt"
    file.parent.mkdir()
    file.write_text("\n".join(Grammar().sample(400, seed=0)) + "\n", encoding="utf-8")
    code, _, err = ganlm("run", "--data", file, *SMALL, "--loss", "hinge", "--recipe", "autoregressive", "--out", "run")
    assert code == 0, err
    return tmp_path / "run" / "bundle"


def test_a_bundle_knows_its_text(bundle: Path, tmp_path: Path) -> None:
    corpus = json.loads((bundle / "config.json").read_text())["corpus"]
    text = file_corpus(FileOptions(path=str(tmp_path / "home" / "my text.txt")))
    assert corpus == {"name": "my text.txt", **text.digests()}


def test_a_bundle_has_no_path_of_the_machine(bundle: Path, tmp_path: Path) -> None:
    named = [file.name for file in bundle.iterdir() if str(tmp_path).encode() in file.read_bytes()]
    assert named == []
    assert 'path = "my text.txt"' in (bundle / "recipe.toml").read_text()


def test_a_card_names_the_text_and_the_method(bundle: Path) -> None:
    card = (bundle / "README.md").read_text()
    assert "# lstm on my text.txt\n" in card
    assert "trained by autoregressive with loss hinge. It writes" in card


def test_a_bundle_of_a_checkpoint_knows_its_text_too(bundle: Path, ganlm: Ganlm, tmp_path: Path) -> None:
    corpus = json.loads((bundle / "config.json").read_text())["corpus"]
    bundle.rename(tmp_path / "elsewhere")
    assert ganlm("weights", "export", "run", "--out", "made")[0] == 0
    made = tmp_path / "made"
    assert json.loads((made / "config.json").read_text())["corpus"] == corpus
    assert not [file.name for file in made.iterdir() if str(tmp_path / "home").encode() in file.read_bytes()]
