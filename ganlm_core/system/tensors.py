"""Write tensors to safetensors files, equal tensors as equal bytes, and read them strictly."""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode

from ganlm_core.errors import Unreadable, WeightsError
from ganlm_core.system.files import reading, to_json, write_file
from ganlm_core.system.header import METADATA_KEY, Header, read_header

SPARE = 100
"""Extra parameters that a network may register temporarily while it is built."""

HALVES = ("BF16", "F16")
"""Dtypes of 16 bits, as safetensors calls them, whose values float32 holds exactly."""

_DTYPES: dict[torch.dtype, str] = {
    torch.bool: "BOOL", torch.uint8: "U8", torch.int8: "I8", torch.int16: "I16", torch.int32: "I32", torch.int64: "I64",
    torch.float16: "F16", torch.bfloat16: "BF16", torch.float32: "F32", torch.float64: "F64", torch.complex64: "C64",
}  # fmt: skip


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write a safetensors file. Raises WriteError.

    Each tensor is copied to the CPU as a whole: the format has no strides and no shared memory, so tied weights are
    written under each of their names. Our metadata is under one key, because several keys are written in random order.
    """
    plain = {name: _plain(tensors[name]) for name in sorted(tensors)}
    write_file(path, safetensors.torch.save(plain, {METADATA_KEY: to_json(metadata)}))


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return all tensors of a file on the CPU, as copies in memory. Raises WeightsError."""
    read_header(path)
    try:
        with reading(path):
            return {name: tensor.clone() for name, tensor in sorted(safetensors.torch.load_file(path).items())}
    except safetensors.SafetensorError as error:
        raise Unreadable(f"{path} is no valid safetensors file: {error}") from error


def read_into(path: Path, module: nn.Module) -> None:
    """Load a file into ``module``, as :func:`check_header` allows it. Raises WeightsError."""
    check_header(path, read_header(path), module)
    module.load_state_dict(read_tensors(path))


class TooManyTensors(ValueError):
    """A module registers more parameters than there may be."""


@contextmanager
def without_memory(most: float = math.inf) -> Iterator[None]:
    """Build modules in the block on the meta device: tensors have shapes but no values.

    Raises TooManyTensors while more than about twice ``most`` parameters are built: layers without values need memory
    too, and a hostile bundle may ask for any number of them. Tied weights are registered twice, hence the margin.
    """
    given = itertools.count(1)

    def count(module: nn.Module, name: str, parameter: Any) -> None:
        if next(given) > 2 * most + SPARE:
            raise TooManyTensors(f"it asks for more than the {most} tensors that there are")

    handle = register_module_parameter_registration_hook(count)
    try:
        with torch.device("meta"), _NoNormal():
            yield
    finally:
        handle.remove()


class _NoNormal(TorchFunctionMode):
    """Skip normal initialisation, because on the meta device torch would import its compiler for it (two seconds)."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in (nn.init.normal_, Tensor.normal_):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def check_header(path: Path, header: Header, module: nn.Module) -> None:
    """Raise WeightsError unless the file holds exactly the tensors of ``module``, which may be on the meta device.

    Tensors of 16 bits (HALVES) are accepted for float32, which holds each of their values.
    """
    found = {name: TensorKind(info.dtype, info.shape) for name, info in header.tensors.items()}
    wanted = _kinds(module.state_dict())
    widened = {name: kind._replace(dtype="F32") for name, kind in found.items() if _widens(kind, wanted.get(name))}
    _check(path, found | widened, wanted)


def check_state(path: Path, state: Mapping[str, Tensor], module: nn.Module) -> None:
    """Raise WeightsError unless ``state``, read from the file, has exactly the tensors of ``module``."""
    _check(path, _kinds(state), _kinds(module.state_dict()))


class TensorKind(NamedTuple):
    """The dtype and the shape of a tensor, which must be equal in a file and in a module."""

    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


def _widens(found: TensorKind, wanted: TensorKind | None) -> bool:
    return wanted is not None and wanted.dtype == "F32" and found.dtype in HALVES


def _check(path: Path, found: Mapping[str, TensorKind], wanted: Mapping[str, TensorKind]) -> None:
    both = sorted(wanted.keys() & found.keys())
    faults = {
        "lacks": sorted(wanted.keys() - found.keys()),
        "has the extra tensors": sorted(found.keys() - wanted.keys()),
        "differs in": [_difference(name, found, wanted) for name in both if found[name].shape != wanted[name].shape],
    }
    for fault, names in faults.items():
        if names:
            raise WeightsError(
                f"{path} {fault} {_listed(names)}: it is of another architecture; "
                "use the options and the version it was made with"
            )
    dtypes = [_difference(name, found, wanted) for name in both if found[name] != wanted[name]]
    if dtypes:
        raise WeightsError(f"{path} differs in {_listed(dtypes)}: only the dtypes differ; convert them back")


def _difference(name: str, found: Mapping[str, TensorKind], wanted: Mapping[str, TensorKind]) -> str:
    return f"{name} ({found[name]}, wanted {wanted[name]})"


def _listed(names: Sequence[str]) -> str:
    """Return the first three names, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"


def _kinds(tensors: Mapping[str, Tensor]) -> dict[str, TensorKind]:
    return {name: _kind(tensor) for name, tensor in tensors.items()}


def _kind(tensor: Tensor) -> TensorKind:
    return TensorKind(_DTYPES.get(tensor.dtype, str(tensor.dtype)), tuple(tensor.shape))
