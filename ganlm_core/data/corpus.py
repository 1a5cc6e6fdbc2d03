"""A corpus: sentences in three disjoint splits and, for a synthetic corpus, the exact process that they come from."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol, TypeVar

from ganlm_core.data.options import MOST_LABELS, SPLITS
from ganlm_core.data.text import identity
from ganlm_core.errors import DataError

T = TypeVar("T")

SAMPLE = 1_000_000
"""Larger splits are subsampled evenly to this size where all sentences would be in memory at once."""

TOGETHER = 10_000
"""Sentences that are hashed at once."""


LONGEST_LABEL = 255
"""Characters in the name of a category at most."""


class Process(Protocol):
    """A distribution over sentences that can be computed exactly. If it knows its entropy, it has ``entropy()``.

    A process with labels also has ``log_prob_given(texts, labels)``, the log-probability of each text given its label.
    """

    name: str

    def log_prob(self, texts: Sequence[str]) -> list[float]:
        """Return the log-probability of each sentence in nats; ``-inf`` where the process cannot produce it."""

    def sample(self, n: int, seed: int) -> list[str]:
        """Return ``n`` independent sentences."""


@dataclass(frozen=True)
class Columns:
    """The columns beside the sentences of a split, with a value for each sentence.

    ``labels`` and ``prompts`` are empty if the corpus has none. A prompt is the beginning of its sentence. ``others``
    are for rewards, by name.
    """

    labels: Sequence[str] = ()
    prompts: Sequence[str] = ()
    others: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def ask(self) -> bool:
        """Whether the sentences have conditions: labels or prompts."""
        return bool(self.labels or self.prompts)


@dataclass(frozen=True)
class Corpus:
    """Sentences, tokens separated by spaces where tokens are words. ``notes`` are lines to tell the user.

    ``cache`` is the folder for files that are made of the sentences, if the sentences themselves are in the cache.
    ``columns`` are beside the sentences of each split, by its name; empty if there are none. ``labels`` are the
    categories of the training split in alphabetical order: the order of their numbers.

    ``fixed_length``: every sentence has the same number of tokens, and no ``<eos>`` follows them. ``vocabulary`` are
    words that a tokenizer knows even if the training split lacks them.
    """

    name: str
    train: Sequence[str]
    validation: Sequence[str]
    test: Sequence[str]
    process: Process | None = None
    notes: tuple[str, ...] = ()
    cache: Path | None = None
    columns: Mapping[str, Columns] = field(default_factory=dict)
    fixed_length: bool = False
    vocabulary: Sequence[str] = ()

    @cached_property
    def labels(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.beside("train").labels)))

    def beside(self, split: str) -> Columns:
        """Return the columns of a split."""
        return self.columns.get(split, Columns())

    def testing(self, test: Sequence[str], columns: Columns) -> "Corpus":
        """Return the corpus with other sentences, and the columns beside them, as its test split."""
        return replace(self, test=test, columns={**self.columns, "test": columns} if self.columns else {})

    def validating(self) -> "Corpus":
        """Return the corpus with the validation split in the place of the test split, for interim evaluations."""
        return self.testing(self.validation, self.beside("validation"))

    def tested_at(self, rows: Sequence[int]) -> "Corpus":
        """Return the corpus with some sentences of its test split, by their places."""
        return self.testing([self.test[row] for row in rows], _rows(self.beside("test"), rows))

    def digests(self) -> dict[str, str]:
        """Return the SHA-256 of each split, by its name: the hash of its sentences, joined by ``\\n``."""
        return {name: _digest(getattr(self, name)) for name in SPLITS}


def split(
    name: str,
    texts: Iterable[str],
    process: Process | None = None,
    notes: tuple[str, ...] = (),
    columns: Columns | None = None,
) -> Corpus:
    """Return a corpus whose splits are chosen by the hash of each sentence: 90% train, 5% validation, 5% test.

    Copies (:func:`ganlm_core.data.text.identity`) are in the same split, so the splits are disjoint in any
    order, and do not change when lines are added later. ``columns`` are beside all ``texts``. Raises DataError when a
    split would be empty or a sentence is not text, and the errors of :func:`check_labels`.
    """
    every = list(texts)
    rows: tuple[list[int], list[int], list[int]] = ([], [], [])
    for row, text in enumerate(every):
        if not isinstance(text, str):
            raise DataError(f"sentence {row + 1} of {name} is {text!r}; wanted text")
        rows[split_of(digest(text))].append(row)
    if not all(rows):
        raise too_few(name, len(set(map(identity, every))))
    train, validation, test = ([every[row] for row in found] for found in rows)
    beside = {} if columns is None else {name: _rows(columns, found) for name, found in zip(SPLITS, rows, strict=True)}
    return check_labels(Corpus(name, train, validation, test, process=process, notes=notes, columns=beside))


def _rows(columns: Columns, rows: Sequence[int]) -> Columns:
    def chosen(values: Sequence[str]) -> list[str]:
        return [values[row] for row in rows] if values else []

    others = {name: chosen(values) for name, values in columns.others.items()}
    return Columns(chosen(columns.labels), chosen(columns.prompts), others)


def check_labels(corpus: Corpus) -> Corpus:
    """Return the corpus. Raises DataError for labels that cannot be learned: one, too many, or none in training."""
    labels = corpus.labels
    if wrong := [label for label in labels if len(label) > LONGEST_LABEL or not label.isprintable()]:
        raise DataError(
            f"{corpus.name} has the label {wrong[0][:LONGEST_LABEL]!r}; "
            f"wanted at most {LONGEST_LABEL} printable characters"
        )
    if len(labels) > MOST_LABELS:
        raise DataError(
            f"{corpus.name} has {len(labels):,} different labels, {MOST_LABELS:,} are the most; "
            "a label is a category: name such a column with --corpus.label"
        )
    for split in SPLITS:
        if strange := set(corpus.beside(split).labels) - set(labels):
            raise DataError(
                f"{corpus.name}: the label '{min(strange)}' is in the {split} split and not in the training split, "
                "because few rows have it; add some, or remove them"
            )
    if len(labels) == 1:
        raise DataError(f"{corpus.name}: every row has the label '{labels[0]}'; labels tell two or more kinds apart")
    return corpus


def digest(text: str) -> bytes:
    """Return the SHA-256 of the identity of a sentence."""
    return hashlib.sha256(identity(text).encode()).digest()


def split_of(digest: bytes) -> int:
    """Return the place in SPLITS for a sentence with this digest."""
    return max(0, int.from_bytes(digest[:4], "big") % 20 - 17)


def too_few(name: str, different: int) -> DataError:
    return DataError(
        f"{name} has too few different sentences ({different}) to set some aside for validation and testing;"
        " give at least 100 different ones"
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
