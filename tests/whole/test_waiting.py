"""No step waits for the device. The meta device of torch finds on the CPU the code that would wait for CUDA.

Tensors on it have shapes and no values, so code that reads a value fails there.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import ganlm_leakgan.networks
import ganlm_lstm.networks
import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ganlm_core.algorithms import catgan
from ganlm_core.config.options import OPTIMIZERS
from ganlm_core.plugins.host import default_host
from ganlm_core.training import building, setup
from ganlm_core.training.setup import Setup, prepare
from tests.conftest import tiny_recipe

STEPS = 3

Waits = Counter[str]


class Crossings(TorchDispatchMode):
    """Counts the operations between devices; ``sent`` are copies without waiting.

    A scalar on the CPU is an argument that needs no copy.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sent, self.waits = 0, Waits()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor)]
        if len({tensor.device for tensor in tensors if tensor.dim() > 0 or tensor.device.type != "cpu"}) > 1:
            if func is torch.ops.aten._to_copy.default and (kwargs or {}).get("non_blocking"):
                self.sent += 1
            else:
                self.waits[str(func)] += 1
        return result


class Constants(TorchFunctionMode):
    """Counts the tensors that are made from values of the program for another device, which are copied there."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = Waits()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in (torch.tensor, torch.as_tensor, Tensor.new_tensor) and result.device.type != "cpu":
            self.waits[func.__name__] += 1
        return result


def waits_of(work: Callable[[], object]) -> tuple[Waits, int]:
    """Return the operations that would wait for a device, and the number of copies to it that would not."""
    with Constants() as constants, Crossings() as crossings:
        work()
    return constants.waits + crossings.waits, crossings.sent


def test_operations_that_wait_are_found() -> None:
    """Each way of waiting is found, so that the tests below mean something."""
    here, there = torch.ones(3), torch.ones(3, device="meta")
    for look in (Tensor.item, bool, Tensor.tolist, Tensor.nonzero, Tensor.unique, Tensor.cpu):
        with pytest.raises((RuntimeError, NotImplementedError)):
            look(there.sum() if look in (Tensor.item, bool) else there)
    with pytest.raises((RuntimeError, NotImplementedError)):
        there[there > 0]
    assert waits_of(lambda: here.to("meta")) == ({"aten._to_copy.default": 1}, 0)
    assert waits_of(lambda: here.to("meta", non_blocking=True)) == ({}, 1)
    assert waits_of(lambda: torch.tensor([1.0], device="meta")) == ({"tensor": 1}, 0)
    assert waits_of(lambda: there[torch.tensor([0, 2])]) == ({"aten.index.Tensor": 1}, 0)
    assert waits_of(lambda: (there + 1) * torch.tensor(2.0)) == ({}, 0)


@pytest.fixture
def meta(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make runs use the meta device. The LSTM runs as with cuDNN there, because there is no autocast to leave."""
    monkeypatch.setattr(setup, "pick_device", torch.device)
    monkeypatch.setattr(building, "pick_device", torch.device)
    monkeypatch.setattr(catgan, "seeded", lambda device, seed: None)  # the meta device has no random numbers
    run = ganlm_lstm.networks._run
    for networks in (ganlm_lstm.networks, ganlm_leakgan.networks):
        monkeypatch.setattr(networks, "recur", lambda lstm, states, start, twice=False: run(lstm, states, start))


def steps_of(built: Setup) -> tuple[Callable[[], None], int]:
    """Return a function that makes all steps of a run, and the number of their phases."""
    phases = sum(len(built.trainer.algorithm.phases(step)) for step in range(STEPS))
    return lambda: built.trainer.train(0, lambda step, metrics: None), phases


@pytest.mark.usefixtures("meta")
@pytest.mark.parametrize("recipe", default_host().recipes())
def test_no_recipe_waits_within_a_step(recipe: str) -> None:
    """Every phase sends the tokens, mask and labels of its batch; nothing else goes between the CPU and the device."""
    built = prepare(tiny_recipe(recipe, "meta"))
    work, phases = steps_of(built)
    assert waits_of(work) == ({}, (3 if built.shape.labels else 2) * phases)


@pytest.mark.usefixtures("meta")
@pytest.mark.parametrize(
    ("recipe", "more"),
    [
        ("mle", {"ema": 0.9}),
        ("seqgan", {"corpus": "oracle", "corpus_options": {"vocabulary": 1500, "length": 4, "size": 400}}),
    ],
    ids=["a moving average", "a large vocabulary"],
)
def test_options_that_no_recipe_has_do_not_wait_either(recipe: str, more: dict[str, Any]) -> None:
    work, phases = steps_of(prepare(tiny_recipe(recipe, "meta", **more)))
    assert waits_of(work) == ({}, 2 * phases)


@pytest.mark.usefixtures("meta")
@pytest.mark.parametrize("optimizer", [name for name in OPTIMIZERS if name != "lbfgs"])
def test_no_optimizer_but_lbfgs_waits(optimizer: str) -> None:
    work, phases = steps_of(prepare(tiny_recipe("mle", "meta", generator_optimizer=optimizer)))
    assert waits_of(work) == ({}, 2 * phases)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here: whether CUDA waits is not seen")
@pytest.mark.parametrize("recipe", default_host().recipes())
def test_cuda_itself_waits_nowhere_within_a_step(recipe: str) -> None:
    built = prepare(tiny_recipe(recipe, "cuda"))
    work, _ = steps_of(built)
    work()  # work that is done once, such as choosing kernels, may wait
    torch.cuda.set_sync_debug_mode("error")
    try:
        work()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    built.trainer.losses.check()
