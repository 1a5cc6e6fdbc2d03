"""Log-probabilities and their gradients in one pass, against the plain computation."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ganlm_core.protocol import BOS, PAD
from ganlm_core.sampling import drawing, log_probabilities
from ganlm_core.sampling.fused import fuses, log_probability, weighted_log_probability

Layer = tuple[Tensor, Tensor, Tensor]


def make_layer(rows: int = 7, words: int = 9, size: int = 4, dtype: torch.dtype = torch.float64) -> Layer:
    torch.manual_seed(0)
    shapes = (rows, size), (words, size), (words,)
    states, weight, bias = (torch.randn(shape, dtype=dtype).requires_grad_() for shape in shapes)
    return states, weight, bias


def each_plain(layer: Layer, ids: Tensor) -> Tensor:
    logits = F.linear(*layer)
    logits[:, [PAD, BOS]] = -torch.inf
    return logits.log_softmax(dim=-1).gather(1, ids[:, None]).squeeze(1)


def plain(layer: Layer, ids: Tensor, weights: Tensor) -> Tensor:
    return (weights * each_plain(layer, ids)).sum()


@pytest.mark.parametrize("cached", [1, 2**20], ids=["a row at a time", "at once"])
def test_value_and_gradients_are_those_of_the_plain_computation(monkeypatch: pytest.MonkeyPatch, cached: int) -> None:
    monkeypatch.setattr(drawing, "CACHED", cached)
    layer, ids, weights = make_layer(), torch.tensor([2, 3, 8, 8, 5, 4, 2]), torch.randn(7, dtype=torch.float64)
    value, expected = weighted_log_probability(*layer, ids, weights), plain(layer, ids, weights)
    torch.testing.assert_close(value, expected)
    found, exact = (torch.autograd.grad(-3 * each, layer) for each in (value, expected))
    torch.testing.assert_close(found, exact)


@pytest.mark.parametrize("cached", [1, 2**20], ids=["a row at a time", "at once"])
def test_each_log_probability_has_the_plain_value_and_gradient(monkeypatch: pytest.MonkeyPatch, cached: int) -> None:
    monkeypatch.setattr(drawing, "CACHED", cached)
    layer, ids, weights = make_layer(), torch.tensor([2, 3, 8, 8, 5, 4, 2]), torch.randn(7, dtype=torch.float64)
    each = log_probability(*layer, ids)
    torch.testing.assert_close(each[3], plain(layer, ids, F.one_hot(torch.tensor(3), 7)))
    value, expected = (weights * each.exp()).sum(), (weights * each_plain(layer, ids).exp()).sum()
    torch.testing.assert_close(*(torch.autograd.grad(one, layer) for one in (value, expected)))


def test_the_log_probabilities_of_large_logits_do_not_overflow() -> None:
    states, weight, bias = make_layer(dtype=torch.float32)
    found = log_probability(states, weight, bias + 1e4, torch.full((7,), 3))
    torch.testing.assert_close(found, each_plain((states, weight, bias), torch.full((7,), 3)), rtol=1e-2, atol=0.01)
    assert all(each.isfinite().all() for each in torch.autograd.grad(found.sum(), (states, weight, bias)))


def test_the_log_probabilities_of_impossible_words_are_minus_infinity() -> None:
    states, weight, bias = make_layer()
    assert log_probability(states, weight, bias, torch.full((7,), PAD)).eq(-torch.inf).all()
    assert log_probability(states[:0], weight, bias, torch.empty(0, dtype=torch.int64)).shape == (0,)


def test_large_logits_do_not_overflow() -> None:
    states, weight, bias = make_layer(dtype=torch.float32)
    layer, ids, weights = (states, weight, bias + 1e4), torch.full((7,), 3), torch.ones(7)
    value = weighted_log_probability(*layer, ids, weights)
    torch.testing.assert_close(value, plain(layer, ids, weights), rtol=1e-3, atol=0.1)
    assert all(each.isfinite().all() for each in torch.autograd.grad(value, (states, weight, bias)))


def test_impossible_words_have_minus_infinity_and_finite_gradients() -> None:
    states, weight, bias = make_layer()
    bias.data[5] = -torch.inf
    assert weighted_log_probability(states, weight, bias, torch.full((7,), PAD), torch.ones(7)) == -torch.inf
    value = weighted_log_probability(states, weight, bias, torch.full((7,), 4), torch.ones(7).double())
    assert all(each.isfinite().all() for each in torch.autograd.grad(value, (states, weight, bias)))


def test_no_row_at_all_gives_zero() -> None:
    layer = make_layer(rows=0)
    value = weighted_log_probability(*layer, torch.empty(0, dtype=torch.int64), torch.empty(0))
    assert value == 0
    assert not torch.autograd.grad(value, layer[1])[0].any()


def test_a_second_derivative_is_refused() -> None:
    layer = make_layer()
    value = weighted_log_probability(*layer, torch.full((7,), 3), torch.ones(7).double())
    (gradient,) = torch.autograd.grad(value.square(), layer[0], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_autocast_and_other_devices_take_the_plain_way() -> None:
    cpu = torch.device("cpu")
    assert fuses(cpu)
    assert not fuses(torch.device("meta"))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not fuses(cpu)


def test_special_words_have_no_probability() -> None:
    states, weight, bias = make_layer()
    every = [
        weighted_log_probability(states[:1], weight, bias, torch.tensor([word]), torch.ones(1)) for word in range(9)
    ]
    expected = log_probabilities(F.linear(states[:1], weight, bias))[0].double()
    torch.testing.assert_close(torch.stack(every), expected, atol=1e-6, rtol=1e-6)
