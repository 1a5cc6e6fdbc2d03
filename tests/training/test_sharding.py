"""Sharded optimisers: the steps and the state of one process, from parts of the state in each of two."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.optim import ZeroRedundancyOptimizer

from ganlm_core.errors import ProcessLost
from ganlm_core.training.sharding import Sharded

RANK = """
import json, sys
import torch
from torch import _dynamo, nn
from ganlm_core.training.sharding import Sharded

rank, file = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group("gloo", store=torch.distributed.FileStore(file, 2), rank=rank, world_size=2)
torch.manual_seed(0)
networks = [nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)) for _ in "12"]
networks[1].load_state_dict(networks[0].state_dict())
whole = torch.optim.Adam(networks[0].parameters(), lr=0.1)
parts = Sharded(networks[1].parameters(), torch.optim.Adam, lr=0.1)
for network, optimizer in zip(networks, (whole, parts)):
    for rate in (0.1, 0.05):
        optimizer.param_groups[0]["lr"] = rate

        def closure():
            optimizer.zero_grad()
            loss = network(torch.ones(5, 4)).square().mean()
            loss.backward()
            return loss

        optimizer.step(closure)
kept = sorted(name for name, parameter in enumerate(networks[1].parameters()) if parameter in parts.optim.state)
parts.collect()
equal = all(one.equal(other) for one, other in zip(networks[0].parameters(), networks[1].parameters()))
if rank == 0:
    state, wanted = parts.state_dict()["state"], whole.state_dict()["state"]
    equal = equal and all(state[name][key].equal(value) for name in wanted for key, value in wanted[name].items())
print(json.dumps([equal, kept]))
torch.distributed.destroy_process_group()
"""
"""Two steps with a whole Adam and with a part of one. Prints whether both are equal, and whose state is kept here."""


def test_two_processes_keep_half_of_the_state_each_and_make_the_steps_of_one(tmp_path: Path) -> None:
    ranks = [
        subprocess.Popen([sys.executable, "-c", RANK, str(rank), str(tmp_path / "store")], stdout=subprocess.PIPE)
        for rank in range(2)
    ]
    (one, first), (other, second) = (json.loads(rank.communicate()[0]) for rank in ranks)
    assert [rank.returncode for rank in ranks] == [0, 0]
    assert one and other
    assert sorted(first + second) == [0, 1, 2, 3]
    assert first and second


@pytest.fixture
def alone() -> Iterator[None]:
    """A group of this process alone."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def trained(steps: int) -> tuple[nn.Parameter, Sharded]:
    parameter = nn.Parameter(torch.ones(2))
    optimizer = Sharded([parameter], torch.optim.Adam, lr=0.1)
    for _ in range(steps):
        optimizer.step(loss_of(parameter, optimizer))
    return parameter, optimizer


def loss_of(parameter: nn.Parameter, optimizer: Sharded):  # type: ignore[no-untyped-def]
    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = parameter.square().sum()
        loss.backward()
        return loss

    return closure


@pytest.mark.usefixtures("alone")
def test_a_loaded_state_is_given_back_until_the_next_step() -> None:
    """Before that, the other processes have not been told of it, so there is nothing to collect."""
    _, optimizer = trained(2)
    optimizer.collect()
    saved = optimizer.state_dict()
    parameter, other = trained(1)
    other.load_state_dict(saved)
    assert other.state_dict()["state"][0]["step"] == 2
    other.step(loss_of(parameter, other))
    other.collect()
    assert other.state_dict()["state"][0]["step"] == 3


@pytest.mark.usefixtures("alone")
def test_nothing_of_later_steps_is_left_after_going_back() -> None:
    """To before the first step, where an optimiser has no state."""
    _, optimizer = trained(0)
    optimizer.collect()
    first = optimizer.state_dict()
    parameter, optimizer = trained(3)
    optimizer.load_state_dict(first)
    with torch.no_grad():
        parameter.fill_(1)
    optimizer.step(loss_of(parameter, optimizer))
    assert parameter.equal(trained(1)[0])
    optimizer.collect()
    assert optimizer.state_dict()["state"][0]["step"] == 1


@pytest.mark.usefixtures("alone")
def test_the_parts_of_others_are_kept_for_one_checkpoint_alone() -> None:
    parameter, optimizer = trained(1)
    optimizer.collect()
    assert optimizer._all_state_dicts and not optimizer.state
    optimizer.step(loss_of(parameter, optimizer))
    assert not optimizer._all_state_dicts
    optimizer.collect()
    optimizer.load_state_dict(optimizer.state_dict())
    assert not optimizer.state and len(optimizer.optim.state) == 1


@pytest.mark.usefixtures("alone")
def test_a_lost_process_is_told_from_a_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "signal", lambda *handler: None)
    parameter, optimizer = trained(0)
    for message, expected in (("Connection closed by peer", ProcessLost), ("out of memory", RuntimeError)):

        def fail(message: str = message) -> None:
            raise RuntimeError(message)

        monkeypatch.setattr(ZeroRedundancyOptimizer, "_sync_params", lambda self: fail())
        with pytest.raises(expected) as raised:
            optimizer.step(loss_of(parameter, optimizer))
        assert type(raised.value) is expected
