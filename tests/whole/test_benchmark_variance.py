"""``benchmarks/variance.py`` compares estimators."""

import pytest
from click.testing import CliRunner

from tests.scripts import benchmark


def test_the_table_has_the_variance_of_each_estimator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four samples of each noise vector have about a quarter of the variance of one."""
    variance = benchmark("variance")
    monkeypatch.setattr(variance, "ROWS", {"one sample": "reinforce baseline=none"})
    monkeypatch.setattr(variance, "LEARNING", 1)
    arguments = ["zoo:lstm-lstm.scratchgan-grammar", "--repeats", "30", "--batch-size", "16"]
    result = CliRunner().invoke(variance.main, [*arguments, "--add", "four=reinforce baseline=none samples=4"])
    assert result.exit_code == 0, result.output
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in result.output.splitlines() if "|" in line]
    assert rows[0] == ["estimator", "variance", "time", "product"]
    assert rows[2] == ["one sample", "1.00", "1.00", "1.00"]
    assert rows[3][0] == "four"
    assert 0.15 < float(rows[3][1]) < 0.45
