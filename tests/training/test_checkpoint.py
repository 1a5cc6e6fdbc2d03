"""Checkpoints: a resumed run goes on with the same bytes, and a damaged or foreign state is refused."""

import json
import re

import pytest
import torch
from torch import nn

from ganlm_core.config.options import OPTIMIZERS
from ganlm_core.config.run_config import Choice
from ganlm_core.errors import GanlmError, WeightsError
from ganlm_core.system import files, folders
from ganlm_core.system.sums import write_sums
from ganlm_core.training import checkpoint
from ganlm_core.training.optimizers import build_optimizer


class Pair(nn.Module):
    """Stands for an algorithm: two networks, and a buffer that is neither's."""

    def __init__(self, width=3):
        super().__init__()
        self.writer = nn.Sequential(nn.Linear(2, width), nn.Dropout(0.2), nn.Linear(width, 1))
        self.judge = nn.Linear(2, 1)
        self.register_buffer("baseline", torch.zeros(()))


def train(pair, optimizers, steps):
    """Steps that use the global random state: inputs and dropout."""
    for _ in range(steps):
        for name, network in (("generator", pair.writer), ("discriminator", pair.judge)):
            inputs, optimizer = torch.randn(8, 2), optimizers[name]

            def closure(network=network, inputs=inputs, optimizer=optimizer):
                optimizer.zero_grad()
                loss = (network(inputs) - inputs.sum(dim=1, keepdim=True)).square().mean()
                loss.backward()
                pair.baseline.mul_(0.9).add_(loss.detach())
                return loss

            optimizer.step(closure)


def fresh(name="adam", seed=0):
    torch.manual_seed(seed)
    pair = Pair()
    choice = Choice(name, OPTIMIZERS[name]())
    networks = {"generator": pair.writer, "discriminator": pair.judge}
    return pair, networks, {key: build_optimizer(choice, net.parameters()).optimizer for key, net in networks.items()}


def save(folder, step, pair, networks, optimizers, extra=None):
    return checkpoint.save(
        folder, step, modules={"algorithm": pair}, networks=networks, optimizers=optimizers, extra=extra
    )


def load(folder, pair, optimizers):
    found = checkpoint.latest(folder)
    checkpoint.restore(found, modules={"algorithm": pair}, optimizers=optimizers)
    return found


