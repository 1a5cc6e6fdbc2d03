"""Filters of streams: what they keep, their counts, and their end."""

import itertools

import pytest

from ganlm_core.bundle.filters import Filter, filtered
from ganlm_core.bundle.stream import Drawn
from ganlm_core.errors import GanlmError


def batches() -> "itertools.chain[Drawn]":
    """Yield batches of four without end: two letters and two numbers that grow."""
    return itertools.chain.from_iterable(
        [Drawn(["a", "b", str(n), str(-n)], 4 * n, 4 * n + 4)] for n in itertools.count()
    )


def test_each_filter_reads_what_the_one_before_it_kept() -> None:
    letters = Filter("--letters", lambda texts: [text.isalpha() for text in texts])
    only_b = Filter("--b", lambda texts: [text == "b" for text in texts])
    found = list(itertools.islice(filtered(batches(), [letters, only_b], 100), 3))
    assert [(batch.texts, batch.start, batch.end) for batch in found] == [
        (["b"], 0, 4), (["b"], 4, 8), (["b"], 8, 12)
    ]  # fmt: skip
    assert (str(letters), str(only_b)) == ("--letters kept 6 of 12", "--b kept 3 of 6")


def test_without_filters_nothing_changes() -> None:
    one, other = (list(itertools.islice(each, 5)) for each in (filtered(batches(), [], 1), batches()))
    assert one == other


def test_a_stream_ends_after_too_many_sentences_of_which_none_is_kept() -> None:
    rare = Filter("--rare", lambda texts: [text == "2" for text in texts])
    stream = filtered(batches(), [rare], 10)
    assert [next(stream).texts for _ in range(3)] == [[], [], ["2"]]
    with pytest.raises(GanlmError) as caught:
        list(stream)
    assert str(caught.value) == (
        "none of the last 12 sentences passed (--rare kept 1 of 24); ask for less, raise --temperature, "
        "or raise --tries"
    )
