"""What is shipped: the wheel and the sdist, built here; the wheel installed and used outside the checkout."""

import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = [ROOT / "ganlm_core", *sorted(ROOT.glob("plugins/ganlm-*/ganlm_*"))]
BUILT_IN = {"core", "mlp", "lstm", "conv", "transformer", "relational"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (find_spec("build") and find_spec("hatchling")), reason="build and hatchling are not installed: extra 'dev'"
    ),
]


def call(*command: object, cwd: Path) -> str:
    """The standard output of a command that must succeed, without what the environment says to Python and ganlm."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("GANLM_", "PYTHON"))}
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=outside, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(kind: str, source: Path, into: Path) -> Path:
    call(sys.executable, "-m", "build", "--no-isolation", f"--{kind}", "--outdir", into, source, cwd=into)
    (built,) = into.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, unpacked."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))) as archive:
        archive.extractall(folder, filter="data")
    (unpacked,) = folder.iterdir()
    return unpacked


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the commands of a new environment with the wheel, and with what this one has for dependencies.

    These are on its path through a .pth file. Such files in the folders that it names are not read, and an editable
    install of the checkout is nothing but such a file.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=os.name == "posix")
    (python,) = (*folder.glob("bin/python"), *folder.glob("Scripts/python.exe"))
    (site,) = (*folder.glob("lib/python*/site-packages"), *folder.glob("Lib/site-packages"))
    dependencies = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (site / "dependencies.pth").write_text("\n".join(dependencies))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    call(*pip, "install", "--quiet", "--no-deps", "--no-index", "--ignore-installed", wheel, cwd=folder)
    return python.parent


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
    assert "ganlm_core/recipes/autoregressive.toml" in found and "ganlm_core/templates/card.md.j2" in found


def test_the_sdist_builds_the_same_wheel_and_holds_what_the_checkout_is_tested_with(
    wheel: Path, sdist: Path, tmp_path: Path
) -> None:
    assert contents(build("wheel", sdist, tmp_path)) == contents(wheel)
    for name in ("README.md", "LICENSE", "Makefile", "constraints.txt", "tests/test_wheel.py", "docs/bundle.md"):
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


def test_an_installed_wheel_trains(installed: Path, tmp_path: Path) -> None:
    tiny = ["--steps", 3, "--batch-size", 8, "--corpus.size", 300, "--evaluation-samples", 20, "--device", "cpu"]
    out = call(installed / "ganlm", "run", "--gen", "lstm", "--disc", "conv", *tiny, "--out", "run", cwd=tmp_path)
    assert out.endswith("bundle: run/bundle\n")
    assert len(call(installed / "ganlm", "sample", "run", "-n", 4, cwd=tmp_path).splitlines()) == 4
    assert call(installed / "ganlm", "weights", "verify", "run", cwd=tmp_path).endswith(
        "ok  selftest.json: identical\n"
    )
