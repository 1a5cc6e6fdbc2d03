"""SHA256SUMS: the names that it lists, and files that were changed."""

from pathlib import Path

import pytest

from ganlm_core.errors import Unreadable, WeightsError
from ganlm_core.system.files import write_json
from ganlm_core.system.printable import shown
from ganlm_core.system.sums import SUMS, check_sum, read_sums, write_sums
from tests.disasters import fill


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "..",
        ".",
        "a/b",
        "a\\b",
        "C:",
        "a:stream",
        "a\0b",
        "a\x1b[2J",
        ".hub.json",
        "a.",
        "a b",
        "ä",
        "a" * 300,
        "CON",
        "aux.txt",
        "com1.json",
    ],
)
def test_checksums_list_only_plain_names(tmp_path: Path, name: str) -> None:
    (tmp_path / SUMS).write_text(f"{'0' * 64}  {name}\n", encoding="utf-8")
    with pytest.raises(WeightsError) as caught:
        read_sums(tmp_path)
    assert str(caught.value) == f"{tmp_path / SUMS} lists {shown(name)}, which is no plain file name; do not use it"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "lists no files"),
        ("nonsense\n", "line 1: wanted a SHA-256 and a file name"),
        (f"{'0' * 64}  a\n" * 2, "lists 'a' twice"),
        (f"{'0' * 64}  config.json\n{'0' * 64}  Config.json\n", "lists 'Config.json' twice"),
    ],
)
def test_refused_checksums(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / SUMS).write_text(text)
    with pytest.raises(Unreadable) as caught:
        read_sums(tmp_path)
    assert reason in str(caught.value) and str(caught.value).endswith("; fetch or export it again")


def test_checksums_are_compared_with_the_files(tmp_path: Path) -> None:
    fill(tmp_path, "text\r\n")
    write_sums(tmp_path)
    sums = read_sums(tmp_path)
    assert set(sums) == {"a", "b"}
    check_sum(tmp_path, "a", sums)
    (tmp_path / "a").write_text("other")
    with pytest.raises(Unreadable, match="a was changed or damaged: its SHA-256 is not the one in SHA256SUMS; fetch"):
        check_sum(tmp_path, "a", sums)
    with pytest.raises(Unreadable, match="SHA256SUMS does not list c; fetch"):
        check_sum(tmp_path, "c", sums)


def test_changed_line_ends_are_explained(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": 1})
    write_sums(tmp_path)
    (tmp_path / "x.json").write_bytes((tmp_path / "x.json").read_bytes().replace(b"\n", b"\r\n"))
    with pytest.raises(WeightsError, match=r"git \(core\.autocrlf\) or an editor made its line ends CRLF; fetch"):
        check_sum(tmp_path, "x.json", read_sums(tmp_path))


def test_weights_of_another_size_than_their_header_says_are_not_hashed(tmp_path: Path) -> None:
    """A sparse file of a terabyte takes no room on the disk, and an hour to hash."""
    path, header = tmp_path / "generator.safetensors", b"{}"
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(10 + 2**40)
    with pytest.raises(Unreadable) as caught:
        check_sum(tmp_path, path.name, {path.name: "0" * 64})
    assert str(caught.value) == (
        f"{path} is no valid safetensors file: it has bytes that belong to no tensor: "
        "its tensors want 0 bytes, it has 1099511627776; fetch or export it again"
    )
