"""The device of the computation, its arithmetic, its random states and its memory."""

import ctypes
import math
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from ganlm_core.errors import UsageError
from ganlm_core.system import arguments


def pick_device(name: str | torch.device) -> torch.device:
    """Return the device; ``auto`` tries CUDA, MPS and the CPU in this order. Raises UsageError for a missing device.

    Raises OptionError for a value that is neither a name nor a device.
    """
    name = arguments.device(name)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"there is no device '{name}'; wanted auto, cpu, cuda, cuda:N or mps") from None
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(device.type, False):
        raise UsageError(f"this machine or this build of torch has no {device.type}; choose --device auto or cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"there is no device '{name}'; this machine has {torch.cuda.device_count()} CUDA devices")
    return device


def machine() -> str:
    """Return processor, instruction set and torch version: the digits of a run depend on them."""
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{platform.machine()} with {capability}, torch {torch.__version__}"


def memory_of(device: torch.device) -> float:
    """Return the total memory of a device in bytes, used or free; infinity if the system does not report it."""
    if device.type == "cuda":
        return float(torch.cuda.get_device_properties(device).total_memory)
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return math.inf


def asynchronous(device: torch.device) -> bool:
    """Return whether the device computes in the background, so that reading a value waits for all earlier work."""
    return device.type != "cpu"


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor from the CPU to the device in the background; CUDA needs pinned memory for that."""
    return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)


def arithmetic(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return the context in which losses are computed: bf16 autocast if asked for, otherwise an empty one.

    ``tf32`` and ``bf16`` also allow TF32 in float32 matrix products. Raises UsageError off CUDA.
    """
    if precision == "float32":
        return nullcontext()
    if device.type != "cuda":
        raise UsageError(f"--precision {precision} is for CUDA, and this run is on {device.type}; use float32")
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    return torch.autocast("cuda", dtype=torch.bfloat16) if precision == "bf16" else nullcontext()


@contextmanager
def plain_torch(training: bool = False) -> Iterator[None]:
    """Compute in the block as torch does by default, whatever its caller has set: float32, the CPU, no autocast.

    ``training``: also compute gradients, without inference mode. Modes that the block enters itself, such as
    :func:`arithmetic`, hold in it.
    """
    with ExitStack() as stack:
        for kind in ("cpu", "cuda", "mps"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":  # the mode of a device slows every call
            stack.enter_context(torch.device("cpu"))
        if training:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
        stack.callback(torch.set_default_dtype, torch.get_default_dtype())
        torch.set_default_dtype(torch.float32)
        yield


def random_states() -> dict[str, Tensor]:
    """Return the states of torch's global random generators on the CPU, on each CUDA device and on MPS."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states |= {f"cuda:{index}": state for index, state in enumerate(torch.cuda.get_rng_state_all())}
    if torch.backends.mps.is_available():
        states["mps"] = torch.mps.get_rng_state()
    return states


def restore_random_states(states: Mapping[str, Tensor]) -> None:
    """Restore the states from :func:`random_states`; ignore devices that this machine does not have."""
    torch.set_rng_state(states["cpu"])
    for index in range(torch.cuda.device_count()):
        if f"cuda:{index}" in states:
            torch.cuda.set_rng_state(states[f"cuda:{index}"], index)
    if "mps" in states and torch.backends.mps.is_available():
        torch.mps.set_rng_state(states["mps"])


@contextmanager
def kept_random_states() -> Iterator[None]:
    """Restore the states of the random generators of all devices after the block."""
    states = random_states()
    try:
        yield
    finally:
        restore_random_states(states)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the random generators of all devices in the block; restore their states afterwards."""
    with kept_random_states():
        torch.manual_seed(seed)
        yield


def cuda_graph(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of tensors to CUDA graphs. Its results are copied, because the next run overwrites them.

    torch.compile guards the constants of a graph and records it again when one changes.
    """
    graphs = torch.compile(function, mode="reduce-overhead")
    return lambda *arguments: tree_map_only(Tensor, torch.clone, graphs(*arguments))


def require_compiler() -> None:
    """Raise UsageError if there is no C++ compiler, which torch.compile needs on CUDA too."""
    compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(compiler) is None:
        raise UsageError(f"--compile needs a C++ compiler, and this machine has no '{compiler}'; install it or set CXX")


_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Parameters of ``mallopt``, from glibc's malloc.h."""


def keep_memory() -> None:
    """Let the process keep freed memory for its next tensors. Runs and commands call this; loading a model does not.

    The C library of Linux returns the memory of large tensors to the system, which clears it page by page when it is
    allocated again. That took two thirds of the time of sampling from a vocabulary of 5,000 words, and a quarter of the
    time of a step on batches of 256 captions. The peak memory may be a third higher, because freed places of different
    sizes do not fit together. On other systems this does nothing.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # a C library without these settings
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(_MMAP_MAX, 0)  # a threshold for mmap would be 32 MB at most
            mallopt(_TRIM_THRESHOLD, 2**30)
