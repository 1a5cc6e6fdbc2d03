"""What a corpus is: sentences in three disjoint parts and, where there is one, the exact process they come from."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ganlm_core.errors import DataError

T = TypeVar("T")


class Process(Protocol):
    """A distribution over sentences that can be computed exactly. One that knows its entropy has ``entropy()``."""

    name: str

    def log_prob(self, texts: Sequence[str]) -> list[float]:
        """The log-probability of each sentence in nats; ``-inf`` where the process cannot give it."""

    def sample(self, n: int, seed: int) -> list[str]:
        """``n`` independent sentences."""


@dataclass(frozen=True)
class Corpus:
    """Sentences, tokens separated by spaces where tokens are words. ``notes`` are lines to tell the user."""

    name: str
    train: Sequence[str]
    validation: Sequence[str]
    test: Sequence[str]
    process: Process | None = None
    notes: tuple[str, ...] = ()


def split(name: str, texts: Iterable[str], process: Process | None = None, notes: tuple[str, ...] = ()) -> Corpus:
    """A corpus whose parts are fixed by the hash of each sentence: 90% train, 5% validate, 5% test.

    Equal sentences fall in the same part, so that the parts are disjoint whatever the order and however many lines
    are added later. Raises DataError when a part would be empty.
    """
    parts: tuple[list[str], list[str], list[str]] = ([], [], [])
    for text in texts:
        bucket = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % 20
        parts[max(0, bucket - 17)].append(text)
    if not all(parts):
        different = sum(len(set(part)) for part in parts)
        raise DataError(
            f"{name} has too few different sentences ({different}) to set some aside for validation and testing;"
            " give at least 100"
        )
    return Corpus(name, *parts, process=process, notes=notes)


def spread(texts: Sequence[T], n: int) -> Sequence[T]:
    """``n`` of the texts or all there are, evenly spaced, because neighbours in a file are often alike."""
    return [texts[index * len(texts) // n] for index in range(n)] if len(texts) > n else texts
