"""A run folder and a bundle that were made before the package was moved into rooms: they work as they did.

``tests/data/before_rooms/whole`` is a finished run of the last commit before the move; its checkpoints were left out.
"""

import json
import shutil
from pathlib import Path

import pytest
import torch

import ganlm_core
from ganlm_core.bundle.diff import diff
from ganlm_core.bundle.verify import verify
from ganlm_core.plugins.host import default_host
from tests.conftest import Ganlm
from tests.environments import ROOT

DATA = ROOT / "tests" / "data" / "before_rooms"


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DATA / "whole", tmp_path / "whole"))


def test_its_bundle_verifies_by_its_logits(whole: Path) -> None:
    """Its self-test has no version of the drawing, so other tokens of the seed are no fault."""
    recorded = json.loads((whole / "bundle" / "selftest.json").read_text())
    assert "drawing" not in recorded and "corpus" not in json.loads((whole / "bundle" / "config.json").read_text())
    for folder in (whole, whole / "before"):
        assert verify(folder, default_host())[-1].detail in ("identical", "within 0.001")


def test_its_bundle_samples_scores_and_explains(whole: Path) -> None:
    model = ganlm_core.load(whole)
    assert model.config.corpus is None and model.calibration is None
    texts = model.sample(5, seed=1)
    assert len(texts) == 5 and model.sample(3, seed=1) == texts[:3]
    assert len(model.score(texts)) == len(model.log_prob(texts)) == 5
    recorded = json.loads((whole / "bundle" / "selftest.json").read_text())
    logits = model.logits(torch.tensor(recorded["tokens"])).tolist()
    assert logits == pytest.approx(recorded["scores"], abs=1e-3)


def test_commands_take_its_bundle(ganlm: Ganlm, whole: Path, tmp_path: Path) -> None:
    assert ganlm("sample", whole, "-n", 2)[0] == 0
    text = tmp_path / "text.txt"
    text.write_text("the cat sees a dog .\nold women sleep .\n")
    code, out, _ = ganlm("score", whole, text, "--data", "grammar")
    assert code == 0 and len(out.splitlines()) == 2
    code, out, _ = ganlm("weights", "inspect", whole)
    assert code == 0 and out.startswith("bundle of format 1, made by ganlm 0.1.0")
    assert ganlm("weights", "export", whole, "--out", tmp_path / "copy")[0] == 0
    assert not any(diff(whole, tmp_path / "copy").values())


def test_eval_and_report_work_on_its_run(ganlm: Ganlm, whole: Path) -> None:
    code, out, err = ganlm("eval", whole, "--metrics", "distinct,validity", "-n", 20)
    assert code == 0, err
    assert "distinct" in out
    code, _, err = ganlm("report", whole)
    assert code == 0, err
    assert (whole / "report.html").stat().st_size > 1000
