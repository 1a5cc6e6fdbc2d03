"""A model by what the user names, a run in training among them."""

import pytest

from ganlm_core.cli.source import load_source
from ganlm_core.errors import WeightsError
from ganlm_core.plugins.host import Host
from ganlm_core.training.run_folder import RunFolder


def test_a_run_in_training_gives_its_latest_checkpoint(
    unfinished: RunFolder, host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    model = load_source(str(unfinished.path), host, "cpu")
    assert model.calibration is None
    assert capsys.readouterr().err == f"{unfinished.path} has not finished; its checkpoint of step 7 is used\n"


def test_a_checkpoint_is_calibrated_on_the_text_of_the_run(unfinished: RunFolder, host: Host) -> None:
    model = load_source(str(unfinished.path), host, "cpu", calibrated=True)
    assert model.calibration is not None and model.calibration.real > 1000  # a tenth of the grammar


def test_a_run_without_a_checkpoint_is_an_error(unfinished: RunFolder, host: Host) -> None:
    for path in unfinished.checkpoints.iterdir():
        path.rename(unfinished.path / path.name)
    with pytest.raises(WeightsError):
        load_source(str(unfinished.path), host, "cpu")


def test_a_bundle_of_the_zoo(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    model = load_source("zoo:conv-conv.one-shot-grammar", host, "cpu")
    assert model.tokenizer.vocabulary_size > 4 and capsys.readouterr().err == ""
