"""``benchmarks/convert_oracle.py`` reads the authors' weights and nothing that could run code."""

import math
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from ganlm_core.data.oracle import Oracle
from tests.scripts import benchmark

convert = benchmark("convert_oracle")

SHAPES = [(5, 2), *[(2, 3), (3, 3), (3,)] * 4, (3, 5), (5,)]
"""Five words, embeddings of two numbers, three units."""


def arrays() -> list[Any]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape).astype(np.float32) for shape in SHAPES]


def log_prob(arrays: list[Any], words: list[int]) -> float:
    """Return log p of words by the equations of the authors' code, with matrices on the right of row vectors."""
    embedding, wi, ui, bi, wf, uf, bf, wo, uo, bo, wc, uc, bc, out, bias = (each.astype(np.float64) for each in arrays)
    h, c, total, before = np.zeros(3), np.zeros(3), 0.0, 0
    for word in words:
        x = embedding[before]
        i, f, o = (1 / (1 + np.exp(-(x @ w + h @ u + b))) for w, u, b in ((wi, ui, bi), (wf, uf, bf), (wo, uo, bo)))
        c = f * c + i * np.tanh(x @ wc + h @ uc + bc)
        h = o * np.tanh(c)
        logits = h @ out + bias
        total += logits[word] - math.log(np.exp(logits).sum())
        before = word
    return total


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_the_converted_oracle_gives_the_probabilities_of_the_authors_equations(tmp_path: Path, protocol: int) -> None:
    source, target = tmp_path / "params.pkl", tmp_path / "oracle.safetensors"
    source.write_bytes(pickle.dumps(found := arrays(), protocol=protocol))
    result = CliRunner().invoke(convert.main, [str(source), str(target)])
    assert (result.exit_code, result.output) == (0, "")
    oracle = Oracle.load(target, 4)
    expected = [log_prob(found, [1, 4, 0, 2]), log_prob(found, [3, 3, 3, 1])]
    assert oracle.log_prob(["w1 w4 w0 w2", "w3 w3 w3 w1"]) == pytest.approx(expected, rel=1e-6)


class Command:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch executed",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([Command()], "posix.system; wanted a list of arrays"),
        (np.zeros(3), "is no list of 15 arrays"),
        ([np.zeros(3)], "is no list of 15 arrays"),
    ],
)
def test_another_pickle_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: Any, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.pkl").write_bytes(pickle.dumps(content))
    result = CliRunner().invoke(convert.main, ["params.pkl", "oracle.safetensors"])
    assert result.exit_code == 1 and message in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["params.pkl"]
