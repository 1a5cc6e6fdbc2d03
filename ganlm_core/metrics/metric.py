"""The contract of a metric: one number or a few about sentences, measured in the same way for models and real text.

``docs/metrics.md`` defines each metric with its protocol and its known traps.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Literal

from ganlm_core.components import Options
from ganlm_core.data.corpus import SAMPLE, Corpus, spaced
from ganlm_core.data.mapped_lines import lookup
from ganlm_core.data.text import words
from ganlm_core.metrics.options import SCORED

if TYPE_CHECKING:
    from ganlm_core.metrics.classifier import Classifier
    from ganlm_core.metrics.encoders import Encoder, Features

FRESH = 500
"""Sentences of an exact process from which the share of copies by chance is estimated; the oracle takes seconds."""

FRESH_SEED = 2**32
"""An unusual seed, so that fresh sentences do not repeat the training text of a user's seed."""

MORE, MARGIN = 2, 0.02
"""A share of copies above MORE times the share by chance plus MARGIN shows memorisation. MORE is 2, because half of the
text has at least half as many copies as the whole text; MARGIN allows for the error of a few hundred samples.
"""


COMPARED = 1_000
"""Test sentences that are looked up in the training text, evenly spaced, to see whether the text was split."""

REPEATING = 0.02
"""The share of sentences that recur by chance above which real text is no ceiling."""


@dataclass(frozen=True)
class Likelihood:
    """The negative log-likelihood of some sentences: ``nll_per_token``, in nats; each ``<eos>`` counts as a token.

    It is an upper bound from ``draws`` draws of the noise; with 0 draws it is exact. The ends of ``cut`` sentences,
    which are longer than a sequence, are not in it.
    """

    nll_per_token: float
    tokens: int
    sentences: int
    draws: int = 0
    cut: int = 0

    @property
    def nll_per_sentence(self) -> float:
        return self.nll_per_token * self.tokens / self.sentences

    def __str__(self) -> str:
        kind = f"upper bound from {self.draws} draws of the noise" if self.draws else "exact"
        cut = f"; {self.cut:,} of them without their ends" if self.cut else ""
        return f"{self.sentences:,} sentences of the test split, {self.tokens:,} tokens{cut}; {kind}"


@dataclass(frozen=True)
class Subject:
    """The source of the measured ``texts``: a generator, a file, or the authors of real text.

    ``likelihood`` returns the likelihood of other texts under the subject; None if the subject has none. ``log_prob``
    returns log p of each text in nats under the subject, ``-inf`` for a text that it cannot write; it is exact, or with
    ``draws`` of the noise the log of an unbiased estimate of p. ``scores`` returns the logit that the subject's
    discriminator gives each text: the higher, the more real; None without a discriminator that was trained.

    ``labels`` are what the :attr:`unseen` texts were asked for, or for real text what they are; empty without labels.

    ``references`` are the real sentences that the texts are compared with: the test split. The texts of real text
    are therefore training sentences. A metric that must not see training sentences uses ``unseen``, which takes
    ``held_out`` instead.
    """

    texts: Sequence[str]
    likelihood: Callable[[tuple[str, ...]], Likelihood] | None = None
    references: Sequence[str] = ()
    held_out: Sequence[str] = ()
    log_prob: Callable[[Sequence[str]], Sequence[float]] | None = None
    draws: int = 0
    scores: Callable[[Sequence[str]], list[float]] | None = None
    labels: Sequence[str] = ()

    @property
    def unseen(self) -> Sequence[str]:
        """The texts, or for real text the sentences that no model was trained on."""
        return self.held_out or self.texts


