"""Plugins of other distributions, written as pip would leave them, for the tests of the plugin host."""

import importlib.util
import itertools
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

from ganlm_core.plugins.host import Host

HEAD = """
from pathlib import Path
from ganlm_core.components import ComponentSpec
from ganlm_core.hookspecs import hookimpl
"""
GOOD = """
def target(options, **arguments):
    return options, arguments

@hookimpl
def ganlm_components():
    yield ComponentSpec("loss", "good", f"{__name__}:target")
"""

Install = Callable[..., str]
_serial = itertools.count()


def write_guest(
    site: Path, source: str, name: str = "guest", distribution: str = "some-zoo", version: str = "2.5"
) -> str:
    """Write a distribution with one plugin; return the name of its module, which is new in this process."""
    module = f"guest_module_{next(_serial)}"
    (site / f"{module}.py").write_text(HEAD + dedent(source))
    info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n\nName: no\n")
    (info / "entry_points.txt").write_text(f"[console_scripts]\nx = y:z\n\n[ganlm]\n{name} = {module}\n")
    return module


def place(module: str, line: int) -> str:
    return f"{importlib.util.find_spec(module).origin}, line {line}"  # type: ignore[union-attr]


def health_of(host: Host, name: str) -> tuple[str, str]:
    """Return the status and the reason of the only plugin of this name."""
    (health,) = [health for health in host.health if health.name == name]
    return health.status, health.reason
