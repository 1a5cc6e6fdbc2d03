"""A host with a plugin that has two generators and a recipe."""

import pytest

from ganlm_core.plugins.host import Host

PLUGIN = """
from pathlib import Path
from dataclasses import dataclass
from ganlm_core.components import ComponentSpec, Options, option
from ganlm_core.hookspecs import hookimpl

class TallOptions(Options):
    height: int = option(1, "height", min=1)
    shade: str = option("blue", "shade")

class WideOptions(Options):
    width: int = option(1, "width", min=1)

@hookimpl
def ganlm_components():
    yield ComponentSpec("generator", "tall", "m:a", TallOptions, recipe="towers")
    yield ComponentSpec("generator", "wide", "m:a", WideOptions, recipe="towers")

@hookimpl
def ganlm_recipes():
    yield Path(__file__).with_name("towers.toml")
    yield Path(__file__).with_name("bad.toml")
"""
RECIPE = """
[about]
summary = "builds towers"

[loss.hinge]

[generator.tall]
height = 5
shade = "red"

[training]
steps = 50
batch_size = 8
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """The built-in plugins, and one with two small generators and the recipes ``towers`` and ``bad``."""
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "plugin.py").write_text(PLUGIN)
    (folder / "towers.toml").write_text(RECIPE)
    (folder / "bad.toml").write_text("[generator\n")
    return Host.discover([folder / "plugin.py"], no_plugins=True)
