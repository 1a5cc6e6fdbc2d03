"""The rooms and the imports that each module may have, read from the source without running it."""

import ast
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.environments import ROOT
from tests.rules.rooms import ROOMS

CORE = ROOT / "ganlm_core"

LIGHT = {
    "errors",
    "components",
    "hookspecs",
    "plugins",
    "config",
    "cli",
    "__main__",
    "system.arguments",
    "system.cache",
    "system.files",
    "system.folders",
    "system.header",
    "system.lock",
    "system.memory",
    "system.printable",
    "system.signals",
    "system.sums",
    "system.threads",
    "system.toml",
    "system.version",
    "data.corpus",
    "data.formats",
    "data.options",
    "data.specs",
    "data.text",
    "data.tokenizer_kind",
    "algorithms.options",
    "algorithms.specs",
    "metrics.formatting",
    "metrics.interim",
    "metrics.options",
    "metrics.specs",
    "bundle.hub",
    "bundle.locate",
    "bundle.manifest",
    "bundle.options",
    "bundle.start",
    "bundle.zoo",
    "training.metrics_log",
    "training.paths",
    "training.resuming",
    "training.run_folder",
    "evaluation.compare",
    "evaluation.scores",
    "evaluation.tables",
    "evaluation.welch",
    "sweep",
}
"""Rooms and modules that listings, help and configuration errors need. They import none of HEAVY."""

IN_COMMAND_BODIES = {
    "cli.bench.handwritten",
    "cli.bench.limits",
    "cli.bench.measuring",
    "cli.bench.textbook",
    "cli.bench.workloads",
}
IN_COMMAND_BODIES |= {"cli.sweep_display", "cli.console", "cli.display", "cli.doctor", "cli.tables", "cli.watch"}
"""Modules of the command line that only the bodies of commands import."""

HEAVY = {"torch", "numpy", "tokenizers", "safetensors", "rich"}
FOR_PLUGINS = {"errors", "components", "hookspecs", "protocol", "layers", "sampling", "data", "algorithms", "metrics"}
"""Rooms that a plugin may import from; its hook and its options import only the first three."""

ORDER = {room: place for place, room in enumerate(ROOMS)}


def is_light(name: str) -> bool:
    """Return whether a module, by its dotted name below ganlm_core, must not import torch."""
    return name not in IN_COMMAND_BODIES and (name in LIGHT or name.partition(".")[0] in LIGHT)


@dataclass(frozen=True)
class Import:
    """One import of ``module``, as written, at the top of a module or inside a function."""

    module: str
    at_top: bool
    line: int

    @property
    def core(self) -> str:
        """Return its dotted name below ganlm_core; empty for other packages and for the package itself."""
        head, _, rest = self.module.partition(".")
        return rest if head == "ganlm_core" else ""

    @property
    def room(self) -> str:
        return self.core.partition(".")[0]


def imports(file: Path) -> list[Import]:
    return list(_imports(ast.parse(file.read_text(encoding="utf-8")), at_top=True))


def _imports(node: ast.AST, at_top: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, at_top, child.lineno) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"line {child.lineno}: imports are absolute"
            yield from _from(child, at_top)
        yield from _imports(
            child, at_top and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        )


def _from(node: ast.ImportFrom, at_top: bool) -> Iterator[Import]:
    """``from package import name`` counts as the module ``package.name`` if this module exists."""
    assert node.module
    for alias in node.names:
        module = f"{node.module}.{alias.name}"
        yield Import(module if _exists(module) else node.module, at_top, node.lineno)


