"""Headers of safetensors files, good and hostile."""

import json
import re
import struct
import subprocess
import sys

import pytest
import safetensors.torch
import torch
from safetensors.torch import save_file

from ganlm_core.errors import WeightsError
from ganlm_core.system.files import LARGEST_JSON
from ganlm_core.system.header import DTYPE_BITS, TensorInfo, read_header


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.safetensors"


def craft(path, header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def test_reads_what_the_library_wrote(path):
    tensors = {
        "scalar": torch.tensor(1.5, dtype=torch.float64),
        "empty": torch.zeros(0, 3),
        "half": torch.ones(2, 3, dtype=torch.bfloat16),
        "flags": torch.tensor([True, False]),
    }
    save_file(tensors, path, {"ganlm": "{}"})
    header = read_header(path)
    assert {name: (info.dtype, info.shape) for name, info in header.tensors.items()} == {
        "scalar": ("F64", ()),
        "empty": ("F32", (0, 3)),
        "half": ("BF16", (2, 3)),
        "flags": ("BOOL", (2,)),
    }
    assert header.tensors["scalar"] == TensorInfo("F64", (), 0, 8)
    assert header.metadata == {"ganlm": "{}"}
    assert header.elements == 1 + 0 + 6 + 2


def test_needs_no_torch(path):
    save_file({"a": torch.ones(2)}, path)
    read = f"from ganlm_core.system.header import *; read_header(Path({str(path)!r}))"
    code = f"import sys; {read}; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_missing_file(path):
    with pytest.raises(WeightsError, match=re.escape(f"{path} is missing; fetch or export it again")):
        read_header(path)


def test_folder(tmp_path):
    with pytest.raises(WeightsError, match="is not a plain file; fetch or export it again"):
        read_header(tmp_path)


@pytest.mark.parametrize(
    ("dtype", "elements"),
    [("F4", 16), ("F8_E8M0", 8), ("F8_E4M3FNUZ", 8), ("BF16", 4), ("C64", 1)],
)
def test_every_dtype_of_the_format_is_named(path, dtype, elements):
    craft(path, {"a": entry(dtype, (elements,))}, b"8 bytes.")
    assert read_header(path).tensors["a"].dtype == dtype


def test_the_library_knows_no_other_dtypes():
    known = {name for name, dtype in safetensors.torch._TYPES.items() if dtype is not None}
    assert known <= DTYPE_BITS.keys()


def test_every_truncation_is_refused(path):
    save_file({"a": torch.ones(2), "b": torch.ones(3)}, path)
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(WeightsError):
            read_header(path)


@pytest.mark.parametrize("length", [99, LARGEST_JSON + 1, 2**63])
def test_header_length_beyond_the_file(path, length):
    craft(path, {"a": entry()}, b"8 bytes.", length=length)
    with pytest.raises(WeightsError, match=f"it has .* bytes and wants a header of {length}; fetch or export it again"):
        read_header(path)


def test_header_beyond_8_megabytes(path):
    with path.open("wb") as file:
        file.write(struct.pack("<Q", LARGEST_JSON + 1))
        file.truncate(LARGEST_JSON + 100)
    with pytest.raises(WeightsError, match="wants a header of 8388609"):
        read_header(path)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"{", "is not valid JSON"),
        (b"[" * 100_000, "is not valid JSON"),
        (b"[]", "holds a JSON list, not an object"),
        (b"\xff{}", "its header is not UTF-8 text"),
        (b'{"a": NaN}', "NaN is no JSON number"),
        (b'{"__metadata__": {}, "a": 1, "a": 1}', "the key 'a' is there twice"),
        ({"a": {"dtype": "F32", "shape": [2]}}, "tensor 'a' wants exactly dtype, shape and data_offsets"),
        ({"a": entry() | {"more": 1}}, "tensor 'a' wants exactly dtype, shape and data_offsets"),
        ({"a": 7}, "tensor 'a' wants exactly dtype, shape and data_offsets"),
        ({"a": entry(dtype="F99")}, "has tensors of dtype 'F99', which this version does not know; upgrade ganlm, or"),
        ({"a": entry(dtype=["F32"])}, "tensor 'a' has the dtype ['F32']"),
        ({"a": entry(shape=(-2,))}, "tensor 'a' has a shape or offsets that are not sizes"),
        ({"a": entry(shape=(True, 2))}, "tensor 'a' has a shape or offsets that are not sizes"),
        ({"a": entry(shape=(2.0,))}, "tensor 'a' has a shape or offsets that are not sizes"),
        ({"a": entry(shape=[2] * 65)}, "tensor 'a' has a shape or offsets that are not sizes"),
        ({"a": entry(offsets=(0, 8, 8))}, "tensor 'a' has a shape or offsets that are not sizes"),
        ({"a": entry(offsets=(8, 0))}, "tensor 'a' has -8 bytes, its shape and dtype want 8"),
        ({"a": entry(shape=(3,))}, "tensor 'a' has 8 bytes, its shape and dtype want 12"),
        ({"a": entry(dtype="F4", shape=(15,))}, "tensor 'a' has 8 bytes, its shape and dtype want 7 and 4 bits"),
        ({"a": entry(dtype="F6_E2M3", shape=(12,))}, "tensor 'a' has 8 bytes, its shape and dtype want 9"),
        (
            {"a": entry(shape=(2**62,) * 64)},
            "tensor 'a' has 8 bytes, its shape and dtype want 122767323016276871...8202108892150759424;",
        ),
        ({"a": entry(), "b": entry(offsets=(4, 12))}, "tensor 'b' overlaps the one before"),
        ({"a": entry(), "b": entry()}, "tensor 'b' overlaps the one before"),
        ({"a": entry(offsets=(4, 12))}, "tensor 'a' leaves a gap before it"),
        ({"a": entry(), "b": entry(offsets=(8, 16))}, "it was cut short: its tensors want 16 bytes, it has 8"),
        ({}, "it has bytes that belong to no tensor: its tensors want 0 bytes, it has 8"),
        ({"__metadata__": {"a": 1}}, "its metadata is not a map from text to text"),
        ({"__metadata__": "text"}, "its metadata is not a map from text to text"),
    ],
)
def test_hostile_headers(path, header, message):
    craft(path, header, b"8 bytes.")
    with pytest.raises(WeightsError, match=re.escape(message)) as caught:
        read_header(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_hostile_name_stays_short_and_escaped(path):
    craft(path, {"\x1b[2J\n" + "x" * 10_000: entry(shape=(9,))}, b"8 bytes.")
    with pytest.raises(WeightsError, match=r"\\x1b\[2J\\n") as caught:
        read_header(path)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 250
