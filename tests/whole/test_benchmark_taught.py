"""``benchmarks/taught.py`` measures the language model in a discriminator."""

import pytest

from ganlm_core.cli import run_command
from tests.scripts import benchmark

taught = benchmark("taught")


def test_the_language_model_is_measured_beside_its_generator() -> None:
    found = dict(taught.rows("zoo:lstm-lstm-lm.likelihood-ratio-grammar", 300))
    assert found.keys() == {taught.GENERATOR, taught.TAUGHT}
    own, other = (found[title].values for title in (taught.GENERATOR, taught.TAUGHT))
    assert own["test_nll"] != other["test_nll"]
    assert 1.79 < other["test_nll"] < 1.85, "the floor is 1.79"
    assert 0.05 < other["tv"] < 0.25


def test_another_discriminator_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(taught.main, ["zoo:lstm-conv.autoregressive-grammar"], "taught.py") == 2
    assert capsys.readouterr().err == (
        "ganlm: error: lstm-conv.autoregressive-grammar has no language model as its discriminator; train one with "
        "--disc lstm-lm\n"
    )
