"""Splits, their digests, and even subsamples."""

import hashlib

import pytest

from ganlm_core.data import corpus as module
from ganlm_core.data.corpus import SPLITS, Corpus, digest, spaced, split, split_of, spread
from ganlm_core.errors import DataError

SENTENCES = [f"sentence number {i} ." for i in range(2000)]


def test_nine_tenths_train_and_the_rest_is_shared() -> None:
    found = split("numbers", SENTENCES)
    assert [len(getattr(found, name)) for name in SPLITS] == [1801, 95, 104]
    assert sorted([*found.train, *found.validation, *found.test]) == sorted(SENTENCES)
    assert found.notes == () and found.process is None and found.cache is None


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
        "short has too few different sentences (2) to set some aside for validation and testing; give at least 100"
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
