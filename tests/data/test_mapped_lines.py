"""Sentences in memory-mapped files, and the search for copies."""

from pathlib import Path

import pytest

from ganlm_core.data import mapped_lines
from ganlm_core.data.corpus import split
from ganlm_core.data.formats import Record
from ganlm_core.data.mapped_lines import Lines, lookup, read_columns, write_columns, write_splits


def test_lines_are_a_sequence_of_sentences(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    texts = [f"naïve {i % 150} 日本" for i in range(400)]
    sizes = write_splits(tmp_path, texts)
    assert (sum(size.total for size in sizes), sum(size.different for size in sizes)) == (400, 150)
    found, expected = Lines(tmp_path, "train"), list(split("", texts).train)
    for together in (1, 7, 1000):
        monkeypatch.setattr(mapped_lines, "TOGETHER", together)
        assert list(found) == expected
    n = len(expected)
    assert len(found) == n > 300
    assert [found[0], found[17], found[-1], found[-n]] == [expected[0], expected[17], expected[-1], expected[0]]
    for part in (slice(3, 9), slice(9, 3), slice(None, None, 7), slice(None, None, -1), slice(-5, None)):
        assert found[part] == expected[part]
    for place in (n, -n - 1):
        with pytest.raises(IndexError):
            found[place]
    strange = [*split("", texts).test, "naïve", "", "naïve 0 日本 ."]
    for known in (found, lookup(found), lookup(expected)):
        assert all(text in known for text in expected)
        assert "  nai\u0308ve\t0\x1f日本 " in known  # with the same words in the same form
        assert not any(text in known for text in strange)
    assert 7 not in found


def test_columns_are_read_back_in_the_order_of_their_sentences(tmp_path: Path) -> None:
    records = [Record(f"sentence {i}", "sent", ["even", "odd"][i % 2], {"a/b": str(i)}) for i in range(200)]
    write_splits(tmp_path, (record.text for record in records))
    keys = write_columns(tmp_path, records)
    for name, columns in read_columns(tmp_path, keys).items():
        numbers = [text.split()[1] for text in Lines(tmp_path, name)]
        assert list(columns.others["a/b"]) == numbers and len(columns.labels) == len(numbers)
        assert columns.labels[0] == ["even", "odd"][int(numbers[0]) % 2]
    assert read_columns(tmp_path, []) == {}
