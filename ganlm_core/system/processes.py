"""Work in several processes that ``torchrun`` starts. In a single process these functions do nothing.

Training is data-parallel: every rank has the same networks and different sentences, and gradients are averaged. Only
rank 0 writes files, and it decides when training ends. The other ranks copy its state whenever it enters the loop, make
the same steps, and ask after each step whether training continues.

In sampling and ``ganlm eval``, all ranks run the same program and only rank 0 prints. Independent pieces of work are
divided among the ranks, and all ranks receive all results (:func:`divided`).
"""

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import islice
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ganlm_core.errors import ProcessLost
from ganlm_core.system.memory import lacks_memory

_PATIENCE = timedelta(days=1)
"""Timeout of the other ranks while rank 0 evaluates. A process that has ended is noticed at once."""

_SAVED_RUN = "ganlm/begun"

BUCKET = 25 * 2**20
"""Bytes of the gradients that are averaged together, as in ``DistributedDataParallel``; a larger one is sent alone."""

Part = TypeVar("Part")
Made = TypeVar("Made")


@contextmanager
def processes() -> Iterator[None]:
    """Join the processes that ``torchrun`` started, if it did."""
    if not (dist.is_available() and dist.is_torchelastic_launched()):
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    # Imports of torch._dynamo, which every optimizer makes, and of sharded optimizers keep the process group that they
    # find. Its threads then outlive destroy_process_group, and one that is still there when Python ends aborts it.
    from torch import _dynamo  # noqa: F401
    from torch.distributed import optim  # noqa: F401

    # After a restart the store still has the addresses of the earlier processes, so each attempt has its own prefix.
    store = dist.PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), _store())
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
        store=store,
        rank=int(os.environ["RANK"]),
        world_size=int(os.environ["WORLD_SIZE"]),
        timeout=_PATIENCE,
    )
    try:
        yield
    finally:
        dist.destroy_process_group()


def _store() -> dist.Store:
    """Return the key-value store of ``torchrun``, which outlives the processes when they are restarted."""
    store, _, _ = next(dist.rendezvous("env://", timeout=_PATIENCE))
    return store


def save_run(run: str) -> None:
    """Keep the folder of a run for :func:`saved_run` of the processes that ``torchrun`` starts after one was lost."""
    if _joined():
        _store().set(_SAVED_RUN, run)


def saved_run() -> str:
    """Return the folder of the run that the processes before a restart kept; empty if there was no restart."""
    store = _store() if _joined() else None
    return store.get(_SAVED_RUN).decode() if store is not None and store.check([_SAVED_RUN]) else ""


def rank() -> int:
    """Return the rank of this process, from 0."""
    return dist.get_rank() if _joined() else 0


def size() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if _joined() else 1


def _joined() -> bool:
    return dist.is_available() and dist.is_initialized()


@contextmanager
def collective() -> Iterator[None]:
    """Raise ProcessLost in the block when another process has ended.

    Every RuntimeError is taken for that, unless it says that there is no memory. From then on SIGTERM is ignored:
    ``torchrun`` sends it to the remaining processes, which must first save and report.
    """
    try:
        yield
    except RuntimeError as error:
        if lacks_memory(error):
            raise
        with suppress(ValueError):  # only the main thread may set handlers
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise ProcessLost(f"process {rank()} of {size()} lost another process, which has ended") from error


def backward(loss: Tensor, parameters: Sequence[nn.Parameter]) -> Tensor:
    """Compute the gradients of the parameters, averaged over all processes, and return the mean loss.

    The gradients are sent in buckets while the backward pass goes on, the last parameters first (Li et al. 2020,
    section 3.2). All processes must have gradients of the same parameters.
    """
    if size() == 1:
        loss.backward(inputs=parameters)
        return loss
    mean = loss.detach().clone()
    buckets = _Buckets(parameters, first=mean)
    hooks = [parameter.register_post_accumulate_grad_hook(buckets.add) for parameter in parameters]
    try:
        loss.backward(inputs=parameters)
    finally:
        for hook in hooks:
            hook.remove()
    buckets.finish()
    return mean


class _Buckets:
    """Gradients that are averaged together, so that few messages are sent. ``first`` is a tensor of the first bucket.

    Each process sends the same buckets in the same order, because gradients may become ready in another order there.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], first: Tensor) -> None:
        self.waiting: list[list[nn.Parameter]] = [[]]
        held = 0
        for parameter in reversed(parameters):
            if held > 0 and held + parameter.nbytes > BUCKET:
                self.waiting.append([])
                held = 0
            self.waiting[-1].append(parameter)
            held += parameter.nbytes
        self.first = [first]
        self.ready: set[nn.Parameter] = set()
        self.sent: list[tuple[list[Tensor], Tensor, dist.Work]] = []

    def add(self, parameter: nn.Parameter) -> None:
        """Note that a gradient is complete, and send the buckets that are now complete."""
        self.ready.add(parameter)
        while self.waiting and self.ready.issuperset(self.waiting[0]):
            self._send()

    def finish(self) -> None:
        """Send the buckets of parameters without a gradient, and wait until all gradients are averaged."""
        while self.waiting:
            self._send()
        for parts, flat, work in self.sent:
            with collective():
                work.wait()
            for part, mean in zip(parts, flat.split([part.numel() for part in parts]), strict=True):
                part.copy_(mean.view_as(part))

    def _send(self) -> None:
        gradients = (parameter.grad for parameter in self.waiting.pop(0))
        parts = [*self.first, *(gradient for gradient in gradients if gradient is not None)]
        self.first = []
        if not parts:
            return
        flat = torch.cat([part.flatten() for part in parts]) / size()
        with collective():
            work = dist.all_reduce(flat, async_op=True)
        assert work is not None
        self.sent.append((parts, flat, work))


def broadcast(state: Any) -> Any:
    """Send ``state``, a tree of tensors and plain values, from rank 0 to all ranks, and return it."""
    if size() == 1:
        return state
    shared = [state]
    with collective():
        dist.broadcast_object_list(shared)
    return shared[0]


def gather(value: Any) -> list[Any]:
    """Return the values of all ranks, in the order of the ranks, in every rank."""
    if size() == 1:
        return [value]
    gathered = [None] * size()
    with collective():
        dist.all_gather_object(gathered, value)
    return gathered


Divide = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""A way to work on parts: ``map`` in this process alone, or :func:`divided` in all processes."""


def divided(work: Callable[[Part], Made], parts: Iterable[Part]) -> Iterator[Made]:
    """Yield ``work(part)`` for each part, in order, in all processes; each process works on every ``size()``-th part.

    All processes must call this with the same parts. There may be infinitely many.
    """
    parts = iter(parts)
    while one_each := list(islice(parts, size())):
        mine = work(one_each[rank()]) if rank() < len(one_each) else None
        yield from gather(mine)[: len(one_each)]
