"""Corpora, metrics and sentence encoders that break the protocol, one promise each."""

import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from ganlm_core.components import Measure, Options
from ganlm_core.data.corpus import Corpus, split
from ganlm_core.data.grammar import Grammar
from ganlm_core.metrics.encoders import Encoder, Features, Split
from ganlm_core.metrics.metric import Conditions, Measured, Metric, Subject
from tests.mutants.breaking import MUTANTS, Mutant, breaks, mutant


@breaks("corpus", "corpora.check_splits", "has 10 sentences in more than one split; use ganlm_core.data.corpus.split")
def overlapping(options: Options) -> Corpus:
    texts = Grammar().sample(300, 0)
    return Corpus("overlapping", texts, texts[:10], texts[:10])


@breaks("corpus", "corpora.check_seeded", "gives other sentences when it is built again; seed its random generator")
def drawn_anew(options: Options) -> Corpus:
    return split("anew", Grammar().sample(300, random.randrange(2**32)))


@breaks("corpus", "corpora.check_splits", "has an empty test split; use ganlm_core.data.corpus.split")
def untested(options: Options) -> Corpus:
    texts = Grammar().sample(300, 0)
    return Corpus("untested", texts[10:], texts[:10], [])


@breaks(
    "corpus",
    "corpora.check_splits",
    "has a sentence in its train split that is not one line of text, 'one\\ntwo'; clean it",
)
def broken_lines(options: Options) -> Corpus:
    return Corpus("broken", ["one\ntwo"], ["three"], ["four"])


@breaks("corpus", "corpora.check_splits", "has empty sentences in its test split; leave them out")
def silent(options: Options) -> Corpus:
    return Corpus("silent", ["one"], ["two"], ["three", " "])


class DrawsFewer(Grammar):
    def sample(self, n: int, seed: int) -> list[str]:
        return super().sample(n - 1, seed)


class IgnoresTheSeed(Grammar):
    def sample(self, n: int, seed: int) -> list[str]:
        return super().sample(n, 0)


@breaks("corpus", "corpora.check_process", "has a process that draws 49 sentences when asked for 50; draw n")
def drawing_fewer(options: Options) -> Corpus:
    return split("drawing_fewer", Grammar().sample(300, 0), process=DrawsFewer())


@breaks(
    "corpus",
    "corpora.check_process",
    "has a process whose samples do not depend on the seed; seed its random generator",
)
def ignoring_the_seed(options: Options) -> Corpus:
    return split("ignoring_the_seed", Grammar().sample(300, 0), process=IgnoresTheSeed())


class NoProbability(Grammar):
    def log_prob(self, texts: Sequence[str]) -> list[float]:
        return [-math.inf for _ in texts]


class AlwaysPossible(Grammar):
    def log_prob(self, texts: Sequence[str]) -> list[float]:
        return [-1.0 for _ in texts]


@breaks(
    "corpus",
    "corpora.check_process",
    "has a process that gives its own samples no valid log p; return log p in nats",
)
def without_probability(options: Options) -> Corpus:
    return split("without_probability", Grammar().sample(300, 0), process=NoProbability())


@breaks("corpus", "corpora.check_process", "has a process that gives an impossible text log p = -1.0; return -inf")
def always_possible(options: Options) -> Corpus:
    return split("always_possible", Grammar().sample(300, 0), process=AlwaysPossible())


@breaks("metric", "metrics.check_values", "gives nan for words; leave out a value that does not exist")
class NotANumber(Metric):
    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        return Measured({"words": math.nan}, "none")


@breaks("metric", "metrics.check_values", "gives no values although all inputs are there; return at least one")
class NoValues(Metric):
    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        return Measured()


@breaks(
    "metric",
    "metrics.check_values",
    "gives values without a protocol; say how many sentences they are from",
)
class NoProtocol(Metric):
    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        return Measured({"words": 1.0})


@breaks(
    "metric",
    "metrics.check_missing",
    "fails on sentences of a source without a likelihood, with an exact process (ValueError); leave out "
    "a value that does not exist",
)
class NeedsALikelihood(Metric):
    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        if subject.likelihood is None:
            raise ValueError
        return Measured({"nll": subject.likelihood(conditions.corpus.test).nll_per_token}, "the test part")


@breaks(
    "metric",
    "metrics.check_same_again",
    "gives other values for the same texts; use the seed of its Conditions",
)
class RandomValue(Metric):
    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        return Measured({"one": random.random()}, "none")


@breaks("metric", "metrics.check_same_again", "changes the texts that it gets; copy them before you change them")
class Sorts(Metric):
    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        if isinstance(subject.texts, list):
            subject.texts.sort()
        return Measured({"one": 1.0}, "none")


@breaks("metric", "metrics.check_values", "gives 3.5; wanted a ganlm_core.metrics.metric.Measured")
class ReturnsAFloat(Metric):
    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        return 3.5  # type: ignore[return-value]


@breaks("metric", "metrics.check_values", "gives 'many' for words; wanted a float")
class ReturnsText(Metric):
    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        return Measured({"words": "many"}, "none")  # type: ignore[dict-item]


MUTANTS.append(
    Mutant(
        mutant("metric", f"{__name__}:RandomValue", measures=(Measure("words", "words"),)),
        "metrics.check_values",
        "declares the measures words and gives one; let both agree",
    )
)


@breaks("encoder", "encoders.check_features", "gives a value of type list; return an array of NumPy")
class ListOfRows(Encoder):
    def __call__(self, texts: Sequence[str], split: Split) -> Any:
        return [[float(len(text))] for text in texts]


@breaks("encoder", "encoders.check_features", "gives features of shape (10,) for 10 sentences; wanted (N, F)")
class Flat(Encoder):
    def __call__(self, texts: Sequence[str], split: Split) -> Features:
        return np.array([float(len(text)) for text in texts])


@breaks("encoder", "encoders.check_features", "gives features that are not finite; return finite numbers")
class InfiniteFeature(Encoder):
    def __call__(self, texts: Sequence[str], split: Split) -> Features:
        return np.array([[len(text), np.inf] for text in texts])


@breaks("encoder", "encoders.check_features", "gives different sentences the same features; compute them from the text")
class EqualFeatures(Encoder):
    def __call__(self, texts: Sequence[str], split: Split) -> Features:
        return np.ones((len(texts), 2))


@breaks("encoder", "encoders.check_rows", "gives other features when it is built again; use a fixed seed")
class RandomFeature(Encoder):
    def __call__(self, texts: Sequence[str], split: Split) -> Features:
        return np.array([[len(text), random.random()] for text in texts])


@breaks(
    "encoder", "encoders.check_rows", "gives features that depend on the other sentences; encode each sentence alone"
)
class PositionFeature(Encoder):
    def __call__(self, texts: Sequence[str], split: Split) -> Features:
        return np.array([[float(len(text)), float(place)] for place, text in enumerate(texts)])
