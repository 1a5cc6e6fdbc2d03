"""The layers: what each module may import, read from the source without running it."""

import ast
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = ROOT / "ganlm_core"

LEVELS = (
    ("errors", "threads"),
    ("components", "hookspecs", "settings"),
    (
        "files",
        "cache",
        "signals",
        "isolation",
        "discovery",
        "plugins",
        "config",
        "about",
        "runs",
        "watch",
        "scaffold",
        "header",
        "measures",
        "outcome",
        "scores",
        "comparison",
        "standard",
        "manifest",
        "zoo",
        "hub",
        "locations",
    ),
    ("devices", "protocol"),
    (
        "tensors",
        "sampling",
        "layers",
        "losses",
        "penalties",
        "estimators",
        "corpora",
        "tokenizer",
        "encoding",
        "permutation",
        "contract",
    ),
    ("algorithms",),
    ("compilation", "optimizers", "distributed", "trainer"),
    (
        "checkpoint",
        "attribution",
        "calibration",
        "model",
        "selection",
        "stream",
        "exchange",
        "selftest",
        "card",
        "bundle",
        "differences",
        "metrics",
    ),
    (
        "evaluation",
        "testing",
        "experiment",
        "telemetry",
        "following",
        "course",
        "execution",
        "figures",
        "pages",
        "sources",
        "rows",
        "report",
        "speed",
    ),
    ("cli", "__main__"),
)
"""A module imports from the rows above its own, and in its own row from what stands to its left."""

TORCH_FROM = 3
HEAVY = {"torch", "numpy", "tokenizers", "safetensors", "rich"}
COMMAND_LINE = 9
IN_COMMAND_BODIES = {"cli.display", "cli.doctor", "cli.tables"}
"""Modules of the command line that are themselves imported only in the bodies of commands."""

LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
ORDER = {name: place for place, name in enumerate(name for names in LEVELS for name in names)}


@dataclass(frozen=True)
class Import:
    """``module`` as written, from a module's top or from inside a function."""

    module: str
    at_top: bool
    line: int

    @property
    def core(self) -> str:
        """The name in LEVELS of an import from ganlm_core, or nothing: the bare package has no level."""
        head, _, rest = self.module.partition(".")
        return rest.partition(".")[0] if head == "ganlm_core" else ""


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
    """``from package import name`` counts as the module ``package.name`` where there is one."""
    assert node.module
    for alias in node.names:
        module = f"{node.module}.{alias.name}"
        yield Import(module if _exists(module) else node.module, at_top, node.lineno)


def _exists(module: str) -> bool:
    path = ROOT.joinpath(*module.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def core_modules() -> dict[str, Path]:
    """All modules of ganlm_core but its ``__init__``, by dotted name below it."""
    files = {".".join(file.relative_to(CORE).with_suffix("").parts): file for file in CORE.rglob("*.py")}
    return {name.removesuffix(".__init__"): file for name, file in sorted(files.items()) if name != "__init__"}


def plugin_modules() -> dict[str, Path]:
    """The modules of the packages of the plugins in this repository, without their tests."""
    plugins = ROOT / "plugins"
    files = sorted(plugins.glob("*/ganlm_*/**/*.py"))
    return {".".join(file.relative_to(plugins).with_suffix("").parts[1:]): file for file in files}


@pytest.mark.parametrize("name", core_modules())
def test_every_module_has_a_level(name: str) -> None:
    assert name.partition(".")[0] in LEVEL, f"give ganlm_core.{name} a place in LEVELS"


def test_the_page_of_decisions_counts_the_levels() -> None:
    page = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")
    assert f"Imports go down {('nine', 'ten', 'eleven')[len(LEVELS) - 9]} levels, from 0 to {len(LEVELS) - 1}." in page


@pytest.mark.parametrize(("name", "file"), core_modules().items(), ids=core_modules())
def test_imports_go_down(name: str, file: Path) -> None:
    own = name.partition(".")[0]
    for found in imports(file):
        if found.core in ("", own):
            continue
        free = own == "cli" or LEVEL[found.core] <= LEVEL[own]
        down = ORDER[found.core] < ORDER[own]
        assert down if found.at_top else free, f"{name}, line {found.line}: {found.module} is not below it"


@pytest.mark.parametrize(("name", "file"), core_modules().items(), ids=core_modules())
def test_torch_and_its_like_stay_out_of_names_and_help(name: str, file: Path) -> None:
    level = LEVEL[name.partition(".")[0]]
    if TORCH_FROM <= level < COMMAND_LINE or name in IN_COMMAND_BODIES:
        return
    for found in imports(file):
        if found.at_top:
            heavy = found.module.partition(".")[0] in HEAVY or TORCH_FROM <= LEVEL.get(found.core, 0) < COMMAND_LINE
            heavy = heavy or found.module.removeprefix("ganlm_core.") in IN_COMMAND_BODIES
            assert not heavy, f"{name}, line {found.line}: {found.module} is heavy"


def test_the_package_itself_imports_nothing_of_its_own() -> None:
    assert {found.module for found in imports(CORE / "__init__.py") if found.at_top} == {"importlib", "typing"}


def dependencies(project: Path) -> set[str]:
    """The packages of the distributions that a pyproject.toml asks for."""
    wanted = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    return {name.replace("-", "_") for name in wanted}


@pytest.mark.parametrize(("name", "file"), plugin_modules().items(), ids=plugin_modules())
def test_a_plugin_imports_what_the_contract_allows(name: str, file: Path) -> None:
    """The hook and the options: levels 0 and 1. The networks: also levels 3 and 4; algorithms also level 5.

    Of other plugins, those that its distribution depends on.
    """
    package, _, module = name.rpartition(".")
    light = module in ("__init__", "options")
    allowed = {0, 1} if light else {0, 1, 3, 4, 5}
    for found in imports(file):
        head = found.module.partition(".")[0]
        assert head != "ganlm_core" or LEVEL.get(found.core) in allowed, f"{name}, line {found.line}: {found.module}"
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
