"""The tests mirror the rooms: every module of ganlm_core has a test file of its name."""

import ast
from pathlib import Path

import pytest

from tests.environments import ROOT

CORE = ROOT / "ganlm_core"
TESTS = ROOT / "tests"

WITHOUT_A_TEST: dict[str, str] = {
    "ganlm_core/__main__.py": "two lines; tests/whole starts it in a process of its own",
    "ganlm_core/system/version.py": "one constant; tests/rules/test_wheel.py compares it with the wheel's",
}
"""Modules that need no test file of their own, each with the reason."""


def modules() -> list[str]:
    """Every module of ganlm_core, as a path in the repository. An ``__init__`` that only imports is none."""
    return [file.relative_to(ROOT).as_posix() for file in sorted(CORE.rglob("*.py")) if _has_code(file)]


def _has_code(file: Path) -> bool:
    if file.name != "__init__.py":
        return True
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in body)


def path_of_test(module: str) -> Path:
    """Where the test of a module is.

    ``ganlm_core/data/corpus.py`` has ``tests/data/test_corpus.py``; a package inside a room counts to the room
    (``ganlm_core/cli/bench/workloads.py``: ``tests/cli/test_workloads.py``), and an ``__init__`` has the name of its
    package.
    """
    path = (ROOT / module).relative_to(CORE)
    name = path.stem if path.stem != "__init__" else (CORE / path).parent.name
    room = path.parts[0] if len(path.parts) > 1 else ""
    return TESTS / room / f"test_{name}.py"


@pytest.mark.parametrize("module", modules())
def test_a_module_has_a_test_file_or_a_reason(module: str) -> None:
    wanted = path_of_test(module)
    if module in WITHOUT_A_TEST:
        assert not wanted.exists(), f"{module} has {wanted.relative_to(ROOT)}: take it out of WITHOUT_A_TEST"
    else:
        assert wanted.is_file(), f"write {wanted.relative_to(ROOT)}, or give a reason in WITHOUT_A_TEST"
        assert "def test_" in wanted.read_text(encoding="utf-8"), f"{wanted.relative_to(ROOT)} has no test"


def test_the_reasons_are_for_modules_that_exist() -> None:
    assert WITHOUT_A_TEST.keys() <= set(modules())
