"""The pages for plugin authors: the tutorial runs, the reference is up to date, the public names exist."""

import ast
import dataclasses
import importlib
import inspect
import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import ganlm_core
from ganlm_core import Model, RunConfig, errors
from ganlm_core.cli import main
from ganlm_core.components import KINDS
from ganlm_core.errors import GanlmError, GanlmWarning
from ganlm_core.plugins.host import default_host
from ganlm_core.plugins.scaffold import render
from tests.environments import ROOT

DOCS = ROOT / "docs"
TUTORIAL = (DOCS / "write-a-plugin.md").read_text(encoding="utf-8")
STABILITY = (DOCS / "stability.md").read_text(encoding="utf-8")
TINY = ["--steps", "3", "--corpus.size", "300", "--evaluation-samples", "20"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TUTORIAL, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    return [line for block in blocks("sh") for line in block.splitlines()]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the files of the tutorial, in which its commands are run."""
    monkeypatch.chdir(tmp_path)
    for source in blocks("python"):
        name = source.splitlines()[0].removeprefix("# ")
        (tmp_path / name).write_text(source)
    return tmp_path


def test_every_command_of_the_tutorial_works(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs are made short; every other command runs as it stands."""
    assert {path.stem for path in written.glob("*.py")} == {
        "my_gru",
        "my_window",
        "my_margin",
        "my_turns",
        "my_lengths",
        "my_ending",
    }
    for number, command in enumerate(commands()):
        program, *words = shlex.split(command)
        assert program == "ganlm"
        run = [*TINY, "--out", f"run-{number}"] if words[0] == "run" else []
        assert main([*words, *run]) == 0, f"{command}: {capsys.readouterr().err}"
        out = capsys.readouterr().out
        assert not run or f"bundle: run-{number}/bundle" in out
        assert "failed " not in out
    assert (written / "gru-of-mine" / "gru_of_mine" / "networks.py").is_file()


def test_the_tutorial_checks_and_trains_everything_that_it_defines() -> None:
    names = [source.splitlines()[0].removeprefix("# ") for source in blocks("python")]
    checked = [command for command in commands() if command.startswith("ganlm plugins check ")]
    assert [command.split()[-1] for command in checked] == names
    (last,) = [command for command in commands() if "--disc my-window" in command]
    assert all(f"--plugin {name}" in last for name in names)


def test_the_reference_is_written_from_the_docstrings() -> None:
    page = runpy.run_path(str(DOCS / "reference.py"))["page"]()
    written = (DOCS / "plugin-reference.md").read_text(encoding="utf-8")
    assert page == written, "run: python docs/reference.py"


def public() -> list[tuple[str, str]]:
    rows = re.findall(r"^\| `(ganlm_core[\w.]*)` \| (.*) \|$", STABILITY, flags=re.MULTILINE)
    return [(module, name) for module, names in rows for name in re.findall(r"`(\w+)`", names)]


@pytest.mark.parametrize(("module", "name"), public())
def test_a_public_name_exists(module: str, name: str) -> None:
    assert getattr(importlib.import_module(module), name) is not None


def test_the_table_lists_every_name_of_the_package_and_every_error() -> None:
    names: dict[str, set[str]] = {}
    for module, name in public():
        names.setdefault(module, set()).add(name)
    assert names["ganlm_core"] == set(ganlm_core.__all__)
    assert names["ganlm_core.errors"] == {each.__name__ for each in vars(errors).values() if inspect.isclass(each)
                                          and issubclass(each, GanlmError | GanlmWarning)}  # fmt: skip


@pytest.mark.parametrize("kind", [Model, RunConfig])
def test_the_table_lists_every_method_of_a_public_class(kind: type) -> None:
    (row,) = re.findall(rf"^\| `{kind.__name__}` \| (.*) \|$", STABILITY, flags=re.MULTILINE)
    fields = {field.name for field in dataclasses.fields(kind)}
    methods = {name for name in vars(kind) if not name.startswith("_")} - fields
    assert set(re.findall(r"`(\w+)`", row)) == methods


PUBLIC_MODULES = {module for module, _ in public()}


def imported(source: str) -> Iterator[tuple[str, str]]:
    """Yield the imports of a source from ganlm, by module and name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "ganlm_core":
            for alias in node.names:
                if f"{node.module}.{alias.name}" not in PUBLIC_MODULES:
                    yield str(node.module), alias.name


def test_authors_are_shown_public_names_only() -> None:
    """The tutorial, the example, the templates of new projects and the built-in plugins."""
    new = [text for kind in KINDS for path, text in render("a-b", kind) if path.endswith(".py")]
    folders = [ROOT / "examples" / "ganlm-gru", *(ROOT / "plugins").glob("*/ganlm_*")]
    sources = [*blocks("python"), *new, *(file.read_text() for folder in folders for file in folder.rglob("*.py"))]
    assert len(sources) > 40
    assert {name for source in sources for name in imported(source)} - set(public()) == set()


def test_the_reference_documents_public_names_only() -> None:
    documented = {
        (module.__name__, name)
        for _, module, names in runpy.run_path(str(DOCS / "reference.py"))["SECTIONS"]
        for name in names
    }
    assert documented <= set(public())
    hooks = [name for name in vars(importlib.import_module("ganlm_core.hookspecs")) if name.startswith("ganlm_")]
    assert {("ganlm_core.hookspecs", name) for name in hooks} <= set(public())


def test_the_page_of_every_built_in_plugin_names_its_components() -> None:
    for readme in (ROOT / "plugins").glob("*/README.md"):
        package, page = readme.parent.name.replace("-", "_"), readme.read_text(encoding="utf-8")
        specs = [(kind, spec) for kind in KINDS for spec in default_host().specs(kind).values()]
        names = {(kind, spec.name) for kind, spec in specs if spec.target.startswith(f"{package}.")}
        rows = re.findall(r"^\| (\w+) \| (.+?) \|", page, re.MULTILINE)
        listed = {(kind, name) for kind, cell in rows for name in re.findall(r"`([\w-]+)`", cell)}
        assert names <= listed, f"{readme}: {sorted(names - listed)}"
