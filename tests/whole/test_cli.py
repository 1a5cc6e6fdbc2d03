"""The command line in processes of its own: what it imports, and closed, full and terminal streams."""

import os
import subprocess
import sys

import pytest

from ganlm_core.system.threads import BRIEFLY
from tests.command_line import modules_imported_by


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["list"], ["plugins"], ["show", "lstm"], ["recipes", "list"], ["recipes", "validate"],
     ["run", "--help"], ["run", "--gen", "transformer", "--print-config"], ["sample", "--help"],
     ["weights", "--help"], ["matrix", "--help"]],
    ids=" ".join,
)  # fmt: skip
def test_names_and_help_never_import_torch(arguments: list[str]) -> None:
    assert not modules_imported_by(*arguments) & {"torch", "numpy", "tokenizers", "safetensors", "rich", "jinja2"}


SLOW_TO_IMPORT = {
    "asyncio", "concurrent.futures", "difflib", "email", "hashlib", "http", "importlib.metadata", "json", "logging",
    "multiprocessing", "random", "socket", "subprocess", "tempfile", "traceback", "unittest", "xml", "zipfile",
}  # fmt: skip
"""Of the standard library: a few milliseconds each, of the hundred that click, pluggy and our own modules take."""


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (["--help"], SLOW_TO_IMPORT | {"tomllib", "ganlm_core.config.run_config", "ganlm_core.config.options"}),
        (["plugins"], SLOW_TO_IMPORT | {"tomllib", "ganlm_core.config.run_config", "ganlm_core.config.options"}),
        (["list"], SLOW_TO_IMPORT - {"json"} | {"tomllib"}),  # the trained pairs say their scores in JSON
        (["run", "--help"], SLOW_TO_IMPORT - {"json"}),  # the files of configurations are read with the bundles' means
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_names_and_help_import_little(arguments: list[str], unwanted: set[str]) -> None:
    assert not modules_imported_by(*arguments) & unwanted


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "ganlm_core", "lst"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "ganlm: error: there is no command 'lst'; did you mean 'list'? 'ganlm --help' shows them\n"


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "ganlm_core", "list"], stdout=pipe, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(sys.platform != "linux", reason="how the OpenMP of another system waits is not shown by it")
@pytest.mark.parametrize(
    ("said", "understood"),
    [
        ({}, ("PASSIVE", "2000")),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, ("ACTIVE", "30000000000")),
        ({"GOMP_SPINCOUNT": "7"}, ("PASSIVE", "7")),
    ],
)
def test_threads_wait_briefly_unless_the_user_says_otherwise(said: dict[str, str], understood: tuple[str, str]) -> None:
    """As the library of torch's threads understood it."""
    environment = {name: value for name, value in os.environ.items() if name not in BRIEFLY}
    environment |= {"OMP_DISPLAY_ENV": "VERBOSE"} | said
    command = [sys.executable, "-m", "ganlm_core", "--no-plugins", "plugins", "doctor"]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stderr
    policy, spins = understood
    assert f"OMP_WAIT_POLICY = '{policy}'" in told
    assert f"GOMP_SPINCOUNT = '{spins}'" in told
