"""``--data`` of ``ganlm score`` and ``ganlm sample --select``: calibration, and whether the text is the bundle's."""

import json
from pathlib import Path

import pytest

from ganlm_core.bundle import load
from ganlm_core.cli.calibration import calibrate
from ganlm_core.plugins.host import Host
from ganlm_core.sampling import PLAIN
from tests.bundles import edit
from tests.conftest import Ganlm


@pytest.fixture
def held_out(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.csv"
    path.write_text("review\n" + "".join(f"a cat sees the dog {number}\n" for number in range(300)))
    return path


def test_the_calibration_is_on_the_validation_and_test_splits(saved: Path, host: Host, held_out: Path) -> None:
    model = load.load(saved, host)
    found = calibrate(model, host, str(held_out), {"column": "review"}, PLAIN)
    assert found.calibration is not None
    assert 15 <= found.calibration.real == found.calibration.generated <= 60
    assert found.calibration != model.calibration


def test_a_text_that_is_not_the_bundles_is_told(command: Ganlm, copy: Path, held_out: Path) -> None:
    edit(copy, "config.json", corpus={"name": "other", **dict.fromkeys(("train", "validation", "test"), "0" * 64)})
    assert json.loads((copy / "config.json").read_text())["corpus"]["name"] == "other"
    code, _, err = command("score", copy, held_out, "--data", held_out, "--corpus.column", "review")
    told = f"{held_out} is not the text that the bundle was trained on; the calibration is for this text"
    assert code == 0 and told in err.splitlines()
    code, out, err = command("sample", copy, "--select", "rerank", "--data", held_out, "--corpus.column", "review")
    assert code == 0 and told in err.splitlines() and len(out.splitlines()) == 10


def test_nothing_is_told_where_the_bundle_does_not_know_its_text(command: Ganlm, copy: Path, held_out: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    config.pop("corpus", None)
    (copy / "config.json").write_text(json.dumps(config))
    edit(copy, "evaluation.json")
    err = command("score", copy, held_out, "--data", held_out, "--corpus.column", "review")[2]
    assert "is not the text" not in err
