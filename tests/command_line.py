"""Helpers of the tests of commands: a plugin with a component and commands, and readers of what commands print."""

import subprocess
import sys
import tomllib
from typing import Any

from tests.conftest import Ganlm

PLUGIN = """
import click
from dataclasses import dataclass
from ganlm_core.components import ComponentSpec, Options, option
from ganlm_core.hookspecs import hookimpl

class TallOptions(Options):
    height: int = option(1, "how tall", min=1)
    shade: bool = option(True, "whether it gives shade")

@hookimpl
def ganlm_components():
    yield ComponentSpec("generator", "tall", "m:a", TallOptions, "as tall as you like", "Tall 1999")

@hookimpl
def ganlm_commands():
    return {
        "dance": (f"{__name__}:dance", "make them dance"),
        "stumble": (f"{__name__}:stumble", "fail"),
        "lost": ("nowhere:lost", "cannot be imported"),
    }

@click.command()
def dance():
    click.echo("they dance")

@click.command()
@click.argument("how")
def stumble(how):
    raise {"interrupt": KeyboardInterrupt(), "bug": ValueError("a\\nb"), "disk": OSError(28, "No space left", "x")}[how]
"""


def resolved(ganlm: Ganlm, *arguments: object) -> dict[str, Any]:
    """The configuration that ``ganlm run`` resolves."""
    code, out, err = ganlm("run", *arguments, "--print-config")
    assert (code, err) == (0, "")
    return tomllib.loads(out)


def refused(ganlm: Ganlm, *arguments: object) -> str:
    """The one line on stderr of a call that is refused with exit code 2."""
    code, out, err = ganlm(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("ganlm: error: ")
    assert err.count("\n") == 1
    return err.removeprefix("ganlm: error: ").rstrip("\n")


def modules_imported_by(*arguments: str) -> set[str]:
    """The modules that a new process imports to run a command that succeeds and prints something."""
    program = (
        "import sys\nbefore = set(sys.modules)\nfrom ganlm_core.cli import main\ncode = main(sys.argv[1:])\n"
        "print(*sorted(sys.modules.keys() - before), file=sys.stderr)\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout
    (names,) = done.stderr.splitlines()
    return set(names.split())
