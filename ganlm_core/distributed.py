"""Data-parallel training in several processes, which ``torchrun`` starts: the same networks, other sentences.

The first process leads: it alone evaluates and writes, and it decides when training ends. The others follow: they take
its state over whenever it enters the loop, make the same steps, and ask after each whether it goes on. Gradients are
averaged over all of them. In one process nothing of this happens.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ganlm_core.errors import ProcessLost

_PATIENCE = timedelta(days=1)
"""How long the others wait while the first one evaluates. A process that has ended is noticed at once."""


@contextmanager
def processes() -> Iterator[None]:
    """Join the processes that ``torchrun`` started, if it did. The first, when it has no error, lets the others end."""
    if not (dist.is_available() and dist.is_torchelastic_launched()):
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=_PATIENCE)
    try:
        yield
        if rank() == 0:
            share(None)
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if _joined() else 0


def size() -> int:
    return dist.get_world_size() if _joined() else 1


def _joined() -> bool:
    return dist.is_available() and dist.is_initialized()


@contextmanager
def _together() -> Iterator[None]:
    """Raises ProcessLost when a process has ended that all wait for."""
    try:
        yield
    except RuntimeError as error:
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


def following(step: int, metrics: dict[str, Tensor]) -> None:
    """What the others do after a step. Raises Ended when the first one does not go on."""
    if not share(None):
        raise Ended


def seed_others(seed: int, step: int) -> None:
    """Random numbers of their own for the others, from this step on; those of the first are as if it were alone."""
    if rank() > 0:
        digest = hashlib.sha256(f"{seed}/{step}/{rank()}".encode()).digest()
        torch.manual_seed(int.from_bytes(digest[:4], "big"))
