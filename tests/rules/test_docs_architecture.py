"""docs/architecture.md has one line for each file of ganlm_core, and its rooms stand in the order of the imports."""

import ast
import re
from pathlib import Path

from tests.environments import ROOT
from tests.rules.rooms import ROOMS

CORE = ROOT / "ganlm_core"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
FILES = PAGE.partition("## Every file")[2].partition("\n## ")[0]


def has_code(file: Path) -> bool:
    """Return whether a file is more than a room's ``__init__`` that only imports or is empty."""
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return file.name != "__init__.py" or any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in body)


def test_every_file_has_a_line() -> None:
    listed = re.findall(r"^\| `([\w/.]+\.py)` \| .+ \|$", FILES, flags=re.MULTILINE)
    files = {file.relative_to(CORE).as_posix() for file in CORE.rglob("*.py") if has_code(file)}
    assert len(listed) == len(set(listed))
    missing, gone = sorted(files - set(listed)), sorted(set(listed) - files)
    assert not missing, f"add a line to the tables of docs/architecture.md: | `{missing[0]}` | its contents | {missing}"
    assert not gone, f"take these lines out of docs/architecture.md, the files do not exist: {gone}"


def test_the_rooms_are_in_the_order_of_the_imports() -> None:
    rows = re.findall(r"^\| (`[^|]+`) \| .* \| .* \|$", PAGE.partition("## Walks")[0], flags=re.MULTILINE)
    rooms = [name.strip("/").removesuffix(".py") for row in rows for name in re.findall(r"`([^`]+)`", row)]
    assert rooms == [room for room in ROOMS if room != "__main__"]


def test_the_files_of_the_walks_exist() -> None:
    walks = PAGE.partition("## Walks")[2].partition("## Every file")[0]
    named = set(re.findall(r"`([a-z_]+/[\w/]+\.(?:py|toml))`", walks))
    assert len(named) > 15
    assert [name for name in sorted(named) if not (CORE / name).exists() and not (ROOT / name).exists()] == []


def test_the_functions_that_the_walks_name_after_a_file_are_in_it() -> None:
    named = re.findall(r"`([a-z_]+/[\w/-]+\.py)`: `(\w+)`", PAGE.partition("## Walks")[2].partition("## Every file")[0])
    assert len(named) > 10
    for file, name in named:
        path = CORE / file if (CORE / file).exists() else ROOT / file
        found = {getattr(node, "name", "") for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))}
        assert name in found, f"{name} is not in {file}"
