"""Sentences that stay on the disk: the parts of a corpus in memory-mapped files, decoded when they are asked for."""

import hashlib
import mmap
import sys
from bisect import bisect_left
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self, overload

import numpy as np

from ganlm_core.data.corpus import PARTS, part_of

TOGETHER = 1_000
"""Sentences that are decoded at once where all are walked through."""


class Lines(Sequence[str]):
    """The sentences of one of the parts that :func:`write_parts` wrote into a folder, in their order.

    ``in`` compares hashes of 64 bits: among ten million sentences, one in 10^12 strange ones is taken for known.
    """

    def __init__(self, folder: Path, part: str) -> None:
        text, ends, hashes = (_mapped(path) for path in _paths(folder, part))
        self._text, self._ends, self._hashes = text, ends.cast("Q"), hashes.cast("Q")

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, int):
            (text,) = self._between(index := range(len(self))[place], index + 1)
            return text
        start, stop, step = place.indices(len(self))
        return self._between(start, stop) if step == 1 else [self[index] for index in range(start, stop, step)]

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), TOGETHER):
            yield from self._between(start, min(start + TOGETHER, len(self)))

    def __contains__(self, text: object) -> bool:
        if not isinstance(text, str):
            return False
        wanted = int.from_bytes(_hash(_digest(text.encode())), sys.byteorder)
        place = bisect_left(self._hashes, wanted)
        return place < len(self) and self._hashes[place] == wanted

    def _between(self, start: int, stop: int) -> list[str]:
        if start >= stop:
            return []
        begin = self._ends[start - 1] if start else 0
        return str(self._text[begin : self._ends[stop - 1] - 1], "utf-8").split("\n")


def lookup(texts: Sequence[str]) -> Container[str]:
    """The texts in a form that finds one of them at once."""
    return texts if isinstance(texts, Lines) else set(texts)


class Sizes(NamedTuple):
    """How many sentences there are, and how many different ones."""

    total: int
    different: int


def write_parts(folder: Path, texts: Iterable[str]) -> list[Sizes]:
    """Sentences, each of one line, into the files of their parts; the sizes of each part. Raises OSError."""
    with ExitStack() as stack:
        parts = [stack.enter_context(_Part(folder, name)) for name in PARTS]
        for text in texts:
            data = text.encode()
            digest = _digest(data)
            parts[part_of(digest)].add(data, digest)
    return [_sort(part.hashes) for part in parts]


class _Part:
    """The files of a part while they are written: the lines, where each ends, and their hashes."""

    def __init__(self, folder: Path, name: str) -> None:
        self.text, self.ends, self.hashes = _paths(folder, name)
        self._end = 0
        self._files: list[BinaryIO] = []

    def __enter__(self) -> Self:
        self._files = [path.open("wb") for path in (self.text, self.ends, self.hashes)]
        return self

    def __exit__(self, *error: object) -> None:
        for file in self._files:
            file.close()

    def add(self, data: bytes, digest: bytes) -> None:
        self._end += len(data) + 1
        text, ends, hashes = self._files
        text.write(data + b"\n")
        ends.write(self._end.to_bytes(8, sys.byteorder))
        hashes.write(_hash(digest))


def _sort(path: Path) -> Sizes:
    """Sort the hashes in their file, so that their number takes no memory."""
    if path.stat().st_size == 0:
        return Sizes(0, 0)
    hashes = np.memmap(path, dtype=np.uint64, mode="r+")
    hashes.sort()
    return Sizes(len(hashes), 1 + int(np.count_nonzero(hashes[1:] != hashes[:-1])))


def _paths(folder: Path, part: str) -> list[Path]:
    return [folder / f"{part}.{kind}" for kind in ("txt", "ends", "hashes")]


def _mapped(path: Path) -> memoryview:
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _hash(digest: bytes) -> bytes:
    """Eight bytes of a digest that do not say which part it is of."""
    return digest[8:16]
