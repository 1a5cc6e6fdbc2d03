"""Language-model scores (Caccia et al. 2020, section 2): samples under a model of real text, and the reverse.

Both models are interpolated Kneser-Ney four-gram models (Kneser & Ney 1995; Chen & Goodman 1999, section 2.7). They
have nothing to tune, train in a second, and are the same on every machine. Differs: the paper's models are LSTMs.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

from ganlm_core.data.corpus import SAMPLE, spread
from ganlm_core.metrics.metric import Conditions, Measured, Metric, Subject, standard_error
from ganlm_core.metrics.ngrams import Split

ORDER = 4
END, UNKNOWN, START = "</s>", "<unk>", "<s>"

Gram = tuple[str, ...]


class KneserNey:
    """p(word | the last ORDER - 1 words) over a closed vocabulary, the end of the sentence and an unknown word."""

    def __init__(self, sentences: Iterable[Sequence[str]], vocabulary: frozenset[str], order: int = ORDER) -> None:
        self.order = order
        self.vocabulary = vocabulary | {END, UNKNOWN}
        self._levels = [_Level(counts) for counts in self._counts(sentences)]

    def nll(self, sentence: Sequence[str]) -> float:
        """Return -log p of a sentence in nats, its end included."""
        words = self._framed(sentence)
        return -sum(
            math.log(self.probability(words[place], words[place - self.order + 1 : place]))
            for place in range(self.order - 1, len(words))
        )

    def probability(self, word: str, context: Sequence[str]) -> float:
        """Return p(word | context) for a word of the vocabulary and a context of ORDER - 1 words."""
        found = 1 / len(self.vocabulary)
        for n, level in enumerate(self._levels):
            before = tuple(context[len(context) - n :])
            found = level.interpolate((*before, word), before, found)
        return found

    def _framed(self, sentence: Sequence[str]) -> list[str]:
        known = [word if word in self.vocabulary else UNKNOWN for word in sentence]
        return [START] * (self.order - 1) + known + [END]

    def _counts(self, sentences: Iterable[Sequence[str]]) -> list[Counter[Gram]]:
        """Count the n-grams of each order: occurrences of the longest, different words before the shorter n-grams."""
        highest: Counter[Gram] = Counter()
        for sentence in sentences:
            words = self._framed(sentence)
            highest.update(tuple(words[end - self.order : end]) for end in range(self.order, len(words) + 1))
        counts = [highest]
        for _ in range(self.order - 1):
            counts.insert(0, Counter(gram[1:] for gram in counts[0]))
        return counts


class _Level:
    """The n-grams of one order, with one discount: n1 / (n1 + 2 n2), where n1 occur once and n2 twice."""

    def __init__(self, counts: Counter[Gram]) -> None:
        self._counts = counts
        self._totals: Counter[Gram] = Counter()
        self._followers: Counter[Gram] = Counter()
        for gram, count in counts.items():
            self._totals[gram[:-1]] += count
            self._followers[gram[:-1]] += 1
        often = Counter(counts.values())
        self._discount = often[1] / (often[1] + 2 * often[2]) if often[1] and often[2] else 0.5

    def interpolate(self, gram: Gram, context: Gram, lower: float) -> float:
        total = self._totals[context]
        if total == 0:
            return lower
        kept = max(self._counts[gram] - self._discount, 0)
        return (kept + self._discount * self._followers[context] * lower) / total


@lru_cache(maxsize=4)
def judge(texts: tuple[str, ...], vocabulary: frozenset[str], split: Split) -> KneserNey:
    """Return the model of ``texts``; the last few are cached."""
    return KneserNey([split(text) for text in texts], vocabulary)


class LanguageModelScores(Metric):
    """``lm_score``: nats per token of the sentences under a language model of the training text; low means fluent.

    ``reverse_lm_score``: nats per token of real sentences under a language model of the subject's sentences; low means
    complete. Both models have the vocabulary of the training text.
    """

    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        train, split = tuple(spread(conditions.corpus.train, SAMPLE)), conditions.split
        if not train or not subject.references:
            return Measured({}, "not defined: there is no real text to compare with")
        vocabulary = frozenset(word for text in train for word in split(text))
        scored = {
            "lm_score": _scored(judge(train, vocabulary, split), subject.unseen, split),
            "reverse_lm_score": _scored(judge(tuple(subject.texts), vocabulary, split), subject.references, split),
        }
        protocol = (
            f"Kneser-Ney models of order {ORDER}: trained on {len(train):,} real sentences "
            f"to score {len(subject.unseen):,}, and on {len(subject.texts):,} sentences "
            f"to score {len(subject.references):,} real ones"
        )
        values = {name: sum(nats) / sum(sizes) for name, (nats, sizes) in scored.items()}
        errors = {name: standard_error(*parts) for name, parts in scored.items()}
        return Measured(values, conditions.with_unit(protocol), errors)


def _scored(model: KneserNey, texts: Sequence[str], split: Split) -> tuple[list[float], list[float]]:
    """Return the nats of each sentence and its number of tokens."""
    sentences = [split(text) for text in texts]
    return [model.nll(each) for each in sentences], [len(each) + 1.0 for each in sentences]
