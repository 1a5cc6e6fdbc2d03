"""Third-party distributions in fresh environments with the wheel: a new project of every kind, and the example."""

import json
import tomllib
from pathlib import Path

import pytest

from ganlm_core.components import KINDS
from tests.environments import BUILDS, ROOT, attempt, build, call, new_environment, pip

MEASURING = ("metric", "encoder")
"""Kinds that a run does not choose."""

NEW = {kind: f"my-{kind}" for kind in KINDS}
TINY = ["--steps", 3, "--batch-size", 8, "--corpus.size", 500, "--evaluation-samples", 20, "--device", "cpu"]
TINY += ["--log-every", 1, "--gen.hidden-size", 8, "--disc.hidden-size", 8]

pytestmark = BUILDS


@pytest.fixture(scope="module")
def projects(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Install a new project of every kind beside the wheel; return the folder of commands and that of the projects."""
    commands = new_environment(tmp_path_factory.mktemp("environment"), wheel)
    folder = tmp_path_factory.mktemp("projects")
    for kind, name in NEW.items():
        call(commands / "ganlm", "plugins", "new", name, "--kind", kind, cwd=folder)
    pip(commands, "install", *(word for name in NEW.values() for word in ("--editable", folder / name)))
    return commands, folder


def test_the_tests_of_new_projects_pass(projects: tuple[Path, Path]) -> None:
    commands, folder = projects
    options = ["-q", "--import-mode=importlib", "-p", "no:cacheprovider"]
    out = call(commands / "python", "-m", "pytest", *options, *NEW.values(), cwd=folder)
    assert " passed" in out or "[100%]" in out


def test_new_projects_of_all_kinds_train_together(projects: tuple[Path, Path], tmp_path: Path) -> None:
    commands, _ = projects
    flags = {"algorithm": "--recipe", "generator": "--gen", "discriminator": "--disc", "corpus": "--data"}
    choosing = {kind: name for kind, name in NEW.items() if kind not in MEASURING}
    chosen = [word for kind, name in choosing.items() for word in (flags.get(kind, f"--{kind}"), name)]
    call(commands / "ganlm", "run", *chosen, *TINY, "--out", "run", cwd=tmp_path)
    config = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert all(list(config[kind]) == [name] for kind, name in choosing.items())
    evaluation = json.loads((tmp_path / "run" / "bundle" / "evaluation.json").read_text())
    assert evaluation["real"]["words"] == 5
    assert call(commands / "ganlm", "weights", "verify", "run", cwd=tmp_path).endswith("identical\n")


def test_the_example_is_installed_used_and_reported_missing(wheel: Path, tmp_path: Path) -> None:
    source = ROOT / "examples" / "ganlm-gru"
    (tmp_path / "dist").mkdir()
    commands = new_environment(tmp_path / "environment", wheel, build("wheel", source, tmp_path / "dist"))
    ganlm, python = commands / "ganlm", commands / "python"
    call(python, "-m", "ruff", "check", "--no-cache", source, cwd=tmp_path)
    call(
        python,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-c",
        source / "pyproject.toml",
        source / "tests",
        cwd=tmp_path,
    )

    call(ganlm, "run", "--gen", "gru", "--disc", "gru", *TINY, "--out", "run", cwd=tmp_path)
    sentences = call(ganlm, "sample", "run", "-n", 3, cwd=tmp_path)
    call(ganlm, "weights", "export", "run", "--out", "saved", cwd=tmp_path)
    refused = attempt(ganlm, "run", "--gen", "gru", "--disc", "gru", "--penalty", "r1", *TINY, cwd=tmp_path)
    assert (refused.returncode, refused.stderr) == (
        2,
        "ganlm: error: penalty 'r1' needs a discriminator that can be differentiated twice, and 'gru' cannot; "
        "choose another --disc or --penalty none\n",
    )

    pip(commands, "uninstall", "--yes", "ganlm-gru")
    missed = attempt(ganlm, "sample", "saved", cwd=tmp_path)
    assert (missed.returncode, missed.stdout, missed.stderr) == (
        3,
        "",
        "ganlm: error: saved/config.json: the generator 'gru' is from ganlm-gru 0.1.0, which is not installed; "
        "if you trust it: pip install ganlm-gru\n",
    )
    assert "generator.safetensors" in call(ganlm, "weights", "inspect", "saved", cwd=tmp_path)
    pip(commands, "install", *(tmp_path / "dist").iterdir())
    assert call(ganlm, "sample", "saved", "-n", 3, cwd=tmp_path) == sentences
