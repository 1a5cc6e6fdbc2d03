"""The notebooks in ``examples/`` are valid and run from top to bottom."""

import json
import runpy
import time
from pathlib import Path
from typing import Any

import pytest

from ganlm_core.plugins.host import default_host
from tests.environments import ROOT

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a minute of processor time."""
    cells = ["".join(cell["source"]) for cell in read(path)["cells"] if cell["cell_type"] == "code"]
    monkeypatch.chdir(tmp_path)
    default_host.cache_clear()
    Path("cells.py").write_text("\n".join(cells), encoding="utf-8")
    started = time.process_time()
    runpy.run_path("cells.py")
    assert time.process_time() - started < 60


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_keeps_the_outputs_of_one_run_in_order(path: Path) -> None:
    """Each cell was run once, from the first to the last, and none failed."""
    notebook = read(path)
    assert (notebook["nbformat"], notebook["metadata"]["kernelspec"]["name"]) == (4, "python3")
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert not any(output["output_type"] == "error" for cell in cells for output in cell["outputs"])
    assert sum(bool(cell["outputs"]) for cell in cells) >= len(cells) - 1


def test_there_is_a_notebook() -> None:
    assert NOTEBOOKS
