"""Hashes of sentences in a file, to find copies of a text that is not shared itself.

A hash does not give the sentence back, but a user who guesses a sentence can test whether it is there.
"""

from collections.abc import Container, Iterable
from pathlib import Path

import numpy as np

from ganlm_core.data.corpus import digest
from ganlm_core.errors import Unreadable

TYPE = np.dtype("<u8")
"""A hash: 64 bits of the SHA-256 of the sentence's identity, little-endian."""


def pack(texts: Iterable[str]) -> bytes:
    """Return the content of a file: the hashes of the texts, sorted, each once."""
    return np.unique(np.fromiter(map(_hash, texts), TYPE)).tobytes()


class Hashes(Container[str]):
    """The hashes of a file, mapped into memory.

    With ten million of them, ``in`` takes a new text for a known one with a probability of about 10^-12. Raises
    Unreadable for a file that :func:`pack` did not make.
    """

    def __init__(self, path: Path) -> None:
        size = path.stat().st_size
        if size == 0 or size % TYPE.itemsize:
            raise Unreadable(f"{path} has {size:,} bytes, which are no hashes")
        self._hashes = np.memmap(path, TYPE, mode="r")
        if (self._hashes[1:] <= self._hashes[:-1]).any():
            raise Unreadable(f"{path} has hashes that are not in order")

    def __len__(self) -> int:
        return len(self._hashes)

    def __contains__(self, text: object) -> bool:
        if not isinstance(text, str):
            return False
        wanted = np.array(_hash(text), TYPE)
        place = int(self._hashes.searchsorted(wanted))
        return place < len(self) and bool(self._hashes[place] == wanted)


def _hash(text: str) -> int:
    return int.from_bytes(digest(text)[8:16], "little")
