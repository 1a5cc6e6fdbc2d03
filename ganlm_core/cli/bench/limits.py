"""What a machine can do, and the least that a piece of work costs on it."""

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
"""Seconds of one measurement, at least: what is faster is done several times."""

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
    """The matrix products that a piece of work makes.

    Without oneDNN and cuDNN, whose LSTM is one operation; torch's own is made of products.
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
    """What the products read and write in float32."""
    return sum(
        4 * times * side * (rows * inner + inner * columns + rows * columns)
        for (side, rows, inner, columns), times in products.items()
    )


def seconds(work: Callable[[], object], at_least: float = SHORTEST) -> float:
    """The time of a piece of work by :func:`_clock`: the mean of as many as take ``at_least`` so long, of one at least.

    Twice as many at a time, so that the clock, which waits for CUDA, is seldom asked.
    """
    began, times, taken = _clock(), 0, 0.0
    while times == 0 or taken < at_least:
        for _ in range(max(1, times)):
            work()
        times += max(1, times)
        taken = _clock() - began
    return taken / times


def on_cuda() -> bool:
    """Whether tensors are made on CUDA, unless it is said where: all of a work is then done there."""
    return torch.get_default_device().type == "cuda"


def _clock() -> float:
    """Seconds on the wall; on CUDA when it has done all that it was given."""
    if on_cuda():
        torch.cuda.synchronize()
    return time.perf_counter()


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
    side = 8192 if on_cuda() else 512
    left, right = torch.randn(2, side, side)
    return 2 * side**3 / seconds(lambda: left @ right)


def copy_rate() -> float:
    """Bytes read and written in a second by a copy of a megabyte; on CUDA, whose caches hold more, of a gigabyte."""
    count = 2**28 if on_cuda() else 2**18
    source, target = torch.randn(2, count)
    return 2 * 4 * count / seconds(lambda: target.copy_(source))


@dataclass(frozen=True)
class Limits:
    """What bounds a piece of work: rates of the machine, and the seconds of its products alone and of its floor."""

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
