"""Lines of a long output: the form of each ending, appending, and a disk that is full."""

import gzip
import io
from pathlib import Path

import pytest

from ganlm_core.cli.lines import JSON, check_new, form_of, lines_to, read_texts
from ganlm_core.data.text_files import read_sentences
from ganlm_core.errors import DataError, UsageError, WriteError

TEXTS = ["a cat, a dog", 'he said "no"', "a\u2028b", "tab\tulated", "  spaces  around"]
READ = ["a cat, a dog", 'he said "no"', "a b", "tab\tulated", "spaces  around"]


@pytest.mark.parametrize("ending", ["txt", "csv", "tsv", "jsonl", "ndjson", "jsonl.gz", "CSV.GZ", "out"])
def test_a_file_written_under_a_name_is_read_under_it(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"s.{ending}"
    form = form_of(path, as_json=False)
    for texts in (TEXTS[:2], TEXTS[2:]):
        with lines_to(path, form) as write:
            write(texts)
    assert read_sentences(str(path))[0] == READ
    assert [text.strip() for text in read_texts(path, form)] == [
        text.replace("\u2028", " ") if form is not JSON else text for text in [each.strip() for each in TEXTS]
    ]


def test_json_in_a_file_of_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--json and --out .*s\.csv do not fit together; name the file .*s\.jsonl"):
        form_of(tmp_path / "s.csv", as_json=True)
    assert form_of(None, as_json=True) is JSON
    with pytest.raises(UsageError, match=r"s\.JSON would hold one array, .* name it .*s\.jsonl"):
        form_of(tmp_path / "s.JSON", as_json=False)
    with pytest.raises(UsageError, match=r"s\.json\.gz would hold one array, .* name it .*/s\.jsonl\.gz$"):
        form_of(tmp_path / "s.json.gz", as_json=False)


class Disk(io.FileIO):
    """A disk with room for so many bytes."""

    room = 20

    def write(self, data: bytes) -> int:  # type: ignore[override]
        if self.tell() >= self.room:
            raise OSError(28, "No space left on device")
        return super().write(bytes(data)[: self.room - self.tell()])


@pytest.mark.parametrize("name", ["s.txt", "s.csv", "s.txt.gz"])
def test_a_full_disk_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = tmp_path / name
    form = form_of(path, as_json=False)
    with lines_to(path, form) as write:
        write(["one", "two"])
    size = path.stat().st_size
    monkeypatch.setattr(Disk, "room", size + 5)
    open_file = Path.open
    monkeypatch.setattr(
        Path, "open", lambda self, mode, *rest, **named: Disk(self, mode) if "a" in mode else open_file(self, mode)
    )
    with pytest.raises(WriteError, match=r"cannot write .*: No space left on device"), lines_to(path, form) as write:
        write(["three hundred", "four hundred"])
    monkeypatch.undo()
    assert path.stat().st_size == size
    assert list(read_texts(path, form)) == ["one", "two"]


def test_a_cut_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "s.txt.gz"
    path.write_bytes(gzip.compress(b"one\ntwo\n")[:-4])
    with pytest.raises(DataError, match="was cut short; unpack it, remove its last line"):
        list(read_texts(path, form_of(path, as_json=False)))


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [("s.csv", "text\none\n\ntwo\n", 3), ("s.jsonl", '{"text": "one"}\n{"t": 1}\n', 2), ("s.jsonl", "[1]\n", 1)],
)
def test_a_file_of_another_program_is_refused_with_its_line(tmp_path: Path, name: str, content: str, line: int) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(DataError, match=f"{name}, line {line} is not from 'ganlm sample'; choose another file"):
        list(read_texts(path, form_of(path, as_json=False)))


@pytest.mark.parametrize("name", ["s.txt", "s.txt.gz"])
def test_nothing_is_added_behind_a_damaged_end(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    form = form_of(path, as_json=False)
    with lines_to(path, form) as write:
        write(["one", "two"])
    path.write_bytes(path.read_bytes()[:-2])
    before = path.read_bytes()
    with pytest.raises(DataError, match="was cut short; unpack it, remove its last line"), lines_to(path, form):
        pass
    assert path.read_bytes() == before


def test_an_existing_file_is_not_new(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="already exists; choose another file, or run away"):
        check_new(tmp_path, "run away")
