"""Checkpoints: everything a run needs to go on as if it had never stopped. Tensors and JSON alone.

``checkpoints/step-00001000/`` holds ``tensors.safetensors``, ``state.json`` and ``SHA256SUMS``. The state is one tree
(modules, optimisers, random states, the caller's own values) whose tensors are moved out under the name of their path.
The folder appears by a rename, so a half-written one is never taken for a checkpoint.
"""

import math
import re
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganlm_core.errors import WeightsError
from ganlm_core.system.devices import random_states, restore_random_states
from ganlm_core.system.files import check_sum, new_folder, read_json, read_sums, write_json, write_sums
from ganlm_core.system.tensors import check_state, read_tensors, write_tensors

KEPT = 2
TENSORS, STATE = "tensors.safetensors", "state.json"
_NAME = re.compile(r"step-(\d{8,})")


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint that was read and verified. ``note`` tells the user of a newer one that was damaged."""

    path: Path
    step: int
    state: Mapping[str, Any]
    note: str = ""

    @property
    def extra(self) -> Any:
        """What the caller of :func:`save` gave as ``extra``."""
        return self.state["extra"]

    @property
    def networks(self) -> tuple[str, ...]:
        """The names of the ``networks`` given to :func:`save`."""
        return tuple(self.state["networks"])

    def network(self, name: str) -> dict[str, Tensor]:
        """The state of one of the networks, by the names of its own ``state_dict``."""
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
    """Write ``folder/step-{step}``, then remove all but the newest two and those of the steps to ``protect``.

    Raises GanlmError when the disk refuses.

    ``modules`` are restored by :func:`load` (the algorithm, an average of the generator); ``networks`` are those
    parts of them that a bundle would share. ``extra`` is a tree of dicts, lists, tuples, tensors and plain values.
    The random states of torch, on the CPU and on every other device, are kept too.
    """
    state = {
        "step": step,
        "modules": {name: dict(module.state_dict()) for name, module in modules.items()},
        "networks": {name: _place(network, modules) for name, network in networks.items()},
        "optimizers": {name: [type(each).__name__, each.state_dict()] for name, each in optimizers.items()},
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
    for older in _steps(folder)[:-KEPT]:
        if _step_of(older) not in protect:
            shutil.rmtree(older, ignore_errors=True)
    return path


def remove_after(folder: Path, step: int) -> None:
    """Remove the checkpoints of later steps, the newest first: what is left is at every instant a run's past."""
    for path in reversed(_steps(folder)):
        if _step_of(path) > step:
            shutil.rmtree(path, ignore_errors=True)


def _place(network: nn.Module, modules: Mapping[str, nn.Module]) -> tuple[str, str]:
    """Where a network lies: the name of its module, and the prefix of its tensors there."""
    for name, module in modules.items():
        for prefix, part in module.named_modules():
            if part is network:
                return name, f"{prefix}." if prefix else ""
    raise ValueError("a network to share is no part of the modules that are saved")


def _steps(folder: Path) -> list[Path]:
    """The checkpoints of a folder, oldest first."""
    found = [path for path in folder.glob("step-*") if _NAME.fullmatch(path.name)]
    return sorted(found, key=_step_of)


def _step_of(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def latest(folder: Path) -> Checkpoint:
    """The newest checkpoint that is whole; the one before it when that is damaged. Raises WeightsError without any."""
    damage = ""
    for path in reversed(_steps(folder)):
        try:
            return _read(path, note=damage and f"{damage}; going on from {path.name}")
        except WeightsError as error:
            damage = damage or str(error)
    raise WeightsError(damage or f"{folder} holds no checkpoint; start the run anew")


def _read(path: Path, note: str) -> Checkpoint:
    sums = read_sums(path)
    for name in (TENSORS, STATE):
        check_sum(path, name, sums)
    packed, tensors = read_json(path / STATE), read_tensors(path / TENSORS)
    try:
        state = {key: unpack(value, tensors) for key, value in packed.items()}
        return Checkpoint(path, state["step"], state, note)
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path / STATE} is not a checkpoint's state ({error!r}); remove {path}") from error


def load(
    folder: Path,
    *,
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
    step: int | None = None,
) -> Checkpoint:
    """Restore a checkpoint in place: modules, optimisers, random states. Raises WeightsError.

    That of ``step``, or the newest that is whole.

    Everything is compared before anything is changed.
    """
    checkpoint = latest(folder) if step is None else _read(folder / f"step-{step:08}", note="")
    saved_modules, saved_optimizers = checkpoint.state["modules"], checkpoint.state["optimizers"]
    found = {name: kind for name, (kind, _) in saved_optimizers.items()}
    wanted = {name: type(optimizer).__name__ for name, optimizer in optimizers.items()}
    if found != wanted or saved_modules.keys() != modules.keys():
        raise WeightsError(
            f"{checkpoint.path} holds {_listed(saved_modules, found)}; "
            f"this run has {_listed(modules, wanted)}; resume with the configuration it was made with"
        )
    for name, module in modules.items():
        check_state(checkpoint.path / TENSORS, saved_modules[name], module)
    for name, module in modules.items():
        module.load_state_dict(saved_modules[name])
    for name, optimizer in optimizers.items():
        optimizer.load_state_dict(saved_optimizers[name][1])
    restore_random_states(checkpoint.state["random"])
    return checkpoint


def _listed(modules: Mapping[str, Any], optimizers: Mapping[str, str]) -> str:
    pairs = ", ".join(f"{kind} for the {name}" for name, kind in sorted(optimizers.items()))
    return f"{', '.join(sorted(modules))} and {pairs or 'no optimiser'}"


def pack(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """A tree as JSON, its tensors moved into ``tensors`` under their path. Raises TypeError for anything else."""
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
    """The tree that :func:`pack` was given."""
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
