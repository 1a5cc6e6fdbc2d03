"""Install distributions as pip would, and run the command line in a new process that finds them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

HEAD = """
from dataclasses import dataclass
from ganlm_core.components import ComponentSpec, NoOptions, Options, option
from ganlm_core.hookspecs import hookimpl
"""

CALLS = """
import contextlib, io, json, sys
from ganlm_core.cli import main
told = []
for words in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    told.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(told))
"""


class Told(NamedTuple):
    code: int
    out: str
    err: str


def install(site: Path, name: str, source: str, version: str = "2.5") -> Path:
    """Write the distribution ``name`` with one plugin in a module of that name; return the module's file."""
    module = name.replace("-", "_")
    info = site / f"{module}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[ganlm]\n{name} = {module}\n")
    file = site / f"{module}.py"
    file.write_text(HEAD + dedent(source))
    return file


def ganlm(site: Path, *commands: list[object], cwd: Path | None = None, **environment: str) -> list[Told]:
    """Run the commands one after the other in one new process with ``site`` on its path; return their output."""
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **environment}
    words: list[Any] = [[str(word) for word in command] for command in commands]
    done = subprocess.run(
        [sys.executable, "-c", CALLS, json.dumps(words)], env=variables, cwd=cwd, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return [Told(*each) for each in json.loads(done.stdout)]
