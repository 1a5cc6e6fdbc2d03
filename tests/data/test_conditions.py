"""Labels and prompts as ids: numbers of categories, tokens that are given, what is refused and what is told."""

import pytest
import torch

from ganlm_core.data.conditions import RowConditions, asked, notes
from ganlm_core.data.corpus import Columns, Corpus
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.errors import DataError

TEXTS = ["a dog runs", "the cat sits down", "a cat runs"]


def corpus(**columns: list[str]) -> Corpus:
    return Corpus("animals", TEXTS, [], [], columns={"train": Columns(**columns)})


def found(text: Corpus, kind: str = "word", length: int = 6) -> RowConditions:
    tokenizer = Tokenizer.train(kind, TEXTS, 40)
    return asked(text, "train", tokenizer, tokenizer.encode(TEXTS, length)[0])


def test_a_label_is_its_place_in_the_alphabet() -> None:
    text = corpus(labels=["old", "new", "old"])
    assert text.labels == ("new", "old")
    labels = found(text).labels
    assert labels is not None and labels.tolist() == [1, 0, 1]
    assert [*notes(text, found(text))] == ["animals: 2 labels: new 33%, old 67%"]


def test_a_corpus_without_conditions_asks_for_nothing() -> None:
    assert found(corpus()) == RowConditions() and [*notes(corpus(), RowConditions())] == []


def test_the_tokens_of_a_prompt_are_counted_and_cut_out() -> None:
    given = found(corpus(prompts=["a dog", "", "a cat runs"]))
    assert given.given is not None and given.given.tolist() == [2, 0, 3]
    tokens = Tokenizer.train("word", TEXTS, 40).encode(TEXTS, 6)[0]
    prompts = given.prompts(tokens)
    assert prompts is not None
    assert prompts.tolist() == [[*tokens[0, :2].tolist(), 0], [0, 0, 0], tokens[2, :3].tolist()]


def test_a_prompt_that_ends_inside_a_word_gives_the_words_before_it() -> None:
    text = corpus(prompts=["a do", "the cat si", "a"])
    given = found(text).given
    assert given is not None and given.tolist() == [1, 2, 1]
    given = found(text, "char", 20).given
    assert given is not None and given.tolist() == [4, 10, 1]


def test_prompts_that_give_nothing_are_told_or_refused() -> None:
    some, none = corpus(prompts=["a dog", "th", ""]), corpus(prompts=["a do"[:0] + "d", "th", "c"])
    assert [*notes(some, found(some))] == [
        "animals: 1 of 3 prompts end inside their first token, so nothing is given in these rows; "
        "begin completions with a space"
    ]
    with pytest.raises(DataError, match="every prompt ends inside a word that its completion continues"):
        [*notes(none, found(none))]


def test_a_prompt_as_long_as_the_sequence_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        found(corpus(prompts=["a dog runs", "the cat sits down", ""]), length=4)
    assert str(caught.value) == (
        "animals: 1 of 3 prompts of the train split have 4 tokens or more, and a sequence has 4, so nothing is left to "
        "write; shorten them, or raise --tokenizer.max-length"
    )


def test_rows_are_chosen_with_their_columns() -> None:
    some = RowConditions(torch.tensor([1, 0, 1]), torch.tensor([0, 2, 1]), {"stars": ["5", "1", "4"]}).at(
        torch.tensor([2, 1])
    )
    assert some.labels is not None and some.given is not None
    assert (some.labels.tolist(), some.given.tolist(), dict(some.columns)) == ([1, 0], [1, 2], {"stars": ["4", "1"]})
