"""The package itself: its names are imported when they are first used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ganlm_core


def test_every_name_is_the_one_of_its_module() -> None:
    from ganlm_core.bundle.load import load
    from ganlm_core.bundle.model import Model
    from ganlm_core.config.make_config import make_config
    from ganlm_core.config.run_config import RunConfig
    from ganlm_core.training.train import train

    assert (ganlm_core.load, ganlm_core.train) == (load, train)
    assert (ganlm_core.make_config, ganlm_core.RunConfig) == (make_config, RunConfig)
    assert ganlm_core.Model is Model
    assert sorted(dir(ganlm_core)) == sorted(ganlm_core.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'ganlm_core' has no attribute 'lode'"):
        ganlm_core.lode  # noqa: B018


def test_importing_the_package_imports_no_torch() -> None:
    code = "import sys, ganlm_core; print('torch' in sys.modules, ganlm_core.__version__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"False {ganlm_core.__version__}\n"


def test_a_type_checker_sees_the_public_names_only() -> None:
    """A ``__getattr__`` that it sees would make every misspelt name an ``Any``."""
    tree = ast.parse(Path(ganlm_core.__file__).read_text(encoding="utf-8"))
    assert "__getattr__" not in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
