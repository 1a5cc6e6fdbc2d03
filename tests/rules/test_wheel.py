"""The wheel and the sdist are built here; the wheel is installed and used outside of the checkout."""

import json
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from ganlm_core import __version__
from ganlm_core.bundle import zoo
from tests.environments import BUILDS, ROOT, build, call, new_environment

PACKAGES = [ROOT / "ganlm_core", *sorted(ROOT.glob("plugins/ganlm-*/ganlm_*"))]
BUILT_IN = {
    "algorithms",
    "data",
    "metrics",
    "mlp",
    "lstm",
    "conv",
    "transformer",
    "relational",
    "leakgan",
    "molecules",
    "tensorboard",
}

pytestmark = BUILDS


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the unpacked sdist."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))) as archive:
        archive.extractall(folder, filter="data")
    (unpacked,) = folder.iterdir()
    return unpacked


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the commands of a new environment with the wheel."""
    return new_environment(tmp_path_factory.mktemp("environment"), wheel)


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    wanted = {
        str(path.relative_to(package.parent))
        for package in PACKAGES
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    found = {name for name in contents(wheel) if ".dist-info/" not in name}
    assert found == wanted
    assert {"ganlm_core/algorithms/recipes/mle.toml", "ganlm_core/bundle/templates/card.md.j2"} <= found
    assert "ganlm_core/py.typed" in found


def test_the_wheel_has_the_version_that_the_package_says(wheel: Path) -> None:
    assert f"ganlm-{__version__}.dist-info/METADATA" in contents(wheel)


def test_the_sdist_builds_the_same_wheel_and_contains_the_tests(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    assert contents(build("wheel", sdist, tmp_path)) == contents(wheel)
    shipped = (
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "Makefile",
        "constraints.txt",
        "docs/report.png",
    )
    for name in (*shipped, "tests/rules/test_wheel.py", "docs/bundle.md"):
        assert (sdist / name).read_bytes() == (ROOT / name).read_bytes()
    for plugin in ROOT.glob("plugins/*"):
        assert (sdist / plugin.relative_to(ROOT) / "pyproject.toml").is_file()
        assert list((sdist / plugin.relative_to(ROOT) / "tests").glob("test_*.py"))


def test_an_installed_wheel_has_everything_that_is_built_in(installed: Path, tmp_path: Path) -> None:
    where = call(installed / "python", "-c", "import ganlm_core; print(ganlm_core.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(installed.parent)
    health = json.loads(call(installed / "ganlm", "plugins", "--json", cwd=tmp_path))
    assert {one["name"]: one["status"] for one in health if one["distribution"] == "ganlm"} == dict.fromkeys(
        BUILT_IN, "ok"
    )
    listed = {
        (one["kind"], one["name"]) for one in json.loads(call(installed / "ganlm", "list", "--json", cwd=tmp_path))
    }
    generators = {name for kind, name in listed if kind == "generator"}
    discriminators = {name for kind, name in listed if kind == "discriminator"}
    assert generators >= {"lstm", "conv", "causal-conv", "mlp", "ngram-mlp", "transformer"}
    assert discriminators >= {"lstm", "conv", "mlp", "transformer"}
    recipes = json.loads(call(installed / "ganlm", "recipes", "list", "--json", cwd=tmp_path))
    assert {recipe["name"] for recipe in recipes} >= {"autoregressive", "one-shot"}


def test_an_installed_wheel_samples_from_the_zoo(installed: Path, tmp_path: Path) -> None:
    """It needs no other file, and ten seconds of processor time, which other work on the machine does not change."""
    listed = json.loads(call(installed / "ganlm", "list", "weights", "--json", cwd=tmp_path))
    assert len(listed) == sum(path.is_dir() for path in zoo.FOLDER.iterdir() if path.name != "__pycache__")
    before = os.times()
    for entry in listed[:2]:
        assert len(call(installed / "ganlm", "sample", entry["name"], "-n", 4, cwd=tmp_path).splitlines()) == 4
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    assert used < 2 * 10
    assert list(tmp_path.iterdir()) == []


def test_an_installed_wheel_trains(installed: Path, tmp_path: Path) -> None:
    tiny = ["--steps", 3, "--batch-size", 8, "--corpus.size", 300, "--evaluation-samples", 20, "--device", "cpu"]
    out = call(installed / "ganlm", "run", "--gen", "lstm", "--disc", "conv", *tiny, "--out", "run", cwd=tmp_path)
    assert out.endswith("bundle: run/bundle\nreport: run/report.html\n")
    assert len(call(installed / "ganlm", "sample", "run", "-n", 4, cwd=tmp_path).splitlines()) == 4
    assert call(installed / "ganlm", "weights", "verify", "run", cwd=tmp_path).endswith(
        "ok  selftest.json: identical\n"
    )