@dataclass(frozen=True)
class Conditions:
    """The conditions that are equal for every subject: the corpus, the ``seed`` of random draws, the sentence encoder.

    ``sentence_encoder`` is ``encoder``, or the default encoder if it is None. ``scored`` is the number of test
    sentences whose likelihood is computed; larger test splits are subsampled evenly to it, and 0 takes all.
    """

    corpus: Corpus
    seed: int = 0
    encoder: "Encoder | None" = None
    scored: int = SCORED

    @cached_property
    def unit(self) -> Literal["word", "character"]:
        """The unit of n-grams: characters if real sentences have fewer than two words on average, else words."""
        texts = self.corpus.test or self.corpus.train
        return "word" if sum(len(words(text)) for text in texts) >= 2 * len(texts) else "character"

    @property
    def split(self) -> Callable[[str], Sequence[str]]:
        """The function that splits a sentence into its units."""
        return words if self.unit == "word" else list

    @property
    def join(self) -> Callable[[Sequence[str]], str]:
        """The function that joins units to a sentence."""
        return " ".join if self.unit == "word" else "".join

    @cached_property
    def sentence_encoder(self) -> "Encoder":
        from ganlm_core.metrics.encoders import plain_encoder

        return self.encoder or plain_encoder()

    @cached_property
    def encode(self) -> "Callable[[tuple[str, ...]], Features]":
        """The function that encodes sentences (N) as features (N, F). It caches its last few results."""
        from ganlm_core.metrics.encoders import features_of

        return lru_cache(maxsize=4)(lambda texts: features_of(self.sentence_encoder, texts, self.split))

    @cached_property
    def classifier(self) -> "Classifier":
        """The classifier of labels, trained on the real text."""
        from ganlm_core.metrics.classifier import Classifier

        return Classifier.of(self.corpus, self.split, self.unit)

    @cached_property
    def process_log_prob(self) -> Callable[[Sequence[str]], list[float]]:
        """The function that returns log p of sentences under the process. It caches its last few results."""
        assert self.corpus.process is not None
        cached = lru_cache(maxsize=4)(self.corpus.process.log_prob)
        return lambda texts: cached(tuple(texts))

    @cached_property
    def fresh(self) -> Callable[[int], tuple[str, ...]]:
        """The function that draws so many fresh sentences from the process. It caches its last few results."""
        process = self.corpus.process
        assert process is not None
        return lru_cache(maxsize=2)(lambda n: tuple(process.sample(n, FRESH_SEED + self.seed)))

    @cached_property
    def process_entropy(self) -> float | None:
        """The process's entropy in nats per sentence: the NLL of a perfect generator; None if it is unknown."""
        entropy = getattr(self.corpus.process, "entropy", None)
        return entropy() if entropy is not None else None

    @cached_property
    def known(self) -> Container[str]:
        """The training sentences, in which ``in`` finds a copy at once."""
        return lookup(self.corpus.train)

    @cached_property
    def copies_by_chance(self) -> float:
        """The share of copies that a generator makes without memorising, because frequent sentences recur.

        With a process: the share of fresh sentences that are in the training text. Without one: the share of one half
        of the training text that is in the other half, times the training split's share of all text if no test sentence
        is in it, as of a file that is split by sentences: the rest of the text cannot be copied. That is too low,
        because half of the text has fewer sentences to copy.
        """
        known, fresh = self._known_and_fresh()
        copied = [text in known for text in fresh]
        return sum(copied) / max(1, len(copied)) * self._share_to_copy

    @cached_property
    def is_split(self) -> bool:
        """Whether the text was split by sentences, so that training and test split have none in common."""
        return not any(text in self.known for text in spaced(self.corpus.test, COMPARED))

    @property
    def _share_to_copy(self) -> float:
        corpus = self.corpus
        if corpus.process is not None or not self.is_split:
            return 1.0
        return len(corpus.train) / (len(corpus.train) + len(corpus.validation) + len(corpus.test))

    @property
    def real_is_ceiling(self) -> bool:
        """Whether no generator can be better than the rows of real text, which compare training with test split.

        A split of text that repeats itself has each frequent sentence on one side only; a generator writes all of them.
        """
        return self.corpus.process is not None or not self.is_split or self.copies_by_chance <= REPEATING

    def _known_and_fresh(self) -> tuple[Container[str], Iterable[str]]:
        """Return sentences to copy, and independent sentences; large halves are never in memory."""
        train, process = self.corpus.train, self.corpus.process
        if process is not None:
            return self.known, process.sample(FRESH, FRESH_SEED)
        halves = [islice(spaced(train, SAMPLE), start, None, 2) for start in (0, 1)]
        return lookup(halves[0]), halves[1]

    def copies_exceed_chance(self, copied: float) -> bool:
        """Return whether a share of copies is so far above ``copies_by_chance`` that it shows memorisation."""
        return exceeds_chance(copied, self.copies_by_chance)

    def with_unit(self, protocol: str) -> str:
        return protocol if self.unit == "word" else f"{protocol}, by {self.unit}s"


@dataclass(frozen=True)
class Measured:
    """Values by the name of their measure, and a ``protocol`` in words: how many sentences against how many.

    If there are no values, ``protocol`` may say why. ``errors`` are the standard errors of values that are means over
    sentences, by the name of the measure: other sentences of the same subject would give other values.
    """

    values: Mapping[str, float] = field(default_factory=dict)
    protocol: str = ""
    errors: Mapping[str, float] = field(default_factory=dict)


class Metric(ABC):
    """Called with a subject and the conditions; leaves out a value that does not exist and never invents one.

    The component that registers it declares what it measures: :class:`ganlm_core.components.Measure`.
    """

    def __init__(self, options: Options) -> None:
        self.options = options

    @abstractmethod
    def __call__(self, subject: Subject, conditions: Conditions) -> Measured: ...


def exceeds_chance(copied: float, by_chance: float) -> bool:
    """Return whether a share of copies is so far above the share by chance that it shows memorisation."""
    return copied > MORE * by_chance + MARGIN


def standard_error(parts: Sequence[float], sizes: Sequence[float] | None = None) -> float:
    """Return the standard error of the sum of ``parts`` over the sum of ``sizes``, over independent sentences.

    Without ``sizes``, of the mean of the parts. 0 for fewer than two sentences. Cochran 1977, eq. 2.46.
    """
    n = len(parts)
    if n < 2:
        return 0.0
    counts = sizes if sizes is not None else [1.0] * n
    ratio, mean = sum(parts) / sum(counts), sum(counts) / n
    residuals = math.fsum((part - ratio * count) ** 2 for part, count in zip(parts, counts, strict=True))
    return math.sqrt(residuals / (n - 1) / n) / mean


def problem_with(found: object) -> str:
    """Return the problem with a metric's result, worded to follow its name; "" if it is finite numbers by name."""
    if not isinstance(found, Measured):
        return f"gives {found!r}; wanted a ganlm_core.metrics.metric.Measured"
    if not isinstance(found.values, Mapping) or not all(isinstance(name, str) for name in found.values):
        return f"gives the values {found.values!r}; wanted a dict of floats by the name of their measure"
    if not isinstance(found.protocol, str):
        return f"gives the protocol {found.protocol!r}; wanted text"
    if not isinstance(found.errors, Mapping) or not found.errors.keys() <= found.values.keys():
        return f"gives the errors {found.errors!r}; wanted a dict of floats by the name of their measure"
    for name, value in (*found.values.items(), *found.errors.items()):
        if isinstance(value, bool) or not isinstance(value, float | int):
            return f"gives {value!r} for {name}; wanted a float"
        if not math.isfinite(value):
            return f"gives {value!r} for {name}; leave out a value that does not exist"
    return ""
