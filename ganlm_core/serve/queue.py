"""The queue of a server: work on the models goes through one thread, and requests that wait together share a batch."""

import asyncio
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ganlm_core.errors import GanlmError

WAITING = 64
"""Maximum number of waiting requests; further requests are refused."""

TOGETHER = 256
"""Largest weight of the requests that share a batch."""

Work = Callable[[Sequence[Any]], Sequence[Any]]
"""A batch of requests -> the result of each, in the same order."""


class Busy(GanlmError):
    """The queue is full."""


@dataclass(frozen=True)
class _Job:
    key: Hashable
    request: Any
    weight: int
    work: Work
    result: "asyncio.Future[Any]"


class Queue:
    """Runs jobs in the order in which they came, one batch at a time, in a thread beside the event loop.

    Waiting jobs with the ``key`` of the first are run with it in one call of its ``work``, as long as the sum of their
    weights is at most TOGETHER. A job that is cancelled, as by the time limit of its request, waits no more; a
    job that runs already ends by itself.
    """

    def __init__(self, waiting: int = WAITING) -> None:
        self._waiting = waiting
        self._jobs: list[_Job] = []
        self._runner: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "work")  # its own, so that viewers of runs do not keep the work waiting

    async def submit(self, key: Hashable, request: Any, work: Work, weight: int = 1) -> Any:
        """Return the result of ``request``. Raises Busy, and the errors of ``work``."""
        self._drop_cancelled()
        if len(self._jobs) >= self._waiting:
            raise Busy(f"{self._waiting} requests are waiting already; try again in a moment")
        job = _Job(key, request, weight, work, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        return await job.result

    async def _run(self) -> None:
        while batch := self._next():
            try:
                requests = [job.request for job in batch]
                results = await asyncio.get_running_loop().run_in_executor(self._thread, batch[0].work, requests)
            except Exception as error:
                self._finish(batch, [error] * len(batch), asyncio.Future.set_exception)
            else:
                self._finish(batch, results, asyncio.Future.set_result)

    def _next(self) -> list[_Job]:
        """Take the first job and all jobs that can run with it."""
        self._drop_cancelled()
        batch: list[_Job] = []
        weight = 0
        for job in self._jobs:
            if not batch or (job.key == batch[0].key and weight + job.weight <= TOGETHER):
                batch.append(job)
                weight += job.weight
        self._jobs = [job for job in self._jobs if job not in batch]
        return batch

    def _drop_cancelled(self) -> None:
        self._jobs = [job for job in self._jobs if not job.result.cancelled()]

    @staticmethod
    def _finish(batch: Sequence[_Job], results: Sequence[Any], settle: Callable[..., None]) -> None:
        for job, result in zip(batch, results, strict=True):
            if not job.result.done():
                settle(job.result, result)
