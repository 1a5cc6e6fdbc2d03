"""Hashes of sentences in a file, to find copies of a text that is not shared itself.

A hash does not give the sentence back, but a user who guesses a sentence can test whether it is there.
"""

from bisect import bisect_left
from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ganlm_core.data.corpus import digest
from ganlm_core.errors import Unreadable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TYPE, SIZE = "<u8", 8
"""A hash in a file: 64 bits of the SHA-256 of the sentence's identity, little-endian."""


def hash_of(digest: bytes) -> bytes:
    """Return the eight bytes of a sentence's digest that do not depend on its split."""
    return digest[8 : 8 + SIZE]


def number(text: str) -> int:
    """Return the hash of a text."""
    return int.from_bytes(hash_of(digest(text)), "little")


def is_among(numbers: "Sequence[int] | NDArray[np.uint64]", text: object) -> bool:
    """Return whether the hash of a text is among sorted ``numbers``.

    A new text is taken for one of ten million with a probability of about 10^-12.
    """
    if not isinstance(text, str):
        return False
    place = bisect_left(numbers, wanted := number(text))
    return place < len(numbers) and bool(numbers[place] == wanted)


def pack(texts: Iterable[str]) -> bytes:
    """Return the content of a file: the hashes of the texts, sorted, each once."""
    import numpy as np

    return np.unique(np.fromiter(map(number, texts), TYPE)).tobytes()


class Hashes(Container[str]):
    """The hashes of a file, mapped into memory. ``in`` is :func:`is_among`.

    Raises Unreadable for a file that :func:`pack` did not make.
    """

    def __init__(self, path: Path) -> None:
        import numpy as np  # here, because a metric of a plugin imports this module in every command

        size = path.stat().st_size
        if size == 0 or size % SIZE:
            raise Unreadable(f"{path} has {size:,} bytes, which are no hashes")
        self._hashes = np.memmap(path, TYPE, mode="r")
        if (self._hashes[1:] <= self._hashes[:-1]).any():
            raise Unreadable(f"{path} has hashes that are not in order")

    def __len__(self) -> int:
        return len(self._hashes)

    def __contains__(self, text: object) -> bool:
        return is_among(self._hashes, text)
