"""The header of a safetensors file, read and checked without torch and without reading the tensors.

The format: eight bytes with the header's length (little endian), the header as JSON, the tensors' bytes without gaps.
https://huggingface.co/docs/safetensors states it. The reference reader takes headers of up to 100 MB, this one the
size of any other JSON: room for eighty thousand tensors.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ganlm_core.errors import Unreadable
from ganlm_core.system.files import LARGEST_JSON, parse_object, plain_size, reading, shown

MOST_DIMENSIONS = 64
METADATA_KEY = "ganlm"
"""All our metadata is JSON under this one key of a file's ``__metadata__``."""

DTYPE_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
    "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8, "C64": 8,
}  # fmt: skip


@dataclass(frozen=True)
class TensorInfo:
    """Where a tensor lies: ``start`` and ``end`` are byte offsets behind the header."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Header:
    """The tensors of a file in the order of their names, and its metadata: text by text, as the format has it."""

    tensors: dict[str, TensorInfo]
    metadata: dict[str, str]

    @property
    def elements(self) -> int:
        return sum(math.prod(info.shape) for info in self.tensors.values())


def read_header(path: Path) -> Header:
    """The header of the file, checked against the format and the file's size. Raises WeightsError."""
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
    if not isinstance(dtype, str) or dtype not in DTYPE_BYTES:
        _refuse(path, f"tensor {shown(name)} has the unknown dtype {shown(dtype)}")
    if not _sizes(shape) or len(shape) > MOST_DIMENSIONS or not _sizes(offsets) or len(offsets) != 2:
        _refuse(path, f"tensor {shown(name)} has a shape or offsets that are not sizes")
    info = TensorInfo(dtype, tuple(shape), *offsets)
    wanted = math.prod(info.shape) * DTYPE_BYTES[dtype]
    if info.end - info.start != wanted:
        _refuse(path, f"tensor {shown(name)} has {info.end - info.start} bytes, its shape and dtype want {wanted}")
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
