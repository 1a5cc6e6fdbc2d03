"""How fast this machine trains and samples: beside the textbook's way, and beside the least that the work can cost.

Each work is done by two processes in turn, one our way and one the textbook's (:mod:`ganlm_core.textbook`), in
processor time on one thread each: so the ratio of both is the result, whatever else the machine does. The floor counts
the operations of our matrix products, at the rate of a large product, and the bytes that they read and write, at the
rate of a copy; both rates are measured beside the work.
"""

import multiprocessing
import resource
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ganlm_core import sampling, textbook
from ganlm_core.algorithms.adversarial import discriminator_loss, generator_loss
from ganlm_core.config import make_config
from ganlm_core.devices import keep_memory
from ganlm_core.optimizers import build_optimizer
from ganlm_core.plugins import Host
from ganlm_core.protocol import EOS, Batch, Parts, Shape, mask_of

OURS, TEXTBOOK = "ours", "textbook"
SHORTEST = 0.05
"""Processor seconds of one measurement, at least: what is faster is done several times."""


@dataclass(frozen=True)
class Sizes:
    """How much work is measured. ``long`` is the length of the transformer's sequences."""

    vocabulary: int = 5000
    length: int = 20
    batch: int = 64
    rollouts: int = 16
    long: int = 128


SHORT = Sizes(length=10, rollouts=2, long=32)
"""What is measured in seconds instead of minutes."""


@dataclass(frozen=True)
class Work:
    """The same work done our way and the textbook's."""

    ours: Callable[[], object]
    textbook: Callable[[], object]


def _parts(recipe: str, shape: Shape, **settings: Any) -> tuple[Parts, Any]:
    """The parts that a recipe names, and an optimiser for each of the networks."""
    config, host = make_config(recipe=recipe, **settings), Host.discover(no_plugins=True)

    def build(kind: str, **arguments: Any) -> Any:
        choice = getattr(config, kind)
        return host.build(kind, choice.name, choice.options, **arguments)

    networks = {kind: build(kind, shape=shape) for kind in ("generator", "discriminator")}
    others = {kind: build(kind) for kind in ("loss", "penalty", "estimator")}
    optimizers = {
        kind: build_optimizer(config.optimizers[kind], network.parameters()).optimizer
        for kind, network in networks.items()
    }
    return Parts(**networks, **others, steps=1), optimizers


def _batch(shape: Shape, rows: int) -> Batch:
    """Made-up sentences of the full length."""
    tokens = torch.randint(EOS + 1, shape.vocabulary, (rows, shape.length))
    return Batch(tokens, mask_of(tokens), torch.randn(rows, shape.noise))


def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """A step as the loop makes it: the gradient goes into the network that is moved alone."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    optimizer.zero_grad()
    loss.backward(inputs=parameters)
    optimizer.step()


LSTM_SIZES = {"embedding_size": 32, "hidden_size": 32}


def policy_gradient(sizes: Sizes) -> Work:
    """SeqGAN's step of the generator, its rollouts and their scores included."""
    shape = Shape(sizes.vocabulary, sizes.length, noise=0)
    samples = {"samples": sizes.rollouts}
    parts, optimizers = _parts("seqgan", shape, generator_options=LSTM_SIZES, estimator_options=samples)
    batch = _batch(shape, sizes.batch)
    generator = textbook.LSTM(sizes.vocabulary, **LSTM_SIZES)
    critic = textbook.TextCNN(sizes.vocabulary, 32, [2, 3, 4, 5], 64)
    adam = torch.optim.Adam(generator.parameters())
    return Work(
        lambda: _step(optimizers["generator"], generator_loss(parts, batch)),
        lambda: textbook.policy_gradient_step(generator, critic, adam, sizes.batch, sizes.length, sizes.rollouts),
    )


def lstm_sampling(sizes: Sizes) -> Work:
    """Sentences from the LSTM."""
    shape = Shape(sizes.vocabulary, sizes.length, noise=0)
    parts, _ = _parts("seqgan", shape, generator_options=LSTM_SIZES)
    plain, noise = textbook.LSTM(sizes.vocabulary, **LSTM_SIZES), torch.randn(sizes.batch, 0)
    return Work(
        lambda: sampling.sample(parts.generator, noise),
        lambda: textbook.sample(plain, sizes.batch, sizes.length),
    )


