"""Checkpoints: everything that a run needs to continue as if it had never stopped. Only tensors and JSON.

``checkpoints/step-00001000/`` holds ``tensors.safetensors``, ``state.json`` and ``SHA256SUMS``. The state is one tree
(modules, optimisers, random states, the caller's own values); its tensors are stored under the name of their path.
The folder appears by a rename, so a half-written folder is never taken for a checkpoint.
"""

import math
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganlm_core.errors import Unreadable, WeightsError, WriteError
from ganlm_core.system.devices import random_states, restore_random_states
from ganlm_core.system.files import read_json, write_json
from ganlm_core.system.folders import new_folder, remove_folder, restore_all
from ganlm_core.system.sums import check_sum, read_sums, write_sums
from ganlm_core.system.tensors import check_state, read_tensors, write_tensors

KEPT_CHECKPOINTS = 2
TENSORS, STATE = "tensors.safetensors", "state.json"
ANEW = "start a new run"
"""The advice for an unreadable checkpoint, which, unlike a bundle, cannot be fetched again."""

_NAME = re.compile(r"step-(\d{8,})")
_KEYS = ("step", "modules", "networks", "optimizers", "random", "extra")
_WRONG = (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)
"""Errors of torch and Python for a state of wrong types or shapes."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read and verified. ``note`` tells the user about a newer checkpoint that is damaged."""

    path: Path
    step: int
    state: Mapping[str, Any]
    note: str = ""

    @property
    def extra(self) -> Any:
        """The caller's own values, as given to :func:`save`."""
        return self.state["extra"]

    @property
    def networks(self) -> tuple[str, ...]:
        """The names of the ``networks`` given to :func:`save`."""
        return tuple(self.state["networks"])

    def network(self, name: str) -> dict[str, Tensor]:
        """Return the state of one of the networks, by the names of its own ``state_dict``."""
        module, prefix = self.state["networks"][name]
        tensors = self.state["modules"][module]
        return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}


def save(
    folder: Path,
    step: int,
    *,
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
    networks: Mapping[str, nn.Module],
    extra: Any = None,
    protect: Collection[int] = (),
) -> Path:
    """Write ``folder/step-{step}``, then :func:`prune`. Raises GanlmError when the disk refuses.

    ``modules`` are restored by :func:`restore` (the algorithm, an average of the generator); ``networks`` are the
    parts of them that a bundle would share. ``extra`` is a tree of dicts, lists, tuples, tensors and plain values.
    The random states of torch, on the CPU and on every other device, are saved too.
    """
    state = {
        "step": step,
        "modules": {name: dict(module.state_dict()) for name, module in modules.items()},
        "networks": {name: _place(network, modules) for name, network in networks.items()},
        "optimizers": {name: [_class(each), each.state_dict()] for name, each in optimizers.items()},
        "random": random_states(),
        "extra": extra,
    }
    tensors: dict[str, Tensor] = {}
    packed = {key: pack(value, key, tensors) for key, value in state.items()}
    path = folder / f"step-{step:08}"
    with new_folder(path, replace=True) as beside:
        write_tensors(beside / TENSORS, tensors, {"step": step})
        write_json(beside / STATE, packed)
        write_sums(beside)
    prune(folder, protect)
    return path


def prune(folder: Path, protect: Collection[int] = ()) -> None:
    """Remove all checkpoints except the newest two and the steps to ``protect``, if the disk allows it."""
    for older in _steps(folder)[:-KEPT_CHECKPOINTS]:
        if _step_of(older) not in protect:
            with suppress(WriteError):
                remove_folder(older)


def remove_after(folder: Path, step: int) -> None:
    """Remove the checkpoints of later steps, newest first, so that the newest that remains is a state of the run.

    Raises WriteError.
    """
    for path in reversed(_steps(folder)):
        if _step_of(path) > step:
            remove_folder(path)


def _place(network: nn.Module, modules: Mapping[str, nn.Module]) -> tuple[str, str]:
    """Return where a network is: the name of its module, and the prefix of its tensors there."""
    for name, module in modules.items():
        for prefix, part in module.named_modules():
            if part is network:
                return name, f"{prefix}." if prefix else ""
    raise ValueError("a network to share is not part of the modules that are saved")


def _steps(folder: Path) -> list[Path]:
    """Return the checkpoints of a folder, oldest first."""
    restore_all(folder)
    found = [path for path in folder.glob("step-*") if _NAME.fullmatch(path.name)]
    return sorted(found, key=_step_of)


