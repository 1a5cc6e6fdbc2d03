"""Devices, their arithmetic and their random states."""

import platform
import subprocess
import sys
from contextlib import nullcontext
from textwrap import dedent

import pytest
import torch

from ganlm_core.errors import OptionError, UsageError
from ganlm_core.system import devices
from ganlm_core.system.devices import (
    arithmetic,
    asynchronous,
    keep_memory,
    pick_device,
    plain_torch,
    random_states,
    require_compiler,
    restore_random_states,
    seeded,
    send,
)
from tests.conftest import FakeMPS

CPU = torch.device("cpu")


def test_present_devices() -> None:
    assert pick_device("cpu") == CPU
    assert pick_device("auto").type in ("cpu", "cuda", "mps")
    assert pick_device(CPU) == CPU


def test_a_device_is_a_name_or_a_device() -> None:
    with pytest.raises(OptionError) as caught:
        pick_device(None)  # type: ignore[arg-type]
    assert str(caught.value) == "device is None; wanted auto, cpu, cuda, cuda:N or mps"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gpu", "there is no device 'gpu'; wanted auto, cpu, cuda, cuda:N or mps"),
        ("cuda", "this machine or this build of torch has no cuda; choose --device auto or cpu"),
        ("cuda:3", "this machine or this build of torch has no cuda; choose --device auto or cpu"),
        ("meta", "this machine or this build of torch has no meta; choose --device auto or cpu"),
    ],
)
def test_missing_devices_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, message: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError) as caught:
        pick_device(name)
    assert str(caught.value) == message


def test_cuda_devices_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device("auto") == torch.device("cuda")
    assert pick_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(UsageError, match=r"^there is no device 'cuda:2'; this machine has 2 CUDA devices$"):
        pick_device("cuda:2")


def test_reduced_precision_is_for_cuda() -> None:
    assert isinstance(arithmetic(CPU, "float32"), nullcontext)
    for precision in ("tf32", "bf16"):
        with pytest.raises(UsageError) as caught:
            arithmetic(CPU, precision)
        assert str(caught.value) == f"--precision {precision} is for CUDA, and this run is on cpu; use float32"


def test_a_seed_affects_only_its_block(fake_mps: FakeMPS) -> None:
    torch.manual_seed(1)
    expected = torch.rand(4)
    torch.manual_seed(1)
    first = torch.rand(2)
    with seeded(7):
        inside = torch.rand(2)
    assert torch.cat([first, torch.rand(2)]).equal(expected)
    torch.manual_seed(7)
    assert inside.equal(torch.rand(2))
    assert fake_mps.state.tolist() == [0, 0, 0] and fake_mps.seeds == [1, 1, 7, 7]


def test_random_states_are_restored_on_the_devices_that_there_are() -> None:
    states = random_states() | {"cuda:99": torch.zeros(1, dtype=torch.uint8), "mps": torch.zeros(1, dtype=torch.uint8)}
    drawn = torch.rand(3)
    restore_random_states(states)
    assert torch.rand(3).equal(drawn)


def test_the_cpu_computes_at_once() -> None:
    tensor = torch.ones(2)
    assert not asynchronous(CPU) and asynchronous(torch.device("cuda")) and asynchronous(torch.device("mps"))
    assert send(tensor, CPU) is tensor


def test_a_missing_compiler_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    message = r"^--compile needs a C\+\+ compiler, and this machine has no 'no-such-compiler'; install it or set CXX$"
    with pytest.raises(UsageError, match=message):
        require_compiler()
    monkeypatch.setenv("CXX", sys.executable)
    require_compiler()


def test_the_c_library_is_told_to_keep_freed_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """M_MMAP_MAX is -4 and M_TRIM_THRESHOLD -1 in malloc.h."""
    told: list[tuple[int, int]] = []

    class Library:
        def __init__(self, name: object) -> None: ...

        def mallopt(self, parameter: int, value: int) -> None:
            told.append((parameter, value))

    monkeypatch.setattr(devices.ctypes, "CDLL", Library)
    monkeypatch.setattr(sys, "platform", "linux")
    keep_memory()
    assert told == [(-4, 0), (-1, 2**30)]
    monkeypatch.setattr(sys, "platform", "darwin")
    keep_memory()
    assert len(told) == 2


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator of glibc")
def test_a_large_tensor_is_allocated_where_one_was_freed() -> None:
    """Memory that the system gives causes a page fault for each 4 KB, 16,384 in all, when it is written.

    The first few tensors leave small pieces between their places, so a later one is counted.
    """
    code = """
        import resource, torch
        from ganlm_core.system.devices import keep_memory
        keep_memory()
        for _ in range(40):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            torch.ones(2**24)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    """
    done = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1000


def test_memory_is_left_alone_where_there_is_no_glibc(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: object) -> None:
        raise OSError("no such library")

    monkeypatch.setattr(devices.ctypes, "CDLL", refuse)
    keep_memory()


def modes() -> tuple[torch.dtype, torch.device, bool]:
    return torch.get_default_dtype(), torch.empty(0).device, torch.is_autocast_enabled("cpu")


def test_plain_torch_forgets_the_modes_of_its_caller_and_restores_them() -> None:
    before = modes()
    assert before == (torch.float32, CPU, False)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"), torch.autocast("cpu", torch.bfloat16):
            with pytest.raises(ZeroDivisionError), plain_torch():
                assert modes() == before
                raise ZeroDivisionError
            assert modes() == (torch.float64, torch.device("meta"), True)
    finally:
        torch.set_default_dtype(torch.float32)
    assert modes() == before


def test_training_computes_gradients_whatever_its_caller_has_set() -> None:
    with torch.inference_mode(), plain_torch():
        assert torch.is_inference_mode_enabled() and not torch.is_grad_enabled()
    with torch.inference_mode(), plain_torch(training=True):
        assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


def test_modes_inside_of_plain_torch_hold() -> None:
    with plain_torch(), torch.autocast("cpu", torch.bfloat16):
        assert torch.is_autocast_enabled("cpu")
