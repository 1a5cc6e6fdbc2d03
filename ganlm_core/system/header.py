"""Read and check the header of a safetensors file, without torch and without reading the tensors.

The format (https://huggingface.co/docs/safetensors): eight bytes with the header's length, little endian, then the
header as JSON, then the bytes of the tensors without gaps. The reference reader accepts headers of up to 100 MB. This
one accepts LARGEST_JSON, as for any other JSON, which is enough for eighty thousand tensors.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ganlm_core.errors import Unreadable, WeightsError
from ganlm_core.system.files import LARGEST_JSON, parse_object, plain_size, reading
from ganlm_core.system.printable import shown

MOST_DIMENSIONS = 64
METADATA_KEY = "ganlm"
"""All our metadata is JSON under this one key of a file's ``__metadata__``."""

DTYPE_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64, "I64": 64,
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "F16": 16, "BF16": 16, "F32": 32, "F64": 64, "C64": 64,
}  # fmt: skip
"""The dtypes of safetensors 0.8."""


@dataclass(frozen=True)
class TensorInfo:
    """The place of a tensor in the file: ``start`` and ``end`` are byte offsets after the header."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Header:
    """The tensors of a file in the order of their names, and its metadata, which maps text to text."""

    tensors: dict[str, TensorInfo]
    metadata: dict[str, str]

    @property
    def elements(self) -> int:
        return sum(math.prod(info.shape) for info in self.tensors.values())


def read_header(path: Path) -> Header:
    """Return the header of the file, checked against the format and the file's size. Raises WeightsError."""
    with reading(path):
        size = plain_size(path)
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if 8 + length > size or length > LARGEST_JSON:
                _refuse(path, f"it has {size} bytes and wants a header of {length}")
            data = file.read(length)
    try:
        entries = parse_object(data.decode(), path)
    except UnicodeDecodeError:
        _refuse(path, "its header is not UTF-8 text")
    metadata = _metadata(path, entries.pop("__metadata__", {}))
    tensors = {name: _tensor(path, name, entries[name]) for name in sorted(entries)}
    _check_layout(path, tensors, size - 8 - length)
    return Header(tensors, metadata)


def _metadata(path: Path, value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        _refuse(path, "its metadata is not a map from text to text")
    return value


def _tensor(path: Path, name: str, entry: Any) -> TensorInfo:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        _refuse(path, f"tensor {shown(name)} wants exactly dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str):
        _refuse(path, f"tensor {shown(name)} has the dtype {shown(dtype)}")
    if dtype not in DTYPE_BITS:
        raise WeightsError(
            f"{path} has tensors of dtype {shown(dtype)}, which this version does not know; "
            "upgrade ganlm, or convert the tensors to F32"
        )
    if not _sizes(shape) or len(shape) > MOST_DIMENSIONS or not _sizes(offsets) or len(offsets) != 2:
        _refuse(path, f"tensor {shown(name)} has a shape or offsets that are not sizes")
    info = TensorInfo(dtype, tuple(shape), *offsets)
    wanted, bits = divmod(math.prod(info.shape) * DTYPE_BITS[dtype], 8)
    size = info.end - info.start
    if size != wanted or bits:
        more = f" and {bits} bits" * bool(bits)
        _refuse(path, f"tensor {shown(name)} has {size} bytes, its shape and dtype want {shown(wanted)}{more}")
    return info


def _sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**63 for item in value)


def _check_layout(path: Path, tensors: dict[str, TensorInfo], size: int) -> None:
    position = 0
    for name, info in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].end)):
        if info.start != position:
            kind = "overlaps the one before" if info.start < position else "leaves a gap before it"
            _refuse(path, f"tensor {shown(name)} {kind}")
        position = info.end
    if position != size:
        fact = "was cut short" if position > size else "has bytes that belong to no tensor"
        _refuse(path, f"it {fact}: its tensors want {position} bytes, it has {size}")


def _refuse(path: Path, fact: str) -> NoReturn:
    raise Unreadable(f"{path} is no valid safetensors file: {fact}")
