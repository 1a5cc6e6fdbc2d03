"""Both ways in turn, each in a process of its own; what the loop adds; and how costs grow.

On all cores, or as many threads as ``OMP_NUM_THREADS`` says, and by the clock on the wall.
"""

import math
import multiprocessing
import os
import resource
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from ganlm_core.cli.bench import works
from ganlm_core.cli.bench.limits import Limits, limits_of, on_cuda, seconds
from ganlm_core.cli.bench.works import Goal, Sizes
from ganlm_core.config.run_config import make_config
from ganlm_core.system.devices import keep_memory
from ganlm_core.system.threads import BRIEFLY
from ganlm_core.training.setup import prepare

OURS, TEXTBOOK = "ours", "textbook"

LONG = 0.5
"""Seconds for which a work is done in a round, at least."""


@dataclass(frozen=True)
class Measurement:
    """Seconds and bytes of one work, ours and the textbook's, and its limits."""

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
        """How many times the matrix products alone it takes."""
        return self.ours / self.limits.products

    @property
    def share(self) -> float:
        """Of the time that it takes, how much the floor is."""
        return self.limits.floor / self.ours


def measure(goal: Goal, sizes: Sizes, rounds: int, device: str = "cpu") -> Measurement:
    """The work of a goal, by turns ours and the textbook's, ``rounds`` times; the medians."""
    taken: dict[str, list[float]] = {OURS: [], TEXTBOOK: []}
    with _worker(goal, sizes, OURS, device) as ours, _worker(goal, sizes, TEXTBOOK, device) as other:
        memory = ours(_memory), other(_memory)
        limits = ours(_limits)
        for _ in range(rounds):
            taken[OURS].append(ours(_seconds))
            taken[TEXTBOOK].append(other(_seconds))
    medians = {way: statistics.median(times) for way, times in taken.items()}
    return Measurement(goal, medians[OURS], medians[TEXTBOOK], *memory, limits)


@contextmanager
def _worker(
    goal: Goal | None = None, sizes: Sizes | None = None, way: str = OURS, device: str = "cpu"
) -> Iterator[Callable[..., Any]]:
    """A fresh process, as a function that has it call another; :func:`_begin` is called first.

    The textbook's has the memory management and the waiting of threads that a program has by default.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _begin, (goal, sizes, way, device)) as pool:
        with _unset(BRIEFLY if way == TEXTBOOK else ()):
            pool.submit(os.getpid).result()  # the first task starts the process
        yield lambda function, *others: pool.submit(function, *others).result()


@contextmanager
def _unset(names: Iterable[str]) -> Iterator[None]:
    """Without these variables of the environment."""
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


_work: Callable[[], object]


def _begin(goal: Goal | None = None, sizes: Sizes | None = None, way: str = OURS, device: str = "cpu") -> None:
    global _work
    if device != "cpu":  # on the CPU it would slow every operation down for nothing
        torch.set_default_device(device)
    torch.manual_seed(0)
    if way == OURS:
        keep_memory()
    if goal is not None and sizes is not None:
        _work = getattr(goal.work(sizes), way)


def _seconds() -> float:
    return seconds(_work, at_least=LONG)


def _limits() -> Limits:
    return limits_of(_work)


def _memory() -> int:
    """The most bytes that the work needs, on top of what its process holds before."""
    before = peak_memory()
    _work()
    return peak_memory() - before


def peak_memory() -> int:
    """The most bytes that this process has held; on CUDA, that its tensors have."""
    if on_cuda():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def loop_overhead(steps: int) -> float:
    """What the training loop adds to a step of networks, loss and optimiser, as a share of all of it."""
    with _worker() as call:
        return float(call(_loop_overhead, steps))


def _loop_overhead(steps: int) -> float:
    work = works.training_step()
    work.ours(), work.textbook()
    taken = [(seconds(work.ours, at_least=0), seconds(work.textbook, at_least=0)) for _ in range(steps)]
    ours, bare = (statistics.median(each) for each in zip(*taken, strict=True))
    return 1 - bare / ours


def spending(steps: int) -> list[tuple[str, float]]:
    """The operations of a short default run's training, and the share that each has in the time of all of them."""
    with _worker() as call:
        return list(call(_spending, steps))


def _spending(steps: int) -> list[tuple[str, float]]:
    setup = prepare(make_config(steps=steps, device="cpu"))
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        setup.trainer.train(0, lambda step, metrics: None)
    own = {event.key: event.self_cpu_time_total for event in profiler.key_averages() if event.key.startswith("aten::")}
    whole = sum(own.values())
    return [(key.removeprefix("aten::"), own[key] / whole) for key in sorted(own, key=lambda key: -own[key])]


@dataclass(frozen=True)
class Growth:
    """Seconds of a work for several values of one of its sizes.

    ``order`` is the exponent that the algorithm itself has in that size, at most.
    """

    goal: Goal
    size: str
    values: Sequence[int]
    order: float
    seconds: Sequence[float] = ()

    @property
    def exponent(self) -> float:
        """The slope of the line through the upper half of the points, both axes logarithmic."""
        points = list(zip(self.values, self.seconds, strict=True))[len(self.values) // 2 - 1 :]
        logs = [(math.log(value), math.log(taken)) for value, taken in points]
        return statistics.linear_regression(*zip(*logs, strict=True)).slope


def grow(growth: Growth, sizes: Sizes) -> Growth:
    """The same with its seconds, each the least of three, the other sizes being ``sizes``."""
    with _worker() as call:
        taken = [call(_grown, growth.goal, replace(sizes, **{growth.size: value})) for value in growth.values]
    return replace(growth, seconds=taken)


def _grown(goal: Goal, sizes: Sizes) -> float:
    work = goal.work(sizes).ours
    work()
    return min(seconds(work) for _ in range(3))