def relativistic(sizes: Sizes) -> Work:
    """RelGAN's step of the generator and that of the discriminator."""
    shape = Shape(sizes.vocabulary, sizes.length, noise=32)
    parts, optimizers = _parts("relgan", shape)
    batch = _batch(shape, sizes.batch)

    def iteration() -> None:
        _step(optimizers["generator"], generator_loss(parts, batch))
        _step(optimizers["discriminator"], discriminator_loss(parts, batch))

    generator: Any = parts.generator
    return Work(
        iteration,
        lambda: textbook.relativistic_iteration(
            generator, parts.discriminator, optimizers, batch.tokens, batch.noise
        ),
    )


def transformer_sampling(sizes: Sizes) -> Work:
    """Long sequences from the transformer."""
    shape = Shape(sizes.vocabulary, sizes.long, noise=0)
    parts, _ = _parts("autoregressive", shape, generator="transformer")
    plain, noise = textbook.Transformer(sizes.vocabulary, sizes.long, 128, 4, 2), torch.randn(sizes.batch, 0)
    return Work(
        lambda: sampling.sample(parts.generator, noise),
        lambda: textbook.sample_without_cache(plain, sizes.batch, sizes.long),
    )


def _one_shot(sizes: Sizes, generator: str) -> Work:
    shape = Shape(sizes.vocabulary, sizes.length, noise=32)
    parts, _ = _parts("one-shot", shape, generator=generator)
    noise = torch.randn(sizes.batch, shape.noise)
    return Work(
        lambda: sampling.sample(parts.generator, noise),
        lambda: textbook.sample_at_once(parts.generator, noise),
    )


def mlp_sampling(sizes: Sizes) -> Work:
    """Sentences from the MLP, all positions at once."""
    return _one_shot(sizes, "mlp")


def conv_sampling(sizes: Sizes) -> Work:
    """Sentences from the convolutional generator, all positions at once."""
    return _one_shot(sizes, "conv")


@dataclass(frozen=True)
class Goal:
    """A work by name, how many times faster than the textbook it is to be (0: not set), and how many times slower
    than its matrix products alone it may be (0: not set)."""

    title: str
    work: Callable[[Sizes], Work]
    ratio: float = 0
    products: float = 0


GOALS = (
    Goal("SeqGAN policy-gradient step", policy_gradient, ratio=17),
    Goal("sampling, LSTM", lstm_sampling, ratio=18, products=2),
    Goal("RelGAN iteration", relativistic, ratio=3),
    Goal("sampling, transformer", transformer_sampling, ratio=10),
    Goal("sampling, one-shot mlp", mlp_sampling, products=1.5),
    Goal("sampling, one-shot conv", conv_sampling, products=1.5),
)


Product = tuple[int, int, int, int]
"""How many products of matrices (rows, inner) and (inner, columns) side by side."""


