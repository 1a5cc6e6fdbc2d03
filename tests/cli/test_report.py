"""``ganlm report``: the page of a run."""

import json
from pathlib import Path

import pytest

from ganlm_core.training.run_folder import versions
from tests.conftest import Ganlm


@pytest.fixture
def run(ganlm: Ganlm) -> Path:
    config = ganlm("run", "--print-config")[1]
    path = Path("runs/mine")
    (path / "samples").mkdir(parents=True)
    (path / "checkpoints").mkdir()
    (path / "config.toml").write_text(config)
    (path / "run.json").write_text(json.dumps({"status": "started", "versions": versions()}))
    return path


def test_the_path_of_the_page_is_printed(ganlm: Ganlm, run: Path) -> None:
    assert ganlm("report", run) == (0, "runs/mine/report.html\n", "")
    code, out, _ = ganlm("report", run, "--json")
    assert (code, json.loads(out)) == (0, {"report": "runs/mine/report.html"})
    assert "<html" in (run / "report.html").read_text()


def test_there_is_no_run(ganlm: Ganlm) -> None:
    message = "ganlm: error: there is no run at nowhere; give the folder that 'ganlm run' printed\n"
    assert ganlm("report", "nowhere") == (2, "", message)
