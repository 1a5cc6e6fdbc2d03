"""Files that survive a kill, and untrusted files."""

import errno
import os
from contextlib import suppress
from pathlib import Path

import pytest

from ganlm_core.errors import GanlmError, Unreadable, WeightsError, WriteError
from ganlm_core.system.files import (
    advising,
    parse_object,
    read_json,
    read_text,
    read_toml,
    reading,
    sync_file,
    to_json,
    write_file,
    write_json,
)
from ganlm_core.system.folders import tidy
from tests.disasters import Killed, disaster


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 10):
        for kill in (True, False):
            path = tmp_path / f"{number}{kill}" / "file"
            path.parent.mkdir()
            path.write_bytes(b"old")
            with disaster(number, kill, monkeypatch) as done, suppress(Killed, GanlmError):
                write_file(path, b"new")
            assert path.read_bytes() in (b"old", b"new"), (number, kill)
            tidy(path.parent)
            assert [each.name for each in path.parent.iterdir()] == ["file"]
    assert len(done) < 9


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="FIFOs are POSIX's")
def test_a_hidden_name_that_leads_elsewhere_is_not_written_through(tmp_path: Path) -> None:
    """Opening the pipe would wait for a reader for ever."""
    (tmp_path / "precious").write_bytes(b"kept")
    (tmp_path / ".link.partial").symlink_to("precious")
    (tmp_path / ".dangling.partial").symlink_to("nowhere")
    os.mkfifo(tmp_path / ".pipe.partial")
    for name in ("link", "dangling", "pipe"):
        write_file(tmp_path / name, b"new")
        assert (tmp_path / name).read_bytes() == b"new" and not (tmp_path / name).is_symlink()
    assert (tmp_path / "precious").read_bytes() == b"kept"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["dangling", "link", "pipe", "precious"]


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, "; free some space"),
        (errno.EROFS, "; choose a place that you may write to"),
        (errno.EIO, ""),
    ],
)
def test_a_write_that_fails_says_where_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, advice: str
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(WriteError) as caught:
        write_file(tmp_path / "file", b"new")
    assert str(caught.value) == f"cannot write {tmp_path / 'file'}: {os.strerror(code)}{advice}"
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    (tmp_path / "lines").write_text("a\n")
    sync_file(tmp_path / "lines")
    assert synced == [(tmp_path / "lines").stat().st_ino, tmp_path.stat().st_ino]
    with pytest.raises(WriteError, match=r"cannot write .*lines: No such file or directory$"):
        sync_file(tmp_path / "nowhere" / "lines")


def test_json_is_sorted_and_has_only_finite_numbers(tmp_path: Path) -> None:
    value = {"b": float("nan"), "a": [1.5, float("inf"), {"ü": None}]}
    assert to_json(value) == '{"a": [1.5, null, {"ü": null}], "b": null}'
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == {"a": [1.5, None, {"ü": None}], "b": None}


def test_a_file_name_that_is_not_utf8_goes_through_json(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.py")
    assert to_json([name]) == '["\\udcff.py"]'
    write_json(tmp_path / "x.json", {"file": name})
    assert read_json(tmp_path / "x.json") == {"file": name}


REFUSED_JSON = {
    "not JSON": ("{", "is not valid JSON"),
    "a list": ("[]", "holds a JSON list, not an object"),
    "a key twice": ('{"a": 1, "a": 2}', "is not valid JSON (the key 'a' is there twice)"),
    "NaN": ('{"a": NaN}', "is not valid JSON (NaN is no JSON number)"),
    "1e999": ('{"a": [1e999]}', "is not valid JSON ('1e999' is too large a number)"),
    "an integer of 5,000 digits": (
        '{"a": ' + "9" * 5000 + "}",
        "is not valid JSON (Exceeds the limit (4300 digits) for integer string conversion: value has 5000 digits);",
    ),
    "100,000 deep": ("[" * 100_000, "is not valid JSON ("),
    "101 deep": ('{"a": ' + "[" * 101 + "]" * 101 + "}", "is not valid JSON (it nests deeper than the 100 levels"),
    "a byte order mark": ("\ufeff{}", "is not valid JSON ("),
}


@pytest.mark.parametrize(("text", "reason"), REFUSED_JSON.values(), ids=REFUSED_JSON)
def test_refused_json(text: str, reason: str) -> None:
    with pytest.raises(WeightsError) as caught:
        parse_object(text, Path("x.json"))
    assert str(caught.value).startswith(f"x.json {reason}")
    assert str(caught.value).endswith("; fetch or export it again") and "\n" not in str(caught.value)


def test_json_up_to_the_bound_is_read() -> None:
    text = '{"a": ' + "[" * 99 + "1" + "]" * 99 + "}"
    assert to_json(parse_object(text, Path("x.json"))) == text


def test_text_is_plain_utf8_of_a_bounded_size(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_bytes(b"\xff")
    with pytest.raises(WeightsError, match=r"text is not UTF-8 text; fetch or export it again$"):
        read_text(file)
    with file.open("wb") as stream:
        stream.truncate(11)
    with pytest.raises(WeightsError, match=r"text has 11 bytes, more than the 10 allowed; fetch"):
        read_text(file, largest=10)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(WeightsError, match=r"pipe is not a plain file; fetch"):
        read_text(tmp_path / "pipe")


def test_toml_is_bounded_in_size_depth_and_dots(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_bytes(b"\xef\xbb\xbf[a]\nb = 1\n")
    assert read_toml(file) == {"a": {"b": 1}}
    file.write_text("a=" + "[" * 100_000)
    with pytest.raises(WeightsError) as caught:
        read_toml(file)
    assert str(caught.value) == (
        f"{file} is not valid TOML (line 1 nests deeper than the 8 levels allowed); fetch or export it again"
    )
    file.write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(WeightsError, match="has 1048577 bytes, more than the 1048576 allowed"):
        read_toml(file)


def test_the_advice_fits_what_is_read(tmp_path: Path) -> None:
    missing = tmp_path / "x.json"
    with pytest.raises(Unreadable, match=r"x\.json is missing; fetch or export it again$"):
        read_json(missing)
    refused = pytest.raises(WeightsError, match=r"x\.json is missing; start the run anew$")
    with refused, advising("go on"), advising("start the run anew"):
        read_json(missing)
    with pytest.raises(WriteError, match=r"^other$"), advising("start the run anew"):
        raise WriteError("other")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"^cannot read x: Permission denied$"), reading(Path("x")):
        raise PermissionError(errno.EACCES, "Permission denied")