def state_bytes(pair, optimizers):
    tensors = {}
    trees = [dict(pair.state_dict()), *(optimizer.state_dict() for optimizer in optimizers.values())]
    packed = checkpoint.pack(trees, "all", tensors)
    return json.dumps(packed), {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_resumed_run_has_the_bytes_of_one_that_never_stopped(tmp_path, name):
    pair, networks, optimizers = fresh(name)
    train(pair, optimizers, 3)
    save(tmp_path, 3, pair, networks, optimizers, extra={"drawn": 24})
    train(pair, optimizers, 3)

    other, _, others = fresh(name, seed=1)
    train(other, others, 1)
    loaded = load(tmp_path, other, others)
    assert (loaded.step, loaded.extra, loaded.note) == (3, {"drawn": 24}, "")
    assert state_bytes(other, others) != state_bytes(pair, optimizers)
    train(other, others, 3)
    assert state_bytes(other, others) == state_bytes(pair, optimizers)


def test_the_random_numbers_of_mps_are_kept_too(tmp_path, fake_mps):
    pair, networks, optimizers = fresh()
    fake_mps.state = torch.tensor([4, 5], dtype=torch.uint8)
    save(tmp_path, 3, pair, networks, optimizers)
    fake_mps.state = torch.tensor([6, 7], dtype=torch.uint8)
    load(tmp_path, pair, optimizers)
    assert fake_mps.state.tolist() == [4, 5]


def test_loaded_state_does_not_stand_on_the_file(tmp_path):
    pair, networks, optimizers = fresh()
    train(pair, optimizers, 2)
    path = save(tmp_path, 2, pair, networks, optimizers)
    load(tmp_path, pair, optimizers)
    before = state_bytes(pair, optimizers)
    with (path / "tensors.safetensors").open("r+b") as file:
        file.write(bytes(path.joinpath("tensors.safetensors").stat().st_size))
    assert state_bytes(pair, optimizers) == before


def test_the_same_state_gives_the_same_files(tmp_path):
    pair, networks, optimizers = fresh()
    train(pair, optimizers, 2)
    first, second = (save(tmp_path / name, 2, pair, networks, optimizers) for name in "ab")
    for name in ("tensors.safetensors", "state.json", "SHA256SUMS"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_the_newest_two_are_kept(tmp_path):
    pair, networks, optimizers = fresh()
    for step in (99_999_999, 100_000_000, 100_000_001, 100_000_001):
        save(tmp_path, step, pair, networks, optimizers)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-100000000", "step-100000001"]
    assert checkpoint.latest(tmp_path).step == 100_000_001


def test_a_network_is_found_by_its_own_names(tmp_path):
    pair, networks, optimizers = fresh()
    average = nn.ModuleDict({"module": Pair().writer})
    modules = {"algorithm": pair, "average": average}
    checkpoint.save(
        tmp_path, 1, modules=modules, networks=networks | {"generator": average["module"]}, optimizers=optimizers
    )
    saved = checkpoint.latest(tmp_path)
    assert saved.networks == ("generator", "discriminator")
    assert saved.network("generator").keys() == pair.writer.state_dict().keys()
    assert saved.network("generator")["0.weight"].equal(average["module"][0].weight)
    assert saved.network("discriminator")["bias"].equal(pair.judge.bias)
    with pytest.raises(ValueError, match="a network to share is not part of the modules"):
        save(tmp_path, 2, pair, {"generator": nn.Linear(1, 1)}, optimizers)


class Killed(BaseException):
    """Ends a save as a signal would."""


@pytest.mark.parametrize("moment", ["write_tensors", "write_json", "write_sums"])
def test_a_save_that_is_cut_short_leaves_the_checkpoint_before(tmp_path, monkeypatch, moment):
    pair, networks, optimizers = fresh()
    save(tmp_path, 1, pair, networks, optimizers)

    def kill(*_):
        raise Killed

    monkeypatch.setattr(checkpoint, moment, kill)
    monkeypatch.setattr(folders.shutil, "rmtree", lambda *_, **__: None)
    with pytest.raises(Killed):
        save(tmp_path, 2, pair, networks, optimizers)
    assert checkpoint.latest(tmp_path).step == 1
    monkeypatch.undo()
    save(tmp_path, 2, pair, networks, optimizers)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000001", "step-00000002"]


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["tensors.safetensors", "state.json", "SHA256SUMS"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, name):
    pair, networks, optimizers = fresh()
    for step in (1, 2):
        save(tmp_path, step, pair, networks, optimizers)
    damage(tmp_path / "step-00000002" / name)
    loaded = load(tmp_path, pair, optimizers)
    assert loaded.step == 1
    assert loaded.note.startswith(f"{tmp_path}/step-00000002/")
    assert loaded.note.endswith("; resuming from step-00000001 instead")
    assert "fetch" not in loaded.note
    damage(tmp_path / "step-00000001" / name)
    with pytest.raises(WeightsError, match=r"step-00000002.*; start a new run$"):
        checkpoint.latest(tmp_path)


def rewrite(path, state):
    (path / "state.json").write_text(json.dumps(state))
    (path / "SHA256SUMS").unlink()
    write_sums(path)


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("step", {"tensor": "nowhere"}, "KeyError('nowhere')"),
        ("step", "1", "TypeError('step is of type str, wanted int')"),
        ("step", True, "TypeError('step is of type bool, wanted int')"),
        ("modules", 3, "AttributeError("),
        ("modules", {"dict": [["algorithm", {"dict": [["judge.bias", 1.0]]}]]}, "TypeError('algorithm.judge.bias is"),
        ("networks", {"dict": [["generator", 5]]}, "TypeError('cannot unpack non-iterable int object')"),
        ("networks", {"dict": [["generator", {"list": ["nowhere", ""]}]]}, "KeyError('nowhere')"),
        ("optimizers", {"dict": [["generator", {"list": ["Adam", 1]}]]}, "TypeError('the optimiser of generator is"),
        ("random", {"dict": [["cpu", "abc"]]}, "TypeError('the random state of cpu is"),
        ("extra", {"set": []}, "ValueError(\"unknown kind 'set'\")"),
    ],
)
def test_a_state_of_other_types_is_refused(tmp_path, key, value, problem):
    pair, networks, optimizers = fresh()
    path = save(tmp_path, 1, pair, networks, optimizers)
    rewrite(path, json.loads((path / "state.json").read_text()) | {key: value})
    with pytest.raises(WeightsError) as caught:
        checkpoint.latest(tmp_path)
    assert str(caught.value).startswith(f"{path / 'state.json'} is not the state of a checkpoint ({problem}")
    assert str(caught.value).endswith("; start a new run")