def _exists(module: str) -> bool:
    path = ROOT.joinpath(*module.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def core_modules() -> dict[str, Path]:
    """Return all modules of ganlm_core except its ``__init__``, by dotted name below it."""
    files = {".".join(file.relative_to(CORE).with_suffix("").parts): file for file in CORE.rglob("*.py")}
    return {name.removesuffix(".__init__"): file for name, file in sorted(files.items()) if name != "__init__"}


def plugin_modules() -> dict[str, Path]:
    """Return the modules of the plugins in this repository, without their tests."""
    plugins = ROOT / "plugins"
    files = sorted(plugins.glob("*/ganlm_*/**/*.py"))
    return {".".join(file.relative_to(plugins).with_suffix("").parts[1:]): file for file in files}


def room_of(name: str) -> str:
    return name.partition(".")[0]


def test_the_rooms_match_the_package() -> None:
    assert {room_of(name) for name in core_modules()} == set(ROOMS)


def test_the_package_has_few_entries() -> None:
    entries = {path.name for path in CORE.iterdir()} - {"__pycache__"}
    assert len(entries) <= 22, sorted(entries)


@pytest.mark.parametrize(("name", "file"), core_modules().items(), ids=core_modules())
def test_imports_go_down(name: str, file: Path) -> None:
    for found in imports(file):
        if found.core and found.room != room_of(name):
            down = ORDER[found.room] < ORDER[room_of(name)]
            assert down, f"{name}, line {found.line}: {found.module} is in a higher room"


def test_there_is_no_circle() -> None:
    """Imports inside functions count too: code that needs its caller is in the wrong place."""
    modules = core_modules()
    below = {name: {found.core for found in imports(file)} & modules.keys() for name, file in modules.items()}
    while below:
        ground = [name for name, needed in below.items() if not needed & below.keys()]
        assert ground, f"these import each other: {', '.join(sorted(below))}"
        for name in ground:
            del below[name]


@pytest.mark.parametrize(("name", "file"), core_modules().items(), ids=core_modules())
def test_light_modules_do_without_torch(name: str, file: Path) -> None:
    if not is_light(name):
        return
    for found in imports(file):
        if found.at_top:
            light = is_light(found.core) if found.core else found.module.partition(".")[0] not in HEAVY
            assert light, f"{name}, line {found.line}: {found.module} is heavy"


@pytest.mark.parametrize("room", sorted({room_of(name) for name in LIGHT if "." in name}))
def test_the_init_of_a_room_with_a_light_module_is_a_docstring(room: str) -> None:
    (docstring,) = ast.parse((CORE / room / "__init__.py").read_text(encoding="utf-8")).body
    assert isinstance(docstring, ast.Expr)


def test_the_package_itself_imports_only_its_version() -> None:
    found = {found.module for found in imports(CORE / "__init__.py") if found.at_top}
    assert found == {"importlib", "typing", "ganlm_core.system.version"}


def dependencies(project: Path) -> set[str]:
    """Return the packages that a pyproject.toml depends on."""
    wanted = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    return {name.replace("-", "_") for name in wanted}


@pytest.mark.parametrize(("name", "file"), plugin_modules().items(), ids=plugin_modules())
def test_a_plugin_imports_what_the_contract_allows(name: str, file: Path) -> None:
    """It may also import the plugins that its distribution depends on."""
    package, _, module = name.rpartition(".")
    light = module in ("__init__", "options")
    allowed = {"errors", "components", "hookspecs"} if light else FOR_PLUGINS
    for found in imports(file):
        head = found.module.partition(".")[0]
        # The options of an algorithm extend those of adversarial training.
        fine = found.room in allowed or found.core == "algorithms.options"
        assert head != "ganlm_core" or fine, f"{name}, line {found.line}: {found.module}"
        assert not (light and head in HEAVY), f"{name}, line {found.line}: {found.module} is heavy"
        known = {"ganlm_core", package.partition(".")[0], *dependencies(file.parent.parent / "pyproject.toml")}
        assert not head.startswith("ganlm_") or head in known, found.module


def test_the_reader_sees_every_form_of_import(tmp_path: Path) -> None:
    file = tmp_path / "sample.py"
    file.write_text(
        "import torch.nn\nfrom ganlm_core import errors, __version__\nfrom ganlm_core.config import resolve\n"
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ganlm_core import cli\n"
        "class A:\n    import numpy\n    def f(self):\n        import rich\n"
    )
    assert [(found.module, found.at_top) for found in imports(file)] == [
        ("torch.nn", True),
        ("ganlm_core.errors", True),
        ("ganlm_core", True),
        ("ganlm_core.config", True),
        ("typing", True),
        ("numpy", True),
        ("rich", False),
    ]
