"""The command line in processes of its own: imports, and streams that are closed, full or a terminal."""

import contextlib
import fcntl
import json
import os
import shlex
import shutil
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from ganlm_core.bundle import zoo
from ganlm_core.system.threads import BRIEFLY
from tests.bundles import seal
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
"""Modules of the standard library that take a few milliseconds each; click, pluggy and our modules take a hundred."""


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


SAMPLE = ["sample", "zoo:lstm.mle-grammar", "-n", "3"]


def shell(line: str, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a line of a shell in which ``ganlm`` stands for this command line with the arguments."""
    ganlm = shlex.join([sys.executable, "-m", "ganlm_core", *arguments])
    return subprocess.run(["sh", "-c", line.replace("ganlm", ganlm)], capture_output=True, text=True, cwd=folder)


@pytest.mark.skipif(os.name != "posix", reason="the shell of POSIX")
@pytest.mark.parametrize("arguments", [SAMPLE, ["list"], ["--help"]], ids=lambda each: each[0])
def test_a_closed_standard_output_is_told_in_one_line(arguments: list[str]) -> None:
    done = shell("ganlm >&-", *arguments)
    message = "ganlm: error: standard output is closed; send it to a file, to a pipe or to /dev/null\n"
    assert (done.returncode, done.stderr) == (1, message)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_a_full_standard_output_is_told_in_one_line() -> None:
    done = shell("ganlm >/dev/full", "list")
    message = "ganlm: error: cannot write to standard output: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, message)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_a_standard_error_that_takes_nothing_ends_no_command(redirection: str) -> None:
    done = shell(f"ganlm {redirection}", *SAMPLE, "--unique")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 3)


@pytest.mark.skipif(sys.platform != "linux", reason="how a limit of the size of files is kept by Linux")
def test_a_full_disk_ends_the_samples_after_a_whole_line(tmp_path: Path) -> None:
    """And the number that is told goes on with the file as if nothing had happened."""
    sample = ["sample", "zoo:lstm.mle-grammar", "--out", "s.txt"]
    done = shell("ulimit -f 40; ganlm", *sample, "-n", "2000", folder=tmp_path)
    told, number = done.stderr.rstrip("\n").split(", go on with --offset ")
    offset = int(number)
    assert done.returncode == 1
    assert told == f"ganlm: error: cannot write s.txt: File too large; {offset:,} sentences are written"
    assert len((tmp_path / "s.txt").read_text().splitlines()) == offset > 0
    shell("ganlm", *sample, "-n", str(2000 - offset), "--offset", str(offset), folder=tmp_path)
    assert (tmp_path / "s.txt").read_text() == shell("ganlm", *sample[:2], "-n", "2000").stdout


def on_terminal(columns: int, *arguments: str) -> str:
    """Return what a terminal of so many columns gets from the command line."""
    import pty

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    with subprocess.Popen([sys.executable, "-m", "ganlm_core", *arguments], stdout=theirs, env=environment):
        os.close(theirs)
        parts = []
        with contextlib.suppress(OSError):  # the end of a terminal
            while part := os.read(ours, 4096):
                parts.append(part)
    os.close(ours)
    return b"".join(parts).decode().replace("\r\n", "\n")


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A bundle whose words set the title of a terminal and its clipboard."""
    bundle = Path(shutil.copytree(zoo.find("lstm.mle-grammar"), tmp_path / "hostile"))
    tokenizer = json.loads((bundle / "tokenizer.json").read_text())
    words = tokenizer["model"]["vocab"]
    tokenizer["model"]["vocab"] = {
        word + "\x1b]52;c;cm0K\x07\u202e" * (token > 3): token for word, token in words.items()
    }
    (bundle / "tokenizer.json").write_text(json.dumps(tokenizer))
    seal(bundle)
    return bundle


@pytest.mark.skipif(sys.platform != "linux", reason="the terminals of Linux")
@pytest.mark.parametrize(
    "arguments", [["sample"], ["sample", "--json"], ["weights", "verify"], ["weights", "inspect"]], ids=" ".join
)
def test_untrusted_text_reaches_no_terminal(hostile: Path, arguments: list[str]) -> None:
    shown = on_terminal(80, *arguments, str(hostile))
    assert shown and "\x1b" not in shown and "\x07" not in shown and "\u202e" not in shown
    if arguments == ["sample"]:
        assert "\\x1b]52;c;cm0K\\x07\\u202e" in shown


@pytest.mark.skipif(sys.platform != "linux", reason="the terminals of Linux")
@pytest.mark.parametrize("arguments", [["list"], ["list", "weights"], ["recipes", "list"]], ids=" ".join)
def test_tables_fit_a_terminal_and_are_whole_in_a_pipe(arguments: list[str]) -> None:
    assert max(map(len, on_terminal(80, *arguments).splitlines())) <= 80
    assert max(map(len, shell("ganlm", *arguments).stdout.splitlines())) > 80