@pytest.mark.parametrize("key", ["step", "modules", "networks", "optimizers", "random", "extra"])
def test_a_state_that_lacks_something_is_refused(tmp_path, key):
    pair, networks, optimizers = fresh()
    path = save(tmp_path, 1, pair, networks, optimizers)
    state = json.loads((path / "state.json").read_text())
    del state[key]
    rewrite(path, state)
    with pytest.raises(WeightsError, match=re.escape(f"is not the state of a checkpoint (KeyError('{key}'))")):
        checkpoint.latest(tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("random", {"dict": []}),
        ("random", {"dict": [["cpu", {"tensor": "modules/algorithm/baseline"}]]}),
        ("optimizers", {"dict": [[name, {"list": ["Adam", {"dict": []}]}] for name in ("generator", "discriminator")]}),
    ],
    ids=["no random state", "a random state of another shape", "empty optimisers"],
)
def test_a_state_that_torch_does_not_take_is_refused(tmp_path, key, value):
    pair, networks, optimizers = fresh()
    path = save(tmp_path, 1, pair, networks, optimizers)
    rewrite(path, json.loads((path / "state.json").read_text()) | {key: value})
    with pytest.raises(WeightsError) as caught:
        load(tmp_path, pair, optimizers)
    assert str(caught.value).startswith(f"{path} cannot be restored (")
    assert str(caught.value).endswith("; start a new run")


def test_no_checkpoint(tmp_path):
    with pytest.raises(WeightsError, match=re.escape(f"{tmp_path} holds no checkpoint; start a new run")):
        checkpoint.latest(tmp_path)


def test_another_configuration_changes_nothing(tmp_path):
    pair, networks, optimizers = fresh("adam")
    save(tmp_path, 1, pair, networks, optimizers)
    other, _, others = fresh("sgd", seed=1)
    before = state_bytes(other, others)
    message = (
        "holds algorithm and Adam for the discriminator, Adam for the generator; this run has algorithm and "
        "SGD for the discriminator, SGD for the generator; resume with the configuration that made it"
    )
    with pytest.raises(WeightsError, match=re.escape(message)):
        load(tmp_path, other, others)
    with pytest.raises(WeightsError, match=r"differs in writer\.0\.bias \(F32 \[3\], wanted F32 \[4\]\)"):
        load(tmp_path, Pair(width=4), optimizers)
    assert state_bytes(other, others) == before


def test_a_tree_comes_back_as_it_was():
    tree = {"a": [1, 2.5, None, True, "x"], 3: (float("inf"), {"b": (torch.arange(3),)}), "empty": {}}
    tensors = {}
    packed = json.loads(json.dumps(checkpoint.pack(tree, "top", tensors)))
    back = checkpoint.unpack(packed, tensors)
    assert back[3][1]["b"][0].tolist() == [0, 1, 2]
    back[3][1]["b"] = tree[3][1]["b"]
    assert back == tree
    assert list(tensors) == ["top/3/1/b/0"]


def test_a_tree_with_anything_else_is_refused():
    with pytest.raises(
        TypeError, match=re.escape("top/x is a set; a checkpoint keeps tensors, plain values and trees")
    ):
        checkpoint.pack({"x": {1}}, "top", {})


def test_full_disk(tmp_path, monkeypatch):
    pair, networks, optimizers = fresh()

    def refuse(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", refuse)
    with pytest.raises(
        GanlmError, match=r"cannot write .*tensors\.safetensors: No space left on device; free some space"
    ):
        save(tmp_path, 1, pair, networks, optimizers)
    assert not list(tmp_path.iterdir())
