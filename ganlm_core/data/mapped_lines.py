"""Sentences that stay on the disk: the splits of a corpus in memory-mapped files, decoded on access."""

import json
import mmap
import sys
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self, overload

from ganlm_core.data.corpus import Columns, digest, split_of
from ganlm_core.data.formats import Record
from ganlm_core.data.hashes import TYPE, hash_of, is_among, number
from ganlm_core.data.options import SPLITS

TOGETHER = 1_000
"""Sentences that are decoded at once in an iteration over all of them."""


class Lines(Sequence[str]):
    """The sentences of one split that :func:`write_splits` wrote into a folder, in their order.

    ``in`` compares 64-bit hashes of identities, as :func:`ganlm_core.data.hashes.is_among`.
    """

    def __init__(self, folder: Path, split: str) -> None:
        text, ends, hashes = (_mapped(path) for path in _paths(folder, split))
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
        return is_among(self._hashes, text)

    def _between(self, start: int, stop: int) -> list[str]:
        if start >= stop:
            return []
        begin = self._ends[start - 1] if start else 0
        return str(self._text[begin : self._ends[stop - 1] - 1], "utf-8").split("\n")


class _Known(Container[str]):
    """The 64-bit hashes of texts, which take less memory than the texts. ``in`` is as for :class:`Lines`."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._numbers = set(map(number, texts))

    def __contains__(self, text: object) -> bool:
        return isinstance(text, str) and number(text) in self._numbers


def lookup(texts: Iterable[str]) -> Container[str]:
    """Return a container whose ``in`` finds copies of the texts quickly, with any white space and Unicode form."""
    return texts if isinstance(texts, Lines) else _Known(texts)


class _Values(Sequence[str]):
    """One of the values that :func:`write_columns` wrote for each row, decoded on access."""

    def __init__(self, rows: Lines, key: str) -> None:
        self._rows, self._key = rows, key

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        found = self._rows[place]
        return self._value(found) if isinstance(found, str) else list(map(self._value, found))

    def __iter__(self) -> Iterator[str]:
        return map(self._value, self._rows)

    def _value(self, row: str) -> str:
        return str(json.loads(row).get(self._key, ""))


LABEL, PROMPT, OTHER = "label", "prompt", "other/"
"""The keys of the values of a row; those of further columns begin with OTHER."""


def write_columns(folder: Path, records: Iterable[Record]) -> list[str]:
    """Write the columns of records into the files of their splits, as one line of JSON each; return their keys."""
    keys: dict[str, None] = {}
    with ExitStack() as stack:
        splits = [stack.enter_context(_Split(folder, f"{name}-columns")) for name in SPLITS]
        for record in records:
            values = {LABEL: record.label, PROMPT: record.prompt}
            values |= {f"{OTHER}{name}": value for name, value in record.others.items()}
            found = {key: value for key, value in values.items() if value}
            keys.update(dict.fromkeys(found))
            place = digest(record.text)
            splits[split_of(place)].add(json.dumps(found).encode(), place)
    return list(keys)


def read_columns(folder: Path, keys: Sequence[str]) -> dict[str, Columns]:
    """Return the columns of each split, of these keys. Nothing is in memory but what is asked for."""
    return {name: _columns(Lines(folder, f"{name}-columns"), keys) for name in SPLITS} if keys else {}


def _columns(rows: Lines, keys: Sequence[str]) -> Columns:
    others = {key.removeprefix(OTHER): _Values(rows, key) for key in keys if key.startswith(OTHER)}
    labels, prompts = (_Values(rows, key) if key in keys else () for key in (LABEL, PROMPT))
    return Columns(labels, prompts, others)


class Sizes(NamedTuple):
    """The number of sentences, and of different ones."""

    total: int
    different: int


def write_splits(folder: Path, texts: Iterable[str]) -> list[Sizes]:
    """Write sentences, each of one line, into the files of their splits; return the sizes of each. Raises OSError."""
    with ExitStack() as stack:
        splits = [stack.enter_context(_Split(folder, name)) for name in SPLITS]
        for text in texts:
            found = digest(text)
            splits[split_of(found)].add(text.encode(), found)
    return [_sort(split.hashes) for split in splits]


class _Split:
    """The files of a split while they are written: the lines, the end of each, and their hashes."""

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
        hashes.write(hash_of(digest))


def _sort(path: Path) -> Sizes:
    """Sort the hashes within their file, without a copy in memory; return the sizes."""
    if path.stat().st_size == 0:
        return Sizes(0, 0)
    import numpy as np  # here, because a metric of a plugin imports this module in every command

    hashes = np.memmap(path, dtype=TYPE, mode="r+")
    hashes.sort()
    return Sizes(len(hashes), 1 + int(np.count_nonzero(hashes[1:] != hashes[:-1])))


def _paths(folder: Path, split: str) -> list[Path]:
    return [folder / f"{split}.{kind}" for kind in ("txt", "ends", "hashes")]


def _mapped(path: Path) -> memoryview:
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
