"""What the benchmark counts, and that both ways estimate the same."""

import ctypes
import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from ganlm_lstm.networks import LSTMGenerator
from ganlm_lstm.options import LSTMGeneratorOptions
from torch import nn
from torch.nn import functional as F

from ganlm_core import sampling
from ganlm_core.devices import pick_device
from ganlm_core.estimators import Rollout
from ganlm_core.protocol import EOS, Batch, Shape, mask_of
from ganlm_core.speed import measuring, textbook, works
from ganlm_core.speed.limits import bytes_moved, count_products, operations
from ganlm_core.speed.measuring import Growth
from ganlm_core.speed.works import GOALS, Sizes
from ganlm_core.standard import RolloutOptions
from tests.conftest import Ganlm

TINY = Sizes(vocabulary=30, length=5, batch=3, rollouts=2, long=6)


def test_products_are_counted_whatever_makes_them() -> None:
    inputs, weight = torch.randn(6, 3), torch.randn(4, 3)
    counts = count_products(lambda: (F.linear(inputs, weight, torch.zeros(4)), inputs @ weight.T))
    assert counts == {(1, 6, 3, 4): 2}
    assert count_products(lambda: torch.randn(5, 6, 3) @ torch.randn(5, 3, 2)) == {(5, 6, 3, 2): 1}
    assert operations(counts) == 2 * 2 * 6 * 3 * 4
    assert bytes_moved(counts) == 2 * 4 * (6 * 3 + 3 * 4 + 6 * 4)


def test_a_convolution_counts_as_the_product_it_amounts_to_and_its_gradients_as_one_each() -> None:
    convolution, inputs = nn.Conv1d(3, 4, 5), torch.randn(2, 3, 10)
    assert count_products(lambda: convolution(inputs)) == {(1, 2 * 6, 3 * 5, 4): 1}
    assert count_products(lambda: convolution(inputs).sum().backward()) == {(1, 2 * 6, 3 * 5, 4): 2}


def test_an_lstm_counts_as_its_gates() -> None:
    lstm = nn.LSTM(3, 5, batch_first=True)
    with torch.no_grad():
        counts = count_products(lambda: lstm(torch.randn(2, 7, 3)))
    assert operations(counts) == 2 * 2 * 7 * (3 * 20 + 5 * 20)


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.title)
def test_each_work_is_done_both_ways(goal: works.Goal) -> None:
    """And the matrix products of the textbook's way are at least as many as ours, but for the special words."""
    torch.manual_seed(0)
    work = goal.work(TINY)
    ours, plain = (operations(count_products(way)) for way in (work.ours, work.textbook))
    assert 0 < ours <= 1.5 * plain


def test_rollouts_of_both_ways_estimate_the_same() -> None:
    """The values of prefixes, the same weights and the same critic on both sides, by 4,000 completions of each."""
    torch.manual_seed(0)
    plain, critic = textbook.LSTM(8, 4, 4), textbook.TextCNN(8, 4, [1, 2], 3)
    for weight in (*plain.parameters(), *critic.parameters()):
        weight.data *= 3
    plain.output.bias.data[: EOS + 1] = -1e9  # the textbook knows no special words, and no end
    generator = LSTMGenerator(Shape(8, 4, 0), LSTMGeneratorOptions(embedding_size=4, hidden_size=4))
    generator.load_state_dict(plain.state_dict(), strict=False)
    words = torch.tensor([[3, 4, 5, 6], [7, 7, 3, 4]]).repeat(100, 1)
    batch = Batch(words, mask_of(words), torch.zeros(200, 0))
    drawn = sampling.Sample(words, batch.mask, torch.zeros(words.shape))
    estimator = Rollout(RolloutOptions(samples=40))
    ours = estimator.returns(generator, batch, drawn, lambda ids, mask: -critic(ids))
    found, expected = (
        values.unflatten(0, (100, 2)).mean(dim=0)
        for values in (ours, textbook.rollout_values(plain, critic, words, 40))
    )
    assert expected[:, :-1].std() > 0.02
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0)  # four standard errors of a mean of 4,000


def test_the_exponent_is_that_of_the_upper_half() -> None:
    growth = Growth(GOALS[0], "length", (1, 2, 4, 8), order=2, seconds=(9.0, 4.0, 16.0, 64.0))
    assert growth.exponent == pytest.approx(2)


def test_bench_measures_in_processes_of_its_own(ganlm: Ganlm, monkeypatch: pytest.MonkeyPatch) -> None:
    goal = replace(GOALS[4], title="a tiny MLP")
    monkeypatch.setattr(works, "GOALS", (goal,))
    monkeypatch.setattr(works, "SHORT", TINY)
    monkeypatch.setattr(measuring, "loop_overhead", lambda steps: 0.0123)
    code, out, err = ganlm("bench", "--rounds", "1", "--json")
    assert (code, err) == (0, "a tiny MLP ...\nthe training loop ...\n")
    (work,) = json.loads(out)["works"]
    hidden = 32 * 256 + 256 * 256 + 256 * 5 * 64
    assert work["limits"]["operations"] == 2 * 3 * (hidden + 5 * 64 * 30)
    assert work["ratio"] == pytest.approx(work["textbook_seconds"] / work["seconds"])
    assert json.loads(out)["loop_overhead"] == 0.0123


@pytest.mark.skipif(sys.platform != "linux", reason="the allocator of Linux")
def test_whoever_picks_a_device_keeps_the_memory_that_it_frees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the C library has the settings of glibc's malloc.h; one without them is left as it is."""
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=lambda *pair: told.append(pair)))
    pick_device("cpu")
    assert dict(told) == {-3: 32 * 2**20, -1: 2**30}
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    assert pick_device("cpu").type == "cpu"
