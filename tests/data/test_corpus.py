"""Splits, their digests, and even subsamples."""

import hashlib

import pytest

from ganlm_core.data import corpus as module
from ganlm_core.data.corpus import Columns, Corpus, digest, spaced, split, split_of, spread
from ganlm_core.data.options import SPLITS
from ganlm_core.errors import DataError

SENTENCES = [f"sentence number {i} ." for i in range(2000)]


def test_nine_tenths_train_and_the_rest_is_shared() -> None:
    found = split("numbers", SENTENCES)
    assert [len(getattr(found, name)) for name in SPLITS] == [1801, 95, 104]
    assert sorted([*found.train, *found.validation, *found.test]) == sorted(SENTENCES)
    assert found.notes == () and found.process is None and found.cache is None


def test_a_sentence_that_is_no_text_is_named_by_its_row() -> None:
    with pytest.raises(DataError) as caught:
        split("mine", [*SENTENCES, None])  # type: ignore[list-item]
    assert str(caught.value) == "sentence 2001 of mine is None; wanted text"


def test_a_sentence_stays_in_its_split_when_others_are_added() -> None:
    few, many = split("few", SENTENCES[:500]), split("many", reversed(SENTENCES))
    for name in SPLITS:
        assert set(getattr(few, name)) <= set(getattr(many, name))


@pytest.mark.parametrize("copy", ["{}  {}", "{}\t{}", " {} {} ", "{}\x1f{}"])
def test_copies_are_in_one_split_whatever_their_white_space(copy: str) -> None:
    for number in range(200):
        text = copy.format("naïve", number)
        assert split_of(digest(text)) == split_of(digest(f"nai\u0308ve {number}"))


def test_too_few_different_sentences_are_refused() -> None:
    with pytest.raises(DataError) as caught:
        split("short", ["a b", "a  b", "b"] * 100)
    assert str(caught.value) == (
        "short has too few different sentences (2) to set some aside for validation and testing; "
        "give at least 100 different ones"
    )


def test_a_digest_is_the_hash_of_the_sentences_in_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Corpus("numbers", SENTENCES[:25], ["one"], [])
    for together in (1, 10, 25, 1000):
        monkeypatch.setattr(module, "TOGETHER", together)
        expected = {"train": "\n".join(SENTENCES[:25]), "validation": "one", "test": ""}
        assert found.digests() == {name: hashlib.sha256(text.encode()).hexdigest() for name, text in expected.items()}


@pytest.mark.parametrize(("n", "places"), [(3, [0, 3, 6]), (10, list(range(10))), (99, list(range(10)))])
def test_a_subsample_is_spaced_evenly(n: int, places: list[int]) -> None:
    assert list(spread(range(10), n)) == list(spaced(range(10), n)) == places


def test_columns_stay_beside_their_sentences() -> None:
    labels = [("even", "odd")[number % 2] for number in range(len(SENTENCES))]
    columns = Columns(labels, others={"number": list(map(str, range(len(SENTENCES))))})
    found = split("numbers", SENTENCES, columns=columns)
    assert found.labels == ("even", "odd") and found.beside("train").prompts == []
    for name in SPLITS:
        beside = found.beside(name)
        rows = list(zip(getattr(found, name), beside.labels, beside.others["number"], strict=True))
        assert rows == [(f"sentence number {n} .", labels[int(n)], n) for _, _, n in rows]
    assert split("plain", SENTENCES).columns == {} and split("plain", SENTENCES).labels == ()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["x"] * 2000, "numbers: every row has the label 'x'; labels tell two or more kinds apart"),
        ([str(number) for number in range(2000)], "numbers has 1,801 different labels, 1,000 are the most; "),
    ],
)
def test_labels_that_are_no_categories_are_refused(labels: list[str], message: str) -> None:
    with pytest.raises(DataError) as caught:
        split("numbers", SENTENCES, columns=Columns(labels))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("others", ["xy", "xx"])
def test_a_label_that_training_never_sees_is_refused(others: str) -> None:
    labels = ["rare" if split_of(digest(text)) == 2 else others[n % 2] for n, text in enumerate(SENTENCES)]
    with pytest.raises(DataError) as caught:
        split("numbers", SENTENCES, columns=Columns(labels))
    assert str(caught.value) == (
        "numbers: the label 'rare' is in the test split and not in the training split, because few rows have it; "
        "add some, or remove them"
    )
