"""``benchmarks/build_zoo.py`` trains the zoo and installs it."""

import shutil
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

import pytest
from click.testing import CliRunner

import ganlm_core
from ganlm_core.bundle import zoo
from ganlm_core.cli import main
from ganlm_core.config.run_config import RunConfig, difference
from ganlm_core.plugins.host import default_host
from tests.scripts import benchmark

TINY = "--steps 2 --batch-size 8 --corpus.size 300 --gen.hidden-size 8 --device cpu"


@pytest.fixture(scope="module")
def build_zoo() -> ModuleType:
    return benchmark("build_zoo")


def test_each_pair_would_be_trained_with_the_recipe_in_its_bundle(
    build_zoo: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    host = default_host()
    for name, arguments in build_zoo.PAIRS.items():
        assert main(["run", *arguments.split(), *build_zoo.SAMPLES.split(), "--print-config"]) == 0, (
            f"{name}: {capsys.readouterr().err}"
        )
        new = RunConfig.from_toml(host, capsys.readouterr().out)
        trained = RunConfig.from_toml(host, (zoo.FOLDER / name / "recipe.toml").read_text(encoding="utf-8"))
        assert difference(trained, new) == [], name


def test_the_page_is_written_from_the_bundles(build_zoo: ModuleType) -> None:
    assert build_zoo.PAGE.read_text(encoding="utf-8") == build_zoo.page()


def test_every_run_has_one_thread(build_zoo: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    class Failed:
        returncode, pid = 1, 1

        def __init__(self, words: list[str], env: dict[str, str], stderr: BinaryIO, **_: object) -> None:
            seen.append((env["OMP_NUM_THREADS"], env["MKL_NUM_THREADS"]))
            stderr.write(b"ganlm: error: not today\n")

        def poll(self) -> int:
            return self.returncode

    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setattr("ganlm_core.sweep.job.Popen", Failed)
    done = CliRunner().invoke(build_zoo.main, ["--out", str(tmp_path / "runs"), "--jobs", "2"])
    assert seen == [("1", "1")] * len(build_zoo.PAIRS)
    assert done.exit_code == 1 and done.output.endswith(f"{next(iter(build_zoo.PAIRS))} failed: not today\n")


def test_building_the_zoo_trains_and_installs(
    build_zoo: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default_host.cache_clear()
    monkeypatch.setattr(zoo, "FOLDER", tmp_path / "zoo")
    (tmp_path / "zoo").mkdir()
    monkeypatch.setattr(build_zoo, "PAIRS", {"lstm.tiny-grammar": f"--gen lstm --recipe mle {TINY}"})
    monkeypatch.setattr(build_zoo, "PAGE", tmp_path / "zoo.md")
    monkeypatch.setattr(build_zoo, "SAMPLES", "--evaluation-samples 20")
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
