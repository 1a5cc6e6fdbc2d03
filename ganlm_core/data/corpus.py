"""What a corpus is: sentences in three disjoint parts and, where there is one, the exact process they come from."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from ganlm_core.errors import DataError

T = TypeVar("T")

PARTS = ("train", "validation", "test")

SAMPLE = 1_000_000
"""Of a larger part, so many sentences, evenly spaced, stand for all where all of them would be in memory at once."""


class Process(Protocol):
    """A distribution over sentences that can be computed exactly. One that knows its entropy has ``entropy()``."""

    name: str

    def log_prob(self, texts: Sequence[str]) -> list[float]:
        """The log-probability of each sentence in nats; ``-inf`` where the process cannot give it."""

    def sample(self, n: int, seed: int) -> list[str]:
        """``n`` independent sentences."""


@dataclass(frozen=True)
class Corpus:
    """Sentences, tokens separated by spaces where tokens are words. ``notes`` are lines to tell the user.

    ``cache`` is the folder in which what is made of the sentences can be kept, where they are in one themselves.
    """

    name: str
    train: Sequence[str]
    validation: Sequence[str]
    test: Sequence[str]
    process: Process | None = None
    notes: tuple[str, ...] = ()
    cache: Path | None = None


def split(name: str, texts: Iterable[str], process: Process | None = None, notes: tuple[str, ...] = ()) -> Corpus:
    """A corpus whose parts are fixed by the hash of each sentence: 90% train, 5% validate, 5% test.

    Equal sentences fall in the same part, so that the parts are disjoint whatever the order and however many lines
    are added later. Raises DataError when a part would be empty.
    """
    parts: tuple[list[str], list[str], list[str]] = ([], [], [])
    for text in texts:
        parts[part_of(hashlib.sha256(text.encode()).digest())].append(text)
    if not all(parts):
        raise too_few(name, sum(len(set(part)) for part in parts))
    return Corpus(name, *parts, process=process, notes=notes)


def part_of(digest: bytes) -> int:
    """Which of PARTS a sentence with this SHA-256 falls in."""
    return max(0, int.from_bytes(digest[:4], "big") % 20 - 17)


def too_few(name: str, different: int) -> DataError:
    return DataError(
        f"{name} has too few different sentences ({different}) to set some aside for validation and testing;"
        " give at least 100"
    )


def spread(texts: Sequence[T], n: int) -> Sequence[T]:
    """``n`` of the texts or all there are, evenly spaced, because neighbours in a file are often alike."""
    return list(spaced(texts, n)) if len(texts) > n else texts


def spaced(texts: Sequence[T], n: int) -> Iterator[T]:
    """As :func:`spread`, one after the other, so that they need not all be in memory."""
    return (texts[index * len(texts) // n] for index in range(n)) if len(texts) > n else iter(texts)
