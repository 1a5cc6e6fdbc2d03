"""A corpus: sentences in three disjoint splits and, for a synthetic corpus, the exact process that they come from."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from ganlm_core.data.text import identity
from ganlm_core.errors import DataError

T = TypeVar("T")

SPLITS = ("train", "validation", "test")

SAMPLE = 1_000_000
"""Larger splits are subsampled evenly to this size where all sentences would be in memory at once."""

TOGETHER = 10_000
"""Sentences that are hashed at once."""


class Process(Protocol):
    """A distribution over sentences that can be computed exactly. If it knows its entropy, it has ``entropy()``."""

    name: str

    def log_prob(self, texts: Sequence[str]) -> list[float]:
        """Return the log-probability of each sentence in nats; ``-inf`` where the process cannot produce it."""

    def sample(self, n: int, seed: int) -> list[str]:
        """Return ``n`` independent sentences."""


@dataclass(frozen=True)
class Corpus:
    """Sentences, tokens separated by spaces where tokens are words. ``notes`` are lines to tell the user.

    ``cache`` is the folder for files that are made of the sentences, if the sentences themselves are in the cache.
    """

    name: str
    train: Sequence[str]
    validation: Sequence[str]
    test: Sequence[str]
    process: Process | None = None
    notes: tuple[str, ...] = ()
    cache: Path | None = None

    def digests(self) -> dict[str, str]:
        """Return the SHA-256 of each split, by its name: the hash of its sentences, joined by ``\\n``."""
        return {name: _digest(getattr(self, name)) for name in SPLITS}


def split(name: str, texts: Iterable[str], process: Process | None = None, notes: tuple[str, ...] = ()) -> Corpus:
    """Return a corpus whose splits are chosen by the hash of each sentence: 90% train, 5% validation, 5% test.

    Copies (:func:`ganlm_core.data.text.identity`) are in the same split, so the splits are disjoint in any
    order, and do not change when lines are added later. Raises DataError when a split would be empty.
    """
    splits: tuple[list[str], list[str], list[str]] = ([], [], [])
    for text in texts:
        splits[split_of(digest(text))].append(text)
    if not all(splits):
        raise too_few(name, len({identity(text) for found in splits for text in found}))
    return Corpus(name, *splits, process=process, notes=notes)


def digest(text: str) -> bytes:
    """Return the SHA-256 of the identity of a sentence."""
    return hashlib.sha256(identity(text).encode()).digest()


def split_of(digest: bytes) -> int:
    """Return the place in SPLITS for a sentence with this digest."""
    return max(0, int.from_bytes(digest[:4], "big") % 20 - 17)


def too_few(name: str, different: int) -> DataError:
    return DataError(
        f"{name} has too few different sentences ({different}) to set some aside for validation and testing;"
        " give at least 100"
    )


def spread(texts: Sequence[T], n: int) -> Sequence[T]:
    """Return an evenly spaced subsample of at most ``n`` texts, because neighbours are often alike."""
    return list(spaced(texts, n)) if len(texts) > n else texts


def spaced(texts: Sequence[T], n: int) -> Iterator[T]:
    """Yield the texts of :func:`spread` one by one, so that they need not all be in memory."""
    return (texts[index * len(texts) // n] for index in range(n)) if len(texts) > n else iter(texts)


def _digest(texts: Sequence[str]) -> str:
    """Return the SHA-256 of the sentences, joined by line breaks."""
    found = hashlib.sha256()
    for start in range(0, len(texts), TOGETHER):
        found.update("\n".join(["", *texts[start : start + TOGETHER]]).encode()[start == 0 :])
    return found.hexdigest()
