"""The rates of a machine, and a lower bound on the time of a workload."""

import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

SHORTEST = 0.05
"""Least seconds of one measurement; faster work is repeated."""

Product = tuple[int, int, int, int]
"""Batch size, rows, inner and columns of a product of matrices (rows, inner) and (inner, columns)."""


class Products(TorchDispatchMode):
    """Counts the matrix products made inside; a convolution counts as the equivalent product."""

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
    """Count the matrix products of a workload.

    It runs without oneDNN and cuDNN, whose LSTM is a single operation; torch's own LSTM is made of products.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what oneDNN does on other machines
        plain = torch.backends.mkldnn.flags(enabled=False), torch.backends.cudnn.flags(enabled=False)
        with plain[0], plain[1], Products() as products:
            work()
    return products.counts


def operations(products: Mapping[Product, int]) -> int:
    return sum(2 * times * side * rows * inner * columns for (side, rows, inner, columns), times in products.items())


def bytes_moved(products: Mapping[Product, int]) -> int:
    """Return the bytes that the products read and write in float32."""
    return sum(
        4 * times * side * (rows * inner + inner * columns + rows * columns)
        for (side, rows, inner, columns), times in products.items()
    )


def seconds(work: Callable[[], object], at_least: float = SHORTEST) -> float:
    """Return the mean time of a workload, repeated for ``at_least`` seconds and at least once.

    The number of repetitions doubles between readings of the clock, which waits for CUDA.
    """
    began, times, taken = _clock(), 0, 0.0
    while times == 0 or taken < at_least:
        for _ in range(max(1, times)):
            work()
        times += max(1, times)
        taken = _clock() - began
    return taken / times


def on_cuda() -> bool:
    """Return whether CUDA is the default device, on which the whole workload then runs."""
    return torch.get_default_device().type == "cuda"


def _clock() -> float:
    """Return wall-clock seconds; on CUDA, wait for it first."""
    if on_cuda():
        torch.cuda.synchronize()
    return time.perf_counter()


def seconds_alone(products: Mapping[Product, int]) -> float:
    """Return the time of the products alone."""
    total = 0.0
    for (side, rows, inner, columns), times in products.items():
        left, right = torch.randn(side, rows, inner).squeeze(0), torch.randn(side, inner, columns).squeeze(0)
        result = left @ right
        total += times * seconds(lambda: torch.matmul(left, right, out=result))  # noqa: B023
    return total


def matrix_rate() -> float:
    """Return the operations per second of a large matrix product."""
    side = 8192 if on_cuda() else 512
    left, right = torch.randn(2, side, side)
    return 2 * side**3 / seconds(lambda: left @ right)


def copy_rate() -> float:
    """Return the bytes per second that a copy of 1 MB reads and writes; on CUDA, whose caches are larger, of 1 GB."""
    count = 2**28 if on_cuda() else 2**18
    source, target = torch.randn(2, count)
    return 2 * 4 * count / seconds(lambda: target.copy_(source))


@dataclass(frozen=True)
class Limits:
    """Rates of the machine, and the workload's operations, bytes and seconds of its products alone.

    ``floor`` is the lower bound on its seconds.
    """

    matrix_rate: float
    copy_rate: float
    operations: int
    bytes: int
    products: float

    @property
    def floor(self) -> float:
        return self.operations / self.matrix_rate + self.bytes / self.copy_rate


def limits_of(work: Callable[[], object]) -> Limits:
    products = count_products(work)
    return Limits(matrix_rate(), copy_rate(), operations(products), bytes_moved(products), seconds_alone(products))
