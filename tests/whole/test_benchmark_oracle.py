"""``benchmarks/oracle.py`` sets matched likelihoods beside the published ones."""

import pytest

from ganlm_core.cli import run_command
from ganlm_core.components import Measure
from ganlm_core.evaluation.scores import Row, Scores
from tests.scripts import benchmark

oracle = benchmark("oracle")


def curve(above: float) -> Scores:
    """NLL_oracle and NLL_test on a line, through 8 and 8.2; the entropy of the oracle is 6.25."""
    measures = {
        "process-likelihood": [Measure("process_nll_token", "process NLL/token", "lower", "quality")],
        "likelihood": [Measure("test_nll", "held-out NLL", "lower", "both")],
    }
    rows = [
        Row("model", "run", x / 10, 9, {"process_nll_token": x, "test_nll": 8.2 + above - (x - 8) / 2})
        for x in (7.0, 9.5)
    ]
    real = Row("real", "real", None, 9, {"process_nll_token": 6.25, "test_nll": 6.25})
    return Scores([*rows, real], measures, {"seed": 0})


def test_ours_are_interpolated_and_theirs_are_as_published() -> None:
    absolute, distances = oracle.tables({"mle": [curve(0.0), curve(0.2)]}, oracle.AT)
    assert [str(cell) for cell in absolute.rows[0]] == [
        "mle", "2", "7.80 ± 0.14", "7.93 ± 0.14", "8.30 ± 0.14", "8.80 ± 0.14"
    ]  # fmt: skip
    published = {str(row[0]): row for row in absolute.rows[1:]}
    assert [number.mean for number in published["tuned MLE (Caccia et al. 2020)"][2:]] == [7.699, 7.777, 8.064, 8.532]
    assert absolute.notes == ["The entropy of this oracle is 6.250 nats per token."]
    first, last = distances.rows[0][2], distances.rows[0][5]
    assert first.mean == pytest.approx(8.3 - 0.75 - 6.25), "at 9 - 5.75 above the entropy: 9.5"
    assert last.mean == pytest.approx(8.3 + 0.25 - 6.25)
    assert distances.rows[1][2].mean == pytest.approx(7.699 - 5.75)


def test_values_out_of_reach_are_left_out_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    absolute, _ = oracle.tables({"mle": [curve(0.0)]}, [8.0, 2.0])
    assert [str(cell) for cell in absolute.rows[0]] == ["mle", "1", "8.20", "-"]
    assert len(absolute.rows) == 1
    assert "no model reaches process NLL/token 2: they have 7 to 9.5" in capsys.readouterr().err


def test_a_wrong_recipe_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(oracle.main, ["--recipes", "mlee"], "oracle.py") == 2
    assert capsys.readouterr().err == (
        "ganlm: error: there is no recipe 'mlee'; did you mean 'mle'? 'ganlm recipes list' shows them; "
        "--config takes a file\n"
    )
