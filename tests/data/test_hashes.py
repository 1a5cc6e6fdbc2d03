"""Hashes of sentences: they find copies and nothing else, and hostile files are refused."""

from pathlib import Path

import pytest

from ganlm_core.data.hashes import Hashes, is_among, number, pack
from ganlm_core.errors import Unreadable

TEXTS = ["the cat sleeps", "a dog", "caf\u00e9", "a dog"]


def test_copies_are_found_with_any_white_space_and_unicode_form(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(pack(TEXTS))
    hashes = Hashes(tmp_path / "x")
    assert len(hashes) == 3
    assert all(text in hashes for text in (*TEXTS, " a  dog ", "cafe\u0301"))
    assert not any(text in hashes for text in ("a cat", "", "zzz")) and 3 not in hashes


def test_a_hash_never_changes_and_is_looked_up_in_order() -> None:
    numbers = sorted(map(number, TEXTS))
    assert number("a dog") == 4573132929137541538
    assert is_among(numbers, " a  dog") and not is_among(numbers, "a cat") and not is_among([], "a dog")


def test_the_file_does_not_depend_on_the_order() -> None:
    assert pack(TEXTS) == pack(TEXTS[::-1])
    assert len(pack(TEXTS)) == 24


@pytest.mark.parametrize("data", [b"", b"123", pack(["a"]) + pack(["a"]), pack(["a", "b"])[8:] + pack(["a", "b"])[:8]])
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(Unreadable):
        Hashes(tmp_path / "x")
