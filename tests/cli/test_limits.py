"""Lower bounds of the benchmark: products, operations and times."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ganlm_core.cli.bench import limits
from ganlm_core.cli.bench.limits import bytes_moved, count_products, operations


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


def test_the_clock_waits_for_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked when the work begins and when twice as much of it is done as before."""
    events: list[str] = []
    monkeypatch.setattr(limits, "on_cuda", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: events.append("wait"))
    monkeypatch.setattr("time.perf_counter", iter([0.0, 1.0, 2.0, 6.0]).__next__)
    assert limits.seconds(lambda: events.append("work"), at_least=5) == 1.5
    assert events == ["wait", "work", "wait", "work", "wait", "work", "work", "wait"]
