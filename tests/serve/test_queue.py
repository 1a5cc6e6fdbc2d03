"""The queue of the server: order, batches, limits, and requests that are cancelled."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ganlm_core.serve.queue import TOGETHER, Busy, Queue


class Recorder:
    """Doubles numbers, remembers the batches, and waits in the first one until it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = threading.Event()

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        assert self.go.wait(10)
        return [2 * number for number in numbers]


def test_requests_that_wait_together_share_a_batch_and_others_keep_their_order() -> None:
    work = Recorder()

    async def run() -> list[int]:
        queue = Queue()
        first = asyncio.create_task(queue.submit("a", 0, work))
        await _until(lambda: work.batches)
        rest = [asyncio.create_task(queue.submit(key, n, work)) for key, n in (("a", 1), ("b", 2), ("a", 3))]
        await asyncio.sleep(0)
        work.go.set()
        return list(await asyncio.gather(first, *rest))

    assert asyncio.run(run()) == [0, 2, 4, 6]
    assert work.batches == [[0], [1, 3], [2]]


def test_a_batch_has_a_largest_weight() -> None:
    work = Recorder()
    work.go.set()

    async def run() -> None:
        queue = Queue()
        await asyncio.gather(*(queue.submit("a", n, work, TOGETHER // 2) for n in range(3)))

    asyncio.run(run())
    assert [len(batch) for batch in work.batches] == [2, 1]


def test_one_request_too_many_is_refused() -> None:
    work = Recorder()

    async def run() -> str:
        queue = Queue(waiting=1)
        first = asyncio.create_task(queue.submit("a", 0, work))
        await _until(lambda: work.batches)
        second = asyncio.create_task(queue.submit("b", 1, work))
        await asyncio.sleep(0)
        with pytest.raises(Busy) as caught:
            await queue.submit("c", 2, work)
        work.go.set()
        await asyncio.gather(first, second)
        return str(caught.value)

    assert asyncio.run(run()) == "1 requests are waiting already; try again in a moment"


def test_a_request_that_is_cancelled_does_not_wait_and_is_not_worked_on() -> None:
    work = Recorder()

    async def run() -> None:
        queue = Queue(waiting=1)
        first = asyncio.create_task(queue.submit("a", 0, work))
        await _until(lambda: work.batches)
        gone = asyncio.create_task(queue.submit("a", 1, work))
        await asyncio.sleep(0)
        gone.cancel()
        last = asyncio.create_task(queue.submit("a", 2, work))
        await asyncio.sleep(0)
        work.go.set()
        assert await asyncio.gather(first, last) == [0, 4]

    asyncio.run(run())
    assert work.batches == [[0], [2]]


def test_an_error_reaches_every_request_of_its_batch_and_no_other() -> None:
    def work(numbers: Sequence[int]) -> list[int]:
        if 0 in numbers:
            raise ValueError("no zero")
        return list(numbers)

    async def run() -> list[Any]:
        queue = Queue()
        requests = [queue.submit(key, n, work) for key, n in (("a", 0), ("a", 1), ("b", 2))]
        return list(await asyncio.gather(*requests, return_exceptions=True))

    zero, one, two = asyncio.run(run())
    assert str(zero) == str(one) == "no zero" and two == 2


def test_other_work_of_the_process_does_not_keep_the_queue_waiting() -> None:
    """As that of many viewers of runs, which fills the threads of asyncio."""
    go = threading.Event()

    async def run() -> list[int]:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        busy = asyncio.create_task(asyncio.to_thread(go.wait, 10))
        await asyncio.sleep(0)
        try:
            return [await asyncio.wait_for(Queue().submit("a", 1, list), 5)]
        finally:
            go.set()
            await busy

    assert asyncio.run(run()) == [1]


async def _until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0.001)
