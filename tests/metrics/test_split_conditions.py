"""A judge asks generators for the conditions of the test split, row by row."""

import pytest
import torch

from ganlm_core.data.corpus import Columns, Corpus, spread
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.metrics.split_conditions import SplitConditions, random_size, scored
from ganlm_core.protocol import EOS, PAD, Shape
from tests.tiny import TinyGenerator

TRAIN = ["a dog", "a cat", "the cat", "the cow"]
TEST = ["a cow", "the dog", "a cow"]
CORPUS = Corpus(
    "farm",
    TRAIN,
    [],
    TEST,
    columns={"train": Columns(["x", "y", "y", "y"]), "test": Columns(["y", "x", "x"], ["a", "", "a"])},
)
TOKENIZER = Tokenizer.train("word", TRAIN, 20)
SHAPE = Shape(TOKENIZER.vocabulary_size, 4, 2, labels=2)
ASKING = SplitConditions.of(CORPUS, TOKENIZER, SHAPE)


def test_sentences_are_asked_for_the_conditions_of_the_test_split_over_and_over() -> None:
    assert ASKING.labels(5) == ["y", "x", "x", "y", "x"]
    noise = ASKING.noise(torch.zeros(4, 2), 2)
    assert noise.tolist() == [[0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 1, 0], [0, 0, 1, 0]]
    prompt, (a,) = ASKING.prompt(2, 3), TOKENIZER.prompt("a").tolist()
    assert prompt is not None and prompt.tolist() == [[a], [a], [PAD]]
    assert ASKING.shares.tolist() == [0.25, 0.75]


def test_sentences_of_the_test_split_have_their_conditions_in_turn() -> None:
    found = ASKING.of_texts(["the dog", "a cow", "a cow", "a cow"])
    assert found.labels is not None and found.given is not None
    assert found.labels.tolist() == [0, 1, 0, 1] and found.given.tolist() == [0, 1, 1, 1]
    with pytest.raises(KeyError):
        ASKING.of_texts(["a pig"])


def test_a_spaced_part_of_the_test_split_has_the_conditions_of_its_own_rows() -> None:
    """Row 2 is the second "a", with another label than the first."""
    columns = {split: Columns(labels=["x", "x", "y", "y"]) for split in ("train", "test")}
    corpus = Corpus("c", ["b", "a", "a", "c"], ["b"], ["b", "a", "a", "c"], columns=columns)
    asking = SplitConditions.of(corpus, TOKENIZER, Shape(TOKENIZER.vocabulary_size, 3, 2, 2))
    assert asking.of_texts(spread(corpus.test, 2)).labels.tolist() == [0, 1]  # type: ignore[union-attr]


def test_a_corpus_without_conditions_asks_for_nothing() -> None:
    nothing = SplitConditions.of(Corpus("farm", TRAIN, [], TEST), TOKENIZER, SHAPE)
    noise = torch.zeros(4, 2)
    assert nothing.noise(noise, 0) is noise and nothing.prompt(0, 4) is None and nothing.labels(4) == []
    assert nothing.of_texts(["a pig"]).labels is None


def test_a_prompt_is_not_scored_and_labels_are_not_random() -> None:
    tokens = torch.tensor([[3, 4, EOS, PAD], [3, EOS, PAD, PAD]])
    assert scored(tokens, torch.tensor([1, 0])).tolist() == [[False, True, True, False], [True, True, False, False]]
    assert scored(tokens, None).sum() == 5
    assert random_size(TinyGenerator(SHAPE.of("generator"))) == 2
