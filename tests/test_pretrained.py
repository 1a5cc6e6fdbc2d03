"""The zoo in the box: bundles by name, their listing, and the script that puts them there."""

import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

import ganlm_core
from ganlm_core import bundle, zoo
from ganlm_core.cli import main
from ganlm_core.errors import UnknownName
from ganlm_core.plugins import Host, default_host
from tests.conftest import Ganlm

ROOT = Path(__file__).parents[1]
TINY = "--steps 2 --batch-size 8 --corpus.size 300 --evaluation-samples 20 --gen.hidden-size 8 --device cpu"


@pytest.fixture
def pair(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the only bundle in the zoo."""
    monkeypatch.setattr(zoo, "FOLDER", tmp_path / "zoo")
    shutil.copytree(saved, tmp_path / "zoo" / "lstm-conv.test-grammar")
    return "lstm-conv.test-grammar"


def test_a_bundle_of_the_zoo_goes_by_its_name(command: Ganlm, pair: str, saved: Path, host: Host) -> None:
    texts = bundle.load(saved, host).sample(3)
    assert ganlm_core.load(f"zoo:{pair}", host).sample(3) == texts
    assert command("sample", f"zoo:{pair}", "-n", 3) == (0, "".join(f"{text}\n" for text in texts), "")
    assert command("weights", "verify", f"zoo:{pair}")[0] == 0
    with pytest.raises(UnknownName) as caught:
        ganlm_core.load("zoo:lstm-conv.tset-grammar")
    assert str(caught.value) == (
        f"there is no bundle in the zoo 'lstm-conv.tset-grammar'; did you mean '{pair}'? "
        "'ganlm list weights' shows them"
    )


def test_the_zoo_is_listed_with_size_score_and_a_sentence(command: Ganlm, pair: str, saved: Path, host: Host) -> None:
    size = sum(file.stat().st_size for file in saved.iterdir())
    sentence = bundle.load(saved, host).sample(1)[0].strip()
    (entry,) = json.loads(command("list", "weights", "--json")[1])
    assert (entry["kind"], entry["name"], entry["size"]) == ("weights", f"zoo:{pair}", size)
    assert entry["sample"] == sentence and entry["summary"] == f"{size / 1e6:.1f} MB: {sentence}"
    assert f"zoo:{pair}" in command("list")[1]


def test_an_empty_zoo(command: Ganlm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "FOLDER", tmp_path)
    assert command("list", "weights", "--json") == (0, "[]\n", "")


@pytest.fixture(scope="module")
def build_zoo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_zoo", ROOT / "benchmarks" / "build_zoo.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pairs_of_the_zoo_can_be_trained(build_zoo: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    for name, arguments in build_zoo.PAIRS.items():
        assert main(["run", *arguments.split(), "--print-config"]) == 0, f"{name}: {capsys.readouterr().err}"


def test_building_the_zoo_trains_and_installs(
    build_zoo: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default_host.cache_clear()
    monkeypatch.setattr(zoo, "FOLDER", tmp_path / "zoo")
    (tmp_path / "zoo").mkdir()
    monkeypatch.setattr(build_zoo, "PAIRS", {"lstm.tiny-grammar": f"--gen lstm --recipe mle {TINY}"})
    done = CliRunner().invoke(build_zoo.main, ["--out", str(tmp_path / "runs")])
    assert done.exit_code == 0, done.output
    (entry,) = zoo.entries()
    assert entry.name == "lstm.tiny-grammar" and f"{entry.size:,} bytes; {entry.sample}\n" in done.output
    assert ganlm_core.load("zoo:lstm.tiny-grammar").sample(2)

    shutil.copytree(tmp_path / "zoo" / entry.name, tmp_path / "zoo" / "lstm.no-longer-listed")
    monkeypatch.setattr(build_zoo, "LARGEST", 1000)
    done = CliRunner().invoke(build_zoo.main, ["--out", str(tmp_path / "runs")])
    assert done.exit_code == 1 and done.output.endswith("bytes; wanted 1,000 at most\n")
    assert [path.name for path in (tmp_path / "zoo").iterdir()] == ["lstm.tiny-grammar"]
