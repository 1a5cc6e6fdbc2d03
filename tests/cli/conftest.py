"""Fixtures of the tests of commands."""

from pathlib import Path

import pytest

from tests.command_line import PLUGIN


@pytest.fixture
def tall(tmp_path: Path) -> Path:
    file = tmp_path / "tall.py"
    file.write_text(PLUGIN)
    return file
