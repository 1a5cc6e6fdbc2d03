"""Measure all implementations in turns, each in its own process; the overhead of the loop; the growth of costs.

Times are wall-clock times on all cores, or on ``OMP_NUM_THREADS`` threads.
"""

import math
import multiprocessing
import os
import resource
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from ganlm_core.cli.bench import workloads
from ganlm_core.cli.bench.limits import Limits, limits_of, on_cuda, seconds
from ganlm_core.cli.bench.workloads import Goal, Sizes
from ganlm_core.config.make_config import make_config
from ganlm_core.system.devices import keep_memory
from ganlm_core.system.threads import BRIEFLY
from ganlm_core.training.setup import prepare

OURS, TEXTBOOK, HAND = "ours", "textbook", "hand"

LONG = 0.5
"""Minimum seconds of a workload in a round; it is repeated."""


@dataclass(frozen=True)
class Measurement:
    """Seconds and bytes of one workload in each implementation, and its limits. ``hand`` is None without a loop."""

    goal: Goal
    ours: float
    textbook: float
    ours_memory: int
    textbook_memory: int
    limits: Limits
    hand: float | None = None

    @property
    def ratio(self) -> float:
        return self.textbook / self.ours

    @property
    def hand_ratio(self) -> float | None:
        return None if self.hand is None else self.hand / self.ours

    @property
    def over_products(self) -> float:
        """The time divided by the time of the matrix products alone."""
        return self.ours / self.limits.products

    @property
    def share(self) -> float:
        """The lower bound on the time as a share of the time."""
        return self.limits.floor / self.ours


def measure(goal: Goal, sizes: Sizes, rounds: int, device: str = "cpu") -> Measurement:
    """Measure the implementations of a workload in turns, ``rounds`` times, and return the medians."""
    with ExitStack() as stack:
        workers = {way: stack.enter_context(_worker(goal, sizes, way, device)) for way in (OURS, TEXTBOOK, HAND)}
        if not workers[HAND](_exists):
            del workers[HAND]
        memory = workers[OURS](_memory), workers[TEXTBOOK](_memory)
        limits = workers[OURS](_limits)
        rounds_taken = [{way: call(_seconds) for way, call in workers.items()} for _ in range(rounds)]
    medians = {way: statistics.median(each[way] for each in rounds_taken) for way in workers}
    return Measurement(goal, medians[OURS], medians[TEXTBOOK], *memory, limits, medians.get(HAND))


@contextmanager
def _worker(
    goal: Goal | None = None, sizes: Sizes | None = None, way: str = OURS, device: str = "cpu"
) -> Iterator[Callable[..., Any]]:
    """Start a process and yield a function that calls other functions in it; call :func:`_begin` there first.

    Processes of other implementations have the default memory management and the default waiting of threads.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _begin, (goal, sizes, way, device)) as pool:
        with _unset(() if way == OURS else BRIEFLY):
            pool.submit(os.getpid).result()  # the first task starts the process
        yield lambda function, *others: pool.submit(function, *others).result()


@contextmanager
def _unset(names: Iterable[str]) -> Iterator[None]:
    """Remove these environment variables in the block."""
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


_work: Callable[[], object] | None


def _begin(goal: Goal | None = None, sizes: Sizes | None = None, way: str = OURS, device: str = "cpu") -> None:
    global _work
    if device != "cpu":  # on the CPU it would slow every operation down for nothing
        torch.set_default_device(device)
    torch.manual_seed(0)
    if way == OURS:
        keep_memory()
    if goal is not None and sizes is not None:
        _work = getattr(goal.work(sizes), way)


def _exists() -> bool:
    return _work is not None


def _seconds() -> float:
    assert _work is not None
    return seconds(_work, at_least=LONG)


def _limits() -> Limits:
    assert _work is not None
    return limits_of(_work)


def _memory() -> int:
    """Return the peak memory of the workload in bytes, without the earlier memory of its process."""
    assert _work is not None
    before = peak_memory()
    _work()
    return peak_memory() - before


def peak_memory() -> int:
    """Return the peak memory of this process in bytes; on CUDA, of its tensors."""
    if on_cuda():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def loop_overhead(steps: int) -> float:
    """Return the overhead of the training loop over networks, loss and optimiser, as a share of a step."""
    with _worker() as call:
        return float(call(_loop_overhead, steps))


def _loop_overhead(steps: int) -> float:
    work = workloads.training_step()
    work.ours(), work.textbook()
    taken = [(seconds(work.ours, at_least=0), seconds(work.textbook, at_least=0)) for _ in range(steps)]
    ours, bare = (statistics.median(each) for each in zip(*taken, strict=True))
    return 1 - bare / ours


def spending(steps: int) -> list[tuple[str, float]]:
    """Return the torch operations of a short default training, each with its share of their total time."""
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
    """Seconds of a workload for several values of one of its sizes.

    ``order`` is the largest exponent that the algorithm itself has in that size.
    """

    goal: Goal
    size: str
    values: Sequence[int]
    order: float
    seconds: Sequence[float] = ()

    @property
    def exponent(self) -> float:
        """The slope of the line through the upper half of the points, with both axes logarithmic."""
        points = list(zip(self.values, self.seconds, strict=True))[len(self.values) // 2 - 1 :]
        logs = [(math.log(value), math.log(taken)) for value, taken in points]
        return statistics.linear_regression(*zip(*logs, strict=True)).slope


def grow(growth: Growth, sizes: Sizes) -> Growth:
    """Return ``growth`` with its seconds, each the minimum of three; ``sizes`` has the fixed sizes."""
    with _worker() as call:
        taken = [call(_grown, growth.goal, replace(sizes, **{growth.size: value})) for value in growth.values]
    return replace(growth, seconds=taken)


def _grown(goal: Goal, sizes: Sizes) -> float:
    work = goal.work(sizes).ours
    work()
    return min(seconds(work) for _ in range(3))
