"""Several processes, which ``torchrun`` starts, at one work. In one process nothing of this happens.

Training is data-parallel: the same networks, other sentences. The first process leads: it alone writes, and it decides
when training ends. The others follow: they take its state over whenever it enters the loop, make the same steps, and
ask after each whether it goes on. Gradients are averaged over all of them.

Sampling and ``ganlm eval`` have no leader but for their output: all processes do the same, and where they come to parts
that do not depend on each other, each does some and all get everything (:func:`divided`).
"""

import hashlib
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ganlm_core.errors import ProcessLost

_PATIENCE = timedelta(days=1)
"""How long the others wait while the first one evaluates. A process that has ended is noticed at once."""

_BEGUN = "ganlm/begun"

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
    # After a restart the store still has the addresses of the processes before, so each attempt has names of its own.
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
    """What ``torchrun`` keeps for its processes; it outlives them when they are started again."""
    store, _, _ = next(dist.rendezvous("env://", timeout=_PATIENCE))
    return store


def remember(begun: str) -> None:
    """Let :func:`begun` know in the processes that ``torchrun`` starts in place of these, should one be lost."""
    if _joined():
        _store().set(_BEGUN, begun)


def begun() -> str:
    """What the processes before these remembered; nothing if these are the first."""
    store = _store() if _joined() else None
    return store.get(_BEGUN).decode() if store is not None and store.check([_BEGUN]) else ""


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if _joined() else 0


def size() -> int:
    return dist.get_world_size() if _joined() else 1


def _joined() -> bool:
    return dist.is_available() and dist.is_initialized()


@contextmanager
def _together() -> Iterator[None]:
    """Raises ProcessLost when a process has ended that all wait for.

    From then on SIGTERM waits too: ``torchrun`` sends it to those that are left, which have something to save and to
    say before they end.
    """
    try:
        yield
    except RuntimeError as error:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        raise ProcessLost(f"process {rank()} of {size()} waits for another one, which has ended") from error


def average(loss: Tensor, parameters: Sequence[nn.Parameter]) -> Tensor:
    """The mean over all processes: of the gradients, in their place, and of the loss, which is returned."""
    if size() == 1:
        return loss
    parts = [*(parameter.grad for parameter in parameters if parameter.grad is not None), loss.detach().clone()]
    flat = torch.cat([part.flatten() for part in parts]) / size()
    with _together():
        dist.all_reduce(flat)
    for part, mean in zip(parts, flat.split([part.numel() for part in parts]), strict=True):
        part.copy_(mean.view_as(part))
    return parts[-1]


def share(state: Any) -> Any:
    """What the first process gives, in all of them: a tree of tensors and plain values."""
    if size() == 1:
        return state
    shared = [state]
    with _together():
        dist.broadcast_object_list(shared)
    return shared[0]


def gather(value: Any) -> list[Any]:
    """What each process gives, in the order of their numbers, in all of them."""
    if size() == 1:
        return [value]
    gathered = [None] * size()
    with _together():
        dist.all_gather_object(gathered, value)
    return gathered


Divide = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""How work on parts is done: ``map`` by this process alone, :func:`divided` by all processes."""


def divided(work: Callable[[Part], Made], parts: Iterable[Part]) -> Iterator[Made]:
    """What ``work`` makes of each part, in their order, in all processes, of which each works on every ``size()``-th.

    All of them must come here with the same parts. These may be without end.
    """
    parts = iter(parts)
    while together := list(islice(parts, size())):
        mine = work(together[rank()]) if rank() < len(together) else None
        yield from gather(mine)[: len(together)]


Told = Callable[[int, dict[str, Tensor]], None]
"""What the loop calls after each step."""


class Ended(Exception):
    """Raised in the others after the step that was the first one's last."""


def leading(after_step: Told) -> Told:
    """The same in the first process, which tells the others whether it goes on."""

    def lead(step: int, metrics: dict[str, Tensor]) -> None:
        try:
            after_step(step, metrics)
        except BaseException:
            share(False)
            raise
        share(True)

    return after_step if size() == 1 else lead


def following(answer: Callable[[Any], None]) -> Told:
    """What the others do after a step: ``answer`` whatever the first one asks before it says whether it goes on.

    Raises Ended when it does not.
    """

    def follow(step: int, metrics: dict[str, Tensor]) -> None:
        while not isinstance(told := share(None), bool):
            answer(told)
        if not told:
            raise Ended

    return follow


def seed_others(seed: int, step: int) -> None:
    """Random numbers of their own for the others, from this step on; those of the first are as if it were alone."""
    if rank() > 0:
        digest = hashlib.sha256(f"{seed}/{step}/{rank()}".encode()).digest()
        torch.manual_seed(int.from_bytes(digest[:4], "big"))
