"""Work in one process, and how it is divided among several. tests/whole/test_distributed.py starts real ones."""

import os
from collections.abc import Iterator

import pytest
import torch

from ganlm_core.errors import ProcessLost
from ganlm_core.system import processes


def test_each_process_works_on_its_parts_and_receives_all_results(monkeypatch: pytest.MonkeyPatch) -> None:
    worked: dict[int, list[int]] = {0: [], 1: []}

    def part(process: int) -> Iterator[int | None]:
        """Yield the results of one process in its rounds."""
        monkeypatch.setattr(processes, "rank", lambda: process)
        monkeypatch.setattr(processes, "gather", lambda value: [value, value])
        yield from processes.divided(lambda number: worked[process].append(number) or number, range(5))

    monkeypatch.setattr(processes, "size", lambda: 2)
    assert list(part(0)) == [0, 0, 2, 2, 4]
    assert list(part(1)) == [1, 1, 3, 3, None]
    assert worked == {0: [0, 2, 4], 1: [1, 3]}


def test_a_single_process_averages_nothing() -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    loss = 3 * parameter.sum()
    with processes.processes():
        assert (processes.rank(), processes.size()) == (0, 1)
        assert processes.backward(loss, [parameter]) is loss
        assert parameter.grad is not None and parameter.grad.tolist() == [3, 3]
        assert processes.broadcast("state") == "state"


class Sent:
    """Stands for a message that the other process answers with the same values."""

    def __init__(self, flat: torch.Tensor) -> None:
        self.flat = flat

    def wait(self) -> None:
        self.flat.mul_(2)


def test_buckets_are_sent_in_one_order_whichever_gradient_is_ready_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last parameters are first, and a parameter without a gradient holds its bucket back to the end."""
    sent: list[list[float]] = []

    def all_reduce(flat: torch.Tensor, async_op: bool) -> Sent:
        assert async_op
        sent.append((2 * flat).tolist())
        return Sent(flat)

    monkeypatch.setattr(processes, "size", lambda: 2)
    monkeypatch.setattr(processes, "BUCKET", 8)
    monkeypatch.setattr(torch.distributed, "all_reduce", all_reduce)
    one, unused, two, three = (torch.nn.Parameter(torch.tensor([value])) for value in (1.0, 5.0, 2.0, 3.0))
    for parameter in (one, two, three):
        parameter.grad = 10 * parameter.detach()
    mean = torch.tensor(6.0)
    buckets = processes._Buckets([one, unused, two, three], first=mean)
    for parameter in (one, two):
        buckets.add(parameter)
    assert sent == []
    buckets.add(three)
    assert sent == [[6, 30, 20]]
    buckets.finish()
    assert sent == [[6, 30, 20], [10]]
    assert [mean.item(), *(each.grad.item() for each in (one, two, three) if each.grad is not None)] == [6, 10, 20, 30]
    assert unused.grad is None


def test_a_lost_process_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import signal

    def refuse(*arguments: object) -> None:
        raise RuntimeError("Connection closed by peer")

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(processes, "size", lambda: 2)
    monkeypatch.setattr(processes.dist, "all_gather_object", refuse)
    try:
        with pytest.raises(ProcessLost, match=r"^process 0 of 2 lost another process, which has ended$"):
            processes.gather(1)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_without_torchrun_nothing_is_kept_between_attempts() -> None:
    processes.save_run("runs/a")
    assert processes.saved_run() == ""
    assert "TORCHELASTIC_RUN_ID" not in os.environ
