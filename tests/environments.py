"""Wheels, and environments of their own in which they are installed, without a network."""

import os
import subprocess
import sys
import venv
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BUILDS = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (find_spec("build") and find_spec("hatchling")), reason="build and hatchling are not installed: extra 'dev'"
    ),
]
"""The marks of tests that build something."""


def call(*command: object, cwd: Path) -> str:
    """The standard output of a command that must succeed, without what the environment says to Python and ganlm."""
    done = attempt(*command, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def attempt(*command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command that may fail."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("GANLM_", "PYTHON"))}
    return subprocess.run([str(word) for word in command], cwd=cwd, env=outside, capture_output=True, text=True)


def build(kind: str, source: Path, into: Path) -> Path:
    call(sys.executable, "-m", "build", "--no-isolation", f"--{kind}", "--outdir", into, source, cwd=into)
    (built,) = into.iterdir()
    return built


def new_environment(folder: Path, *wheels: Path) -> Path:
    """The folder of the commands of a new environment with the wheels, and with what this one has for dependencies.

    These are on its path through a .pth file. Such files in the folders that it names are not read, and an editable
    install of the checkout is nothing but such a file.
    """
    venv.create(folder, symlinks=os.name == "posix")
    (python,) = (*folder.glob("bin/python"), *folder.glob("Scripts/python.exe"))
    (site,) = (*folder.glob("lib/python*/site-packages"), *folder.glob("Lib/site-packages"))
    dependencies = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (site / "dependencies.pth").write_text("\n".join(dependencies))
    pip(python.parent, "install", "--ignore-installed", *wheels)
    return python.parent


def pip(commands: Path, command: str, *arguments: object) -> None:
    """pip on the environment whose commands are in this folder, without a network."""
    python = next(path for path in (commands / "python", commands / "python.exe") if path.exists())
    offline = ["--no-deps", "--no-index", "--no-build-isolation"] if command == "install" else []
    quiet = ["--quiet", "--disable-pip-version-check", "--python", python]
    call(sys.executable, "-m", "pip", *quiet, command, *offline, *arguments, cwd=commands)
