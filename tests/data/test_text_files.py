"""Corpora from the user's own files."""

import gzip
import io
import json
import os
import re
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from ganlm_core.data import mapped_lines, text_files
from ganlm_core.data.corpus import Corpus
from ganlm_core.data.mapped_lines import Lines, lookup, write_splits
from ganlm_core.data.options import SPLITS, FileOptions
from ganlm_core.data.text_files import file_corpus, read_sentences
from ganlm_core.errors import DataError, GanlmError, OptionError, UnknownName


@pytest.fixture(params=[2**20, 0], ids=["in memory", "kept"])
def cached(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The cache of the test. Files are read into memory, as small ones are, or through the cache, as large ones."""
    monkeypatch.setattr(text_files, "LARGE", request.param)
    monkeypatch.setenv("GANLM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


SENTENCES = [f"sentence number {i} ." for i in range(200)]


def contents(corpus: Corpus) -> list[str]:
    return sorted([*corpus.train, *corpus.validation, *corpus.test])


def load(path: Path, data: str | bytes, column: str = "text") -> Corpus:
    raw = data.encode() if isinstance(data, str) else data
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return file_corpus(FileOptions(path=str(path), column=column))


def as_csv(column: str = "text") -> str:
    return "\n".join([f"id,{column}", *(f'{i},"{text}"' for i, text in enumerate(SENTENCES))])


def as_jsonl(key: str = "text") -> str:
    return "\n".join(f'{{"id": 1, "{key}": "{text}"}}' for text in SENTENCES)


@pytest.mark.usefixtures("cached")
@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(
    ("name", "data"),
    [("a.txt", "\n".join(SENTENCES)), ("a.csv", as_csv()), ("a.jsonl", as_jsonl()), ("a.ndjson", as_jsonl() + "\n")],
)
def test_every_kind_of_file_gives_its_sentences(tmp_path: Path, name: str, data: str, suffix: str) -> None:
    corpus = load(tmp_path / (name + suffix), data)
    assert contents(corpus) == sorted(SENTENCES)
    assert corpus.notes == ()


@pytest.mark.usefixtures("cached")
@pytest.mark.parametrize(("name", "data"), [("a.csv", as_csv("title")), ("a.jsonl", as_jsonl("title"))])
def test_the_column_is_chosen_by_name(tmp_path: Path, name: str, data: str) -> None:
    assert contents(load(tmp_path / name, data, column="title")) == sorted(SENTENCES)


@pytest.mark.usefixtures("cached")
def test_standard_input_is_read_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(SENTENCES).encode())))
    assert contents(file_corpus(FileOptions(path="-"))) == sorted(SENTENCES)
    monkeypatch.setattr(sys, "stdin", None)  # as Python sets it for a process without one
    with pytest.raises(DataError, match="standard input is closed; pipe text into it, or name a file"):
        file_corpus(FileOptions(path="-"))


@pytest.mark.usefixtures("cached")
def test_byte_order_marks_line_ends_and_outer_white_space_are_dropped(tmp_path: Path) -> None:
    data = "\ufeff" + "\r\n".join(f"  {text}\t" for text in SENTENCES)
    assert contents(load(tmp_path / "a.txt", data)) == sorted(SENTENCES)


@pytest.mark.usefixtures("cached")
def test_line_breaks_inside_a_value_become_spaces(tmp_path: Path) -> None:
    data = as_csv().replace(" number ", "\nnumber ")
    assert contents(load(tmp_path / "a.csv", data)) == sorted(SENTENCES)


@pytest.mark.usefixtures("cached")
def test_blank_lines_and_repeats_are_noted(tmp_path: Path) -> None:
    corpus = load(path := tmp_path / "a.txt", "\n\n".join([*SENTENCES, *SENTENCES[:50]]))
    assert corpus.notes == (
        f"{path}: 249 blank lines skipped",
        f"{path}: 50 of 250 sentences (20.0%) repeat another",
    )


@pytest.mark.usefixtures("cached")
def test_large_numbers_have_separators(tmp_path: Path) -> None:
    corpus = load(path := tmp_path / "a.txt", "\n\n".join(SENTENCES * 10))
    assert corpus.notes == (
        f"{path}: 1,999 blank lines skipped",
        f"{path}: 1,800 of 2,000 sentences (90.0%) repeat another",
    )


REFUSALS = [
    ("a.txt", b"", "{} is empty; give a file with one sentence per line"),
    ("a.txt", b"\n \n\t\n", "{} has no text; give a file with one sentence per line"),
    ("a.txt", b"text\0more", "{} has NUL bytes, so it is binary or UTF-16; give text in UTF-8"),
    ("a.txt", b"one\ntwo\ncaf\xe9\n", "{}, line 3 is not UTF-8; convert the file to UTF-8"),
    (
        "a.txt",
        b"one line\n",
        "{} has too few different sentences (1) to set some aside for validation and testing; "
        "give at least 100 different ones",
    ),
    (
        "a.csv",
        b"id,txt\n1,hello\n",
        "there is no column 'text' in {}; did you mean 'txt'? it has id, txt; name one with --corpus.column",
    ),
    (
        "a.csv",
        b"text\n" + b"x" * 1_048_577,
        "{}, line 2 has more than 1,048,576 characters; break it, or raise --corpus.max-line",
    ),
    (
        "a.jsonl",
        b'{"text": "fine"}\n\n{"text": \n',
        "{}, line 3 is not JSON: Expecting value: line 1 column 10 (char 9); correct the line",
    ),
    ("a.jsonl", b"3\n", "{}, line 1 is a JSON int; wanted an object with the key 'text'"),
    (
        "a.jsonl",
        b'{"title": "x"}\n',
        "there is no key 'text' in {}, line 1; it has title; name one with --corpus.column",
    ),
    (
        "a.jsonl",
        b'{"text": 3}\n',
        "{}, line 1 has a value under 'text' that is not text; give a string of valid Unicode",
    ),
    (
        "a.jsonl",
        b'{"text": "\\ud800"}\n',
        "{}, line 1 has a value under 'text' that is not text; give a string of valid Unicode",
    ),
]


@pytest.mark.usefixtures("cached")
@pytest.mark.parametrize(("name", "data", "message"), REFUSALS)
def test_a_file_that_cannot_be_read_is_refused_with_its_line(
    tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    with pytest.raises((DataError, UnknownName)) as caught:
        load(tmp_path / name, data)
    assert str(caught.value) == message.format(tmp_path / name)


@pytest.mark.usefixtures("cached")
def test_json_nested_too_deep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"item 1 is not JSON of at most .* maximum recursion depth exceeded"):
        load(tmp_path / "a.jsonl", "[" * 200_000)
    with pytest.raises(DataError, match=r"line 1 is not JSON: maximum recursion depth exceeded"):
        load(tmp_path / "a.jsonl", '{"text": ' + "[" * 200_000)


def refusal(path: str) -> str:
    with pytest.raises(GanlmError) as caught:
        file_corpus(FileOptions(path=path))
    assert isinstance(caught.value, DataError | OptionError)
    return str(caught.value)


@pytest.mark.usefixtures("cached")
def test_a_path_that_is_not_a_file_is_refused(tmp_path: Path) -> None:
    assert refusal("") == "the corpus 'file' has no path; name a file with --data FILE"
    missing = tmp_path / "missing.txt"
    assert refusal(str(missing)) == f"there is no file {missing}; check the path"
    assert refusal(str(tmp_path)) == f"{tmp_path} is a folder; name one file in it"
    cut = tmp_path / "cut.txt.gz"
    cut.write_bytes(gzip.compress(b"text " * 100)[:-10])
    expected = f"{cut} is not a whole gzip file (Compressed file ended before the end-of-stream marker was reached)"
    assert refusal(str(cut)) == f"{expected}; pack it again"
    cut.write_bytes(b"plain text")
    assert refusal(str(cut)).startswith(f"{cut} is not a whole gzip file (Not a gzipped file")


def test_wrong_bytes_are_found_with_their_line_in_any_chunk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(text_files, "CHUNK", 4)
    for data, line in ((b"one\ntwo\n\xe9ree\n", 3), ("né\n".encode() * 9 + b"caf\xc3", 10), (b"a\n\n\xc3\n\xff", 3)):
        with pytest.raises(DataError, match=rf", line {line} is not UTF-8; convert the file to UTF-8$"):
            load(tmp_path / "a.txt", data)
    # What is binary is told as such, wherever its zeros are.
    with pytest.raises(DataError, match=r" has NUL bytes, so it is binary or UTF-16; give text in UTF-8$"):
        load(tmp_path / "a.txt", b"caf\xe9\n" * 9 + b"\0")


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.txt"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("\n".join(SENTENCES),))
    writer.start()
    assert contents(file_corpus(FileOptions(path=str(pipe)))) == sorted(SENTENCES)
    writer.join()


KINDS_OF_FILES = {
    "a.txt": "\r\n".join([*SENTENCES, "", "  two\x0bparts\u2028of one line  ", *SENTENCES[:9]]),
    "a.csv": as_csv() + "\nid,\n" + '7,"in two\nlines"\n7,"in two\nlines"\n',
    "a.jsonl": as_jsonl() + '\n\n{"text": "naïve café 日本"}\n',
}


@pytest.mark.parametrize("name", KINDS_OF_FILES)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_corpus_in_the_cache_equals_the_corpus_in_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, suffix: str
) -> None:
    """Parts, their order and notes; and it is not read again."""
    monkeypatch.setenv("GANLM_CACHE", str(tmp_path / "cache"))
    in_memory = load(path := tmp_path / (name + suffix), KINDS_OF_FILES[name])
    assert in_memory.cache is None and not (tmp_path / "cache").exists()
    monkeypatch.setattr(text_files, "LARGE", 0)
    first = file_corpus(FileOptions(path=str(path)))
    monkeypatch.delattr(text_files, "write_splits")
    second = file_corpus(FileOptions(path=str(path)))
    assert first.cache == second.cache == next((tmp_path / "cache" / "corpora").glob("*/SHA256SUMS")).parent
    for corpus in (first, second):
        assert corpus.notes == in_memory.notes != ()
        for part in ("train", "validation", "test"):
            assert isinstance(getattr(corpus, part), Lines)
            assert list(getattr(corpus, part)) == getattr(in_memory, part)


def test_other_text_or_another_column_is_another_corpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GANLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(text_files, "LARGE", 0)
    both = "id,text,title\n" + "\n".join(f'{i},"{text}","title {text}"' for i, text in enumerate(SENTENCES))
    found = [
        load(tmp_path / "a.csv", both),
        load(tmp_path / "a.csv", both, column="title"),
        load(tmp_path / "a.txt", both),
        load(tmp_path / "a.txt", both + "\nmore"),
    ]
    assert len({corpus.cache for corpus in found}) == len({len(corpus.train[0]) for corpus in found[:3]}) + 1 == 4
    # The same text under another name is the same one, unpacked or not, and told by its name.
    again = load(tmp_path / "b.log.gz", both)
    assert (again.cache, again.name) == (found[2].cache, str(tmp_path / "b.log.gz"))


def test_sentences_stay_in_memory_if_the_cache_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GANLM_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(text_files, "LARGE", 0)
    corpus = load(tmp_path / "a.txt", "\n".join(SENTENCES))
    assert contents(corpus) == sorted(SENTENCES)
    assert corpus.cache is None
    (note,) = corpus.notes
    assert re.sub("[0-9a-f]{32}", "KEY", note) == (
        f"cannot write {tmp_path}/file/corpora/KEY: Not a directory; "
        "a part of the path is a file, choose another place; the data are held in memory instead"
    )


def test_bounds_hold_for_text_in_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GANLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(text_files, "LARGE", 0)
    path = tmp_path / "a.txt"
    assert load(path, "\n".join(SENTENCES)).cache is not None
    with pytest.raises(DataError, match="more than 10 sentences"):
        file_corpus(FileOptions(path=str(path), max_sentences=10))
    with pytest.raises(DataError, match="more than 10 characters"):
        file_corpus(FileOptions(path=str(path), max_line=10))


def test_a_file_that_grows_while_it_is_read_is_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GANLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(text_files, "LARGE", 0)
    path = tmp_path / "a.txt"

    def grow(folder: Path, texts: Iterable[str]) -> list[mapped_lines.Sizes]:
        sizes = write_splits(folder, texts)
        with path.open("a") as file:
            file.write("\nmore")
        return sizes

    monkeypatch.setattr(text_files, "write_splits", grow)
    with pytest.raises(DataError) as caught:
        load(path, "\n".join(SENTENCES))
    assert str(caught.value) == f"{path} changed while it was read; run again when no other program writes to it"
    assert not [*tmp_path.glob("cache/corpora/*/SHA256SUMS")]


def test_files_of_sentences_are_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n".join(["one", "", "two", "one"]))
    path = str(tmp_path / "a.txt")
    read = read_sentences(path)
    assert (read.texts, read.facts.blank) == (["one", "two", "one"], 1)
    assert read.notes == (f"{path}: 1 blank lines skipped",)


def test_a_file_of_sentences_that_looks_like_another_format_is_told(tmp_path: Path) -> None:
    path = tmp_path / "samples.txt"
    path.write_text(as_jsonl())
    (note,) = read_sentences(str(path)).notes
    assert note.startswith(f"{path} looks like JSON") and "is read as plain text" in note


@pytest.mark.usefixtures("cached")
@pytest.mark.parametrize("name", ["LINES.TXT.GZ", "LINES.CSV", "Lines.TSV.gz", "LINES.Json"])
def test_endings_are_read_in_small_or_capital_letters(tmp_path: Path, name: str) -> None:
    data = {
        "LINES.TXT.GZ": "\n".join(SENTENCES),
        "LINES.CSV": as_csv(),
        "Lines.TSV.gz": as_csv().replace(",", "\t"),
        "LINES.Json": "[" + as_jsonl().replace("\n", ",\n") + "]",
    }[name].encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.lower().endswith(".gz") else data)
    assert contents(file_corpus(FileOptions(path=str(tmp_path / name)))) == sorted(SENTENCES)


@pytest.mark.usefixtures("cached")
@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r", "\v", "\f", "\x1f", "\x85", "\u2028", "\u2029"])
def test_no_line_break_is_left_inside_a_sentence(tmp_path: Path, line_break: str) -> None:
    values = [f"two{line_break}lines {number}" for number in range(200)]
    records = "\n".join(json.dumps({"text": value}) for value in values)
    assert contents(load(tmp_path / "a.jsonl", records)) == sorted(f"two lines {number}" for number in range(200))
    if line_break not in ("\n", "\r\n"):
        assert contents(load(tmp_path / "a.txt", "\n".join(values))) == sorted(
            f"two lines {number}" for number in range(200)
        )


@pytest.mark.usefixtures("cached")
@pytest.mark.parametrize(
    ("first", "kind"), [('{"text": "a"}', "JSON"), ("id\ttext", "TSV"), ("id,text", "CSV"), ("<html>", "XML or HTML")]
)
def test_plain_text_that_looks_like_another_format_is_noted(tmp_path: Path, first: str, kind: str) -> None:
    corpus = load(path := tmp_path / "a.txt", "\n".join(["", first, *SENTENCES]))
    assert corpus.notes == (
        f"{path} looks like {kind} but is read as plain text, one sentence per line; "
        "files named .csv, .tsv, .json and .jsonl are read by column or key",
        f"{path}: 1 blank lines skipped",
    )


@pytest.mark.usefixtures("cached")
def test_copies_are_counted_whatever_their_white_space(tmp_path: Path) -> None:
    again = [text.replace(" ", "  ") for text in SENTENCES[:30]] + [text.replace(" ", "\t") for text in SENTENCES[:20]]
    corpus = load(path := tmp_path / "a.txt", "\n".join([*SENTENCES, *again]))
    assert corpus.notes == (f"{path}: 50 of 250 sentences (20.0%) repeat another",)
    known = lookup(corpus.train)
    assert not any(text in known for text in [*corpus.validation, *corpus.test])


@pytest.mark.usefixtures("cached")
@pytest.mark.parametrize(
    ("name", "bound", "message"),
    [
        ("a.txt", {"max_size": 4000}, " has more than 4,000 bytes of text; raise --corpus.max-size"),
        ("a.txt.gz", {"max_size": 4000}, " has more than 4,000 bytes of text; raise --corpus.max-size"),
        ("a.txt", {"max_sentences": 199}, " has more than 199 sentences; raise --corpus.max-sentences"),
        ("a.txt", {"max_line": 20}, ", line 101 has more than 20 characters; break it, or raise --corpus.max-line"),
    ],
)
def test_a_file_beyond_a_bound_is_refused(tmp_path: Path, name: str, bound: dict[str, int], message: str) -> None:
    data = "\n".join(SENTENCES).encode()
    (path := tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    with pytest.raises(DataError) as caught:
        file_corpus(FileOptions(path=str(path), **bound))
    assert str(caught.value) == f"{path}{message}"
    (option,) = bound
    assert len(contents(file_corpus(FileOptions(path=str(path), **{option: bound[option] * 2})))) == 200


def test_a_pipe_that_never_ends_is_read_up_to_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            buffer[:] = b"a\n" * (len(buffer) // 2) + b"\n" * (len(buffer) % 2)
            return len(buffer)

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Endless())))
    with pytest.raises(DataError) as caught:
        file_corpus(FileOptions(path="-", max_size=3 * 2**20))
    assert str(caught.value) == "standard input has more than 3,145,728 bytes of text; raise --corpus.max-size"


def labelled(path: Path) -> Corpus:
    rows = [
        {"prompt": "sentence", "completion": f" number {i} .", "label": ["even", "odd"][i % 2], "id": i}
        for i in range(200)
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    return file_corpus(FileOptions(path=str(path), label="label"))


@pytest.mark.usefixtures("cached")
def test_labels_prompts_and_further_columns_stay_beside_their_sentences(tmp_path: Path) -> None:
    corpus = labelled(tmp_path / "a.jsonl")
    assert contents(corpus) == sorted(SENTENCES) and corpus.labels == ("even", "odd")
    for name in SPLITS:
        texts, beside = getattr(corpus, name), corpus.beside(name)
        numbers = [int(text.split()[2]) for text in texts]
        assert list(beside.labels) == [["even", "odd"][number % 2] for number in numbers]
        assert list(beside.prompts) == ["sentence"] * len(texts) and beside.prompts[:2] == ["sentence"] * 2
        assert list(beside.others["id"]) == list(map(str, numbers)) and beside.ask


@pytest.mark.usefixtures("cached")
def test_a_column_of_labels_that_is_not_used_is_told(tmp_path: Path) -> None:
    corpus = load(tmp_path / "a.csv", "text,label\n" + "\n".join(f"{text},x" for text in SENTENCES))
    told = f"{tmp_path / 'a.csv'} has a column 'label'; --corpus.label label lets the model write text of a label"
    assert corpus.notes == (told,) and corpus.labels == () and not corpus.beside("train").ask


def test_the_sentences_of_a_file_come_with_their_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label,prompt\nis good,x,it \n\nis bad,y,\n")
    read = read_sentences(str(tmp_path / "a.csv"), label="label", prompt="prompt")
    assert (read.texts, read.columns.labels, read.columns.prompts) == (
        ["it is good", "is bad"],
        ["x", "y"],
        ["it ", ""],
    )
    assert read.facts.blank == 1