def _step_of(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def latest(folder: Path) -> Checkpoint:
    """Read the newest checkpoint, or the one before if it is damaged. Raises Unreadable if there is none."""
    damage = ""
    for path in reversed(_steps(folder)):
        try:
            found = read(path)
        except Unreadable as error:
            damage = damage or error.fact
        else:
            return replace(found, note=damage and f"{damage}; resuming from {path.name} instead")
    raise Unreadable(damage or f"{folder} holds no checkpoint", ANEW)


def at(folder: Path, step: int) -> Checkpoint:
    """Read the checkpoint of a step. Raises Unreadable."""
    return read(folder / f"step-{step:08}")


def read(path: Path) -> Checkpoint:
    """Read and verify a checkpoint. Raises Unreadable."""
    try:
        sums = read_sums(path)
        for name in (TENSORS, STATE):
            check_sum(path, name, sums)
        packed, tensors = read_json(path / STATE), read_tensors(path / TENSORS)
    except WeightsError as error:
        raise Unreadable(error.fact if isinstance(error, Unreadable) else str(error), ANEW) from error
    try:
        state = {key: unpack(packed[key], tensors) for key in _KEYS}
        _check_types(state)
    except _WRONG as error:
        raise not_a_state(path, error) from error
    return Checkpoint(path, state["step"], state)


def not_a_state(path: Path, error: Exception) -> Unreadable:
    """Return the error for a checkpoint whose state has other types than it should have."""
    return Unreadable(f"{path / STATE} is not the state of a checkpoint ({error!r})", ANEW)


def _check_types(state: Mapping[str, Any]) -> None:
    """Raise TypeError or KeyError unless a state has the types that :func:`save` writes."""
    _check("step", state["step"], int)
    for name, tensors in state["modules"].items():
        for key, tensor in tensors.items():
            _check(f"{name}.{key}", tensor, Tensor)
    for name, (module, prefix) in state["networks"].items():
        _check(f"the prefix of {name}", prefix, str)
        _check(f"the module of {name}", state["modules"][module], dict)
    for name, (kind, values) in state["optimizers"].items():
        _check(f"the class of the optimiser of {name}", kind, str)
        _check(f"the optimiser of {name}", values, dict)
    for name, values in state["random"].items():
        _check(f"the random state of {name}", values, Tensor)


def _check(name: str, value: object, kind: type) -> None:
    if type(value) is not kind:
        raise TypeError(f"{name} is of type {type(value).__name__}, wanted {kind.__name__}")


def restore(
    checkpoint: Checkpoint, *, modules: Mapping[str, nn.Module], optimizers: Mapping[str, torch.optim.Optimizer]
) -> None:
    """Restore modules, optimisers and random states in place. Raises WeightsError.

    Names, kinds and shapes are compared before anything is changed.
    """
    saved_modules, saved_optimizers = checkpoint.state["modules"], checkpoint.state["optimizers"]
    found = {name: kind for name, (kind, _) in saved_optimizers.items()}
    wanted = {name: _class(optimizer) for name, optimizer in optimizers.items()}
    if found != wanted or saved_modules.keys() != modules.keys():
        raise WeightsError(
            f"{checkpoint.path} holds {_listed(saved_modules, found)}; "
            f"this run has {_listed(modules, wanted)}; resume with the configuration that made it"
        )
    for name, module in modules.items():
        check_state(checkpoint.path / TENSORS, saved_modules[name], module)
    try:
        for name, module in modules.items():
            module.load_state_dict(saved_modules[name])
        for name, optimizer in optimizers.items():
            optimizer.load_state_dict(saved_optimizers[name][1])
        restore_random_states(checkpoint.state["random"])
    except _WRONG as error:
        raise WeightsError(f"{checkpoint.path} cannot be restored ({error!r}); start a new run") from error


def _class(optimizer: torch.optim.Optimizer) -> str:
    """Return the name of an optimiser's class; if its state is divided among processes, of the optimiser in it."""
    return type(getattr(optimizer, "optim", optimizer)).__name__


def _listed(modules: Mapping[str, Any], optimizers: Mapping[str, str]) -> str:
    pairs = ", ".join(f"{kind} for the {name}" for name, kind in sorted(optimizers.items()))
    return f"{', '.join(sorted(modules))} and {pairs or 'no optimiser'}"


def pack(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """Return a tree as JSON and move its tensors into ``tensors``, by their path. Raises TypeError for other values."""
    if isinstance(value, Tensor):
        if name in tensors:
            raise ValueError(f"two tensors have the path {name!r}")
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"dict": [[key, pack(item, f"{name}/{key}", tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [pack(item, f"{name}/{index}", tensors) for index, item in enumerate(value)]}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{name} is a {type(value).__name__}; a checkpoint keeps tensors, plain values and trees of them")


def unpack(packed: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Return the tree that :func:`pack` was given. Raises KeyError, TypeError or ValueError for another form."""
    if not isinstance(packed, dict):
        return packed
    ((kind, value),) = packed.items()
    match kind:
        case "tensor":
            return tensors[value]
        case "dict":
            return {key: unpack(item, tensors) for key, item in value}
        case "list":
            return [unpack(item, tensors) for item in value]
        case "tuple":
            return tuple(unpack(item, tensors) for item in value)
        case "float":
            return float(value)
    raise ValueError(f"unknown kind {kind!r}")
