"""Plain English: a docstring or a help text opens with a verb or a noun, not with a riddle."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.environments import ROOT

OPENINGS = re.compile(r"\s*(What|Of|That|Those|Whoever|Nobody|Somebody|How)\b", flags=re.IGNORECASE)
"""First words that make a reader wait for the subject."""

TOLD = {"help", "summary", "short_help", "epilog"}
"""Keyword arguments that a user reads."""

FILES = sorted(
    file
    for pattern in ("ganlm_core/**/*.py", "plugins/*/ganlm_*/**/*.py", "examples/*/ganlm_*/**/*.py")
    for file in ROOT.glob(pattern)
)


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The docstrings, the strings below constants, and the texts of options, each with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value
        elif isinstance(node, ast.Call):
            yield from _arguments(node)


def _arguments(call: ast.Call) -> Iterator[tuple[int, str]]:
    told = [keyword.value for keyword in call.keywords if keyword.arg in TOLD]
    if ast.unparse(call.func).rpartition(".")[2] == "option":
        told += call.args[1:]  # option(default, "text"); flags of click's options start with a dash
    for value in told:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.lineno, value.value


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_docstrings_and_help_open_plainly(file: Path) -> None:
    found = [
        f"line {line}: {text.strip().splitlines()[0]}"
        for line, text in texts(ast.parse(file.read_text(encoding="utf-8")))
        if OPENINGS.match(text)
    ]
    assert not found, "\n".join(["say it with the verb first and the subject named:", *found])


def test_the_reader_sees_docstrings_and_help() -> None:
    source = (
        '"""What it is."""\nSIZE = 3\n"""Of the table."""\n'
        'class A:\n    """Fine."""\n    x: int = option(1, "how many")\n'
        'click.option("--n", "count", help="that many")\nsummary = f(summary="whoever")\n'
    )
    found = {text for _, text in texts(ast.parse(source)) if OPENINGS.match(text)}
    assert found == {"What it is.", "Of the table.", "how many", "that many", "whoever"}