class Products(TorchDispatchMode):
    """Counts the matrix products that are made inside, convolutions as what they amount to."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[Product] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.counts.update(_products(func.overloadpacket.__name__, args, result))
        return result


def _products(name: str, args: Sequence[Any], result: Any) -> Iterator[Product]:
    match name:
        case "mm" | "addmm":
            left, right = args[-2:]
            yield 1, left.shape[0], left.shape[1], right.shape[1]
        case "bmm" | "baddbmm":
            left, right = args[-2:]
            yield left.shape[0], left.shape[1], left.shape[2], right.shape[2]
        case "convolution":
            yield _convolution(result, args[1])
        case "convolution_backward":
            yield from [_convolution(args[0], args[2])] * sum(args[-1][:2])


def _convolution(result: Tensor, weight: Tensor) -> Product:
    return 1, result.shape[0] * result[0, 0].numel(), weight[0].numel(), weight.shape[0]


def count_products(work: Callable[[], object]) -> Counter[Product]:
    """The matrix products that a piece of work makes."""
    with torch.backends.mkldnn.flags(enabled=False), Products() as products:  # type: ignore[no-untyped-call]
        work()  # oneDNN's LSTM is one operation, and torch's own is made of products
    return products.counts


def operations(products: Mapping[Product, int]) -> int:
    return sum(2 * times * side * rows * inner * columns for (side, rows, inner, columns), times in products.items())


def bytes_moved(products: Mapping[Product, int]) -> int:
    """What the products read and write in float32."""
    return sum(
        4 * times * side * (rows * inner + inner * columns + rows * columns)
        for (side, rows, inner, columns), times in products.items()
    )


def seconds(work: Callable[[], object]) -> float:
    """Processor seconds of a piece of work, the mean of as many as SHORTEST takes."""
    began, times = time.process_time(), 0
    while times == 0 or time.process_time() - began < SHORTEST:
        work()
        times += 1
    return (time.process_time() - began) / times


def seconds_alone(products: Mapping[Product, int]) -> float:
    """The time of nothing but the products."""
    total = 0.0
    for (side, rows, inner, columns), times in products.items():
        left, right = torch.randn(side, rows, inner).squeeze(0), torch.randn(side, inner, columns).squeeze(0)
        result = left @ right
        total += times * seconds(lambda: torch.matmul(left, right, out=result))  # noqa: B023
    return total


def matrix_rate() -> float:
    """Operations in a second of a large matrix product."""
    left, right = torch.randn(2, 512, 512)
    return 2 * 512**3 / seconds(lambda: left @ right)


def copy_rate() -> float:
    """Bytes read and written in a second by a copy of a megabyte."""
    source, target = torch.randn(2, 2**18)
    return 2 * 2**20 / seconds(lambda: target.copy_(source))


@dataclass(frozen=True)
class Limits:
    """What a machine can do, and what a work asks of it: seconds of its products alone, and of its floor."""

    matrix_rate: float
    copy_rate: float
    alone: float
    floor: float


class _Worker:
    """A process of its own that does one work one way."""

    def __init__(self, way: str, goal: int, sizes: Sizes) -> None:
        methods = multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
        context.set_forkserver_preload([__name__])
        self.pool = ProcessPoolExecutor(1, context, _begin, (way, goal, sizes))

    def call(self, function: Callable[[], Any]) -> Any:
        return self.pool.submit(function).result()


_work: Callable[[], object]
_before: int


def _begin(way: str, goal: int, sizes: Sizes) -> None:
    global _work, _before
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if way == OURS:
        keep_memory()
    _work = getattr(GOALS[goal].work(sizes), way)
    _before = peak_memory()


def _seconds() -> float:
    return seconds(_work)


def _limits() -> Limits:
    products = count_products(_work)
    matrix, copy = matrix_rate(), copy_rate()
    floor = operations(products) / matrix + bytes_moved(products) / copy
    return Limits(matrix, copy, seconds_alone(products), floor)


def _memory() -> int:
    return peak_memory() - _before


def peak_memory() -> int:
    """The most bytes that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@dataclass(frozen=True)
class Measurement:
    """Processor seconds and bytes of one work, ours and the textbook's, and its limits."""

    goal: Goal
    ours: float
    textbook: float
    ours_memory: int
    textbook_memory: int
    limits: Limits

    @property
    def ratio(self) -> float:
        return self.textbook / self.ours

    @property
    def over_products(self) -> float:
        return self.ours / self.limits.alone

    @property
    def share(self) -> float:
        """Of the floor, in the time it took."""
        return self.limits.floor / self.ours


def measure(goal: int, sizes: Sizes, rounds: int) -> Measurement:
    """The work of a goal, by turns ours and the textbook's, ``rounds`` times; the medians."""
    ours, other = (_Worker(way, goal, sizes) for way in (OURS, TEXTBOOK))
    taken: dict[str, list[float]] = {OURS: [], TEXTBOOK: []}
    with ours.pool, other.pool:
        ours.call(_seconds), other.call(_seconds)
        memory = ours.call(_memory), other.call(_memory)
        limits = ours.call(_limits)
        for _ in range(rounds):
            taken[OURS].append(ours.call(_seconds))
            taken[TEXTBOOK].append(other.call(_seconds))
    medians = (statistics.median(taken[way]) for way in (OURS, TEXTBOOK))
    return Measurement(GOALS[goal], *medians, *memory, limits)
