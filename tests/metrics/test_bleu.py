"""BLEU, Self-BLEU and backward BLEU against NLTK, sentence by sentence."""

import random

import numpy as np
import pytest
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from ganlm_core.components import NoOptions
from ganlm_core.data.corpus import Corpus
from ganlm_core.metrics.bleu import BackwardBleu, Bleu, SelfBleu, bleu, self_bleu
from ganlm_core.metrics.metric import Conditions, Measured, Metric, Subject
from ganlm_core.metrics.ngrams import Index

WEIGHTS = [(1 / n,) * n for n in range(1, 6)]


METHOD_1 = SmoothingFunction().method1


def nltk_scores(hypothesis: str, references: list[str]) -> list[float]:
    split = [reference.split() for reference in references]
    return sentence_bleu(split, hypothesis.split(), WEIGHTS, METHOD_1)


def sentences(rng: random.Random, words: str, most: int) -> list[str]:
    """A few sentences of 0 to 7 words, so that repeated, empty and unique ones all occur."""
    return [" ".join(rng.choices(words, k=rng.randint(0, 7))) for _ in range(rng.randint(2, most))]


@pytest.mark.parametrize("seed", range(60))
def test_bleu_equals_nltk(seed: int) -> None:
    rng = random.Random(seed)
    hypotheses, references = sentences(rng, "abcd", 8), sentences(rng, "abcx", 8)
    wanted = [nltk_scores(text, references) for text in hypotheses]
    assert bleu(hypotheses, Index(references, str.split)) == pytest.approx(np.array(wanted), abs=1e-9)


@pytest.mark.parametrize("seed", range(60))
def test_self_bleu_equals_nltk_without_the_sentence_itself(seed: int) -> None:
    rng = random.Random(seed)
    texts = sentences(rng, "abc", 8)
    wanted = [nltk_scores(text, texts[:i] + texts[i + 1 :]) for i, text in enumerate(texts)]
    assert self_bleu(Index(texts, str.split)) == pytest.approx(np.array(wanted), abs=1e-9)


def test_a_repeated_sentence_is_compared_with_its_other_copies() -> None:
    alone = self_bleu(Index(["a b c d e", "v w x y z"], str.split))
    repeated = self_bleu(Index(["a b c d e", "v w x y z", "a b c d e"], str.split))
    assert (alone == 0).all()
    assert repeated[[0, 2]] == pytest.approx(1)
    assert (repeated[1] == 0).all()


def test_of_two_equally_close_lengths_the_shorter_counts() -> None:
    """Three words, references of two and of four: no brevity penalty, so BLEU-1 is the precision."""
    assert bleu(["a b c"], Index(["a b", "a b c d"], str.split))[0, 0] == pytest.approx(1)
    assert bleu(["a b c"], Index(["a b c d"], str.split))[0, 0] == pytest.approx(np.exp(1 - 4 / 3))


def test_clipping_gives_the_worked_example_of_the_paper() -> None:
    """Papineni et al. 2002, example 2: the candidate of seven "the" has two of seven matched."""
    references = Index(["the cat is on the mat", "there is a cat on the mat"], str.split)
    assert bleu(["the the the the the the the"], references)[0, 0] == pytest.approx(2 / 7)


CORPUS = Corpus("letters", ["a b c d", "d c b a"], ["b"], ["a b c", "b c d"])


def measure(kind: type[Metric], texts: list[str], references: list[str], corpus: Corpus = CORPUS) -> Measured:
    return kind(NoOptions())(Subject(texts, references=references), Conditions(corpus))


def test_the_protocol_of_every_bleu_has_the_numbers_of_sentences() -> None:
    texts, references = ["a b c d e", "b b"], ["a b c d x", "q", "b b b"]
    forward, backward = measure(Bleu, texts, references), measure(BackwardBleu, texts, references)
    assert forward.protocol == "2 hypotheses, 3 references"
    assert backward.protocol == "3 hypotheses, 2 references"
    means = np.mean([nltk_scores(text, references) for text in texts], axis=0)
    assert forward.values == pytest.approx({f"bleu{n}": means[n - 1] for n in range(2, 6)}, abs=1e-9)
    means = np.mean([nltk_scores(text, texts) for text in references], axis=0)
    assert backward.values == pytest.approx({f"backward_bleu{n}": means[n - 1] for n in range(2, 6)}, abs=1e-9)
    itself = measure(SelfBleu, texts, [])
    assert itself.protocol == "each of 2 sentences against the 1 others"
    means = np.mean([nltk_scores(texts[0], texts[1:]), nltk_scores(texts[1], texts[:1])], axis=0)
    assert itself.values == pytest.approx({f"self_bleu{n}": means[n - 1] for n in range(2, 6)}, abs=1e-9)


def test_self_bleu_needs_two_sentences_and_bleu_needs_references() -> None:
    assert measure(SelfBleu, ["a b"], []) == Measured(
        {}, "not defined: a single sentence cannot be compared with others"
    )
    nothing = Measured({}, "not defined: there is no real text to compare with")
    assert measure(Bleu, ["a b"], []) == measure(BackwardBleu, ["a b"], []) == nothing


def test_characters_are_compared_where_sentences_are_single_words() -> None:
    """Names and passwords are such sentences."""
    names = Corpus("names", ["anna", "hanna"], [], ["anne", "johann"])
    found = measure(Bleu, ["anna"], ["anne", "johann"], names)
    spaced = [" ".join(name) for name in ("anna", "anne", "johann")]
    assert found.values["bleu2"] == pytest.approx(nltk_scores(spaced[0], spaced[1:])[1], abs=1e-9)
    assert found.protocol == "1 hypotheses, 2 references, by characters"


def test_an_empty_sentence_scores_zero_and_is_no_reference() -> None:
    """The generator wrote nothing: defined, so that it counts among the hypotheses."""
    references = Index(["a b c d e"], str.split)
    assert (bleu(["", "a b c d e"], references) == [[0.0] * 5, [1.0] * 5]).all()
    found = measure(Bleu, ["", "a b c d e"], ["a b c d e"])
    assert found.values["bleu4"] == 0.5
    assert found.protocol == "2 hypotheses, 1 references"
    assert (self_bleu(Index(["", "a b c d e", "a b c d e"], str.split)) == [[0.0] * 5, [1.0] * 5, [1.0] * 5]).all()
