"""Sentences from the user's own file: plain text, CSV or JSON lines, gzipped or not, or standard input.

A file is read as a stream, and what is large is kept in the user's cache in the form in which it is used, so that
neither its size nor the number of its sentences is in memory, and the next run need not read it again.
"""

import codecs
import csv
import gzip
import hashlib
import io
import json
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO

from ganlm_core.data.corpus import SPLITS, Corpus, split, too_few
from ganlm_core.data.mapped_lines import Lines, write_splits
from ganlm_core.data.options import FileOptions
from ganlm_core.data.text import identity, one_line
from ganlm_core.errors import DataError, OptionError, UnknownName, WriteError
from ganlm_core.system.cache import cache, kept
from ganlm_core.system.files import read_json, write_json

STANDARD_INPUT = "-"

LARGE = 2**20
"""The least bytes that are worth a place in the cache; fewer are read and encoded in less than a second."""

FORMAT = 2
"""Part of every key in the cache: another number for another form of what is kept."""

CHUNK = 2**20
FACTS = "facts.json"


def file_corpus(options: FileOptions) -> Corpus:
    """The sentences of :func:`read_sentences` in their parts. Raises as that does, and as :func:`split`."""
    if not options.path:
        raise OptionError("the corpus 'file' has no path; name a file with --data FILE")
    with _opened(options.path) as text:
        notes: list[str] = []
        if text.size >= LARGE:
            try:
                return _kept(text, options.column)
            except WriteError as error:
                notes.append(f"{error}; the data are held in memory instead")
        sentences = list(text.sentences(options.column))
        notes += _notes(text.name, text.blank, len(sentences), len(set(map(identity, sentences))))
        return split(text.name, sentences, notes=tuple(notes))


def read_sentences(path: str, column: str = "text") -> tuple[list[str], int]:
    """The sentences of a file and how many blank ones were left out. Its ending says how it is read.

    ``.csv`` and ``.jsonl`` or ``.ndjson`` give the values under ``column``, anything else a sentence a line; a further
    ``.gz`` is unpacked; ``-`` is standard input as text. Line breaks inside a value become spaces, surrounding white
    space is dropped. Raises DataError for what cannot be read, naming the line, and UnknownName for a column that is
    not there.
    """
    with _opened(path) as text:
        return list(text.sentences(column)), text.blank


def _kept(text: "_Text", column: str) -> Corpus:
    """A corpus whose sentences are in the cache. Raises WriteError where they cannot be."""
    form = f"{text.kind}/{column}" if text.kind else ""
    key = hashlib.sha256(f"{FORMAT}/{form}/{text.sha256}".encode()).hexdigest()[:32]
    folder = kept(cache() / "corpora" / key, lambda place: _write(place, text, column), f"reading {text.name}")
    train, validation, test = (Lines(folder, split) for split in SPLITS)
    return Corpus(
        text.name, train, validation, test, notes=_notes(text.name, **read_json(folder / FACTS)), cache=folder
    )


def _write(folder: Path, text: "_Text", column: str) -> None:
    parts = write_splits(folder, text.sentences(column))
    total, different = (sum(sizes) for sizes in zip(*parts, strict=True))
    if not all(part.total for part in parts):
        raise too_few(text.name, different)
    if _check(text.name, text.stream)[1] != text.sha256:
        raise DataError(f"{text.name} changed while it was read; run again when nothing writes to it")
    write_json(folder / FACTS, {"blank": text.blank, "total": total, "different": different})


@dataclass
class _Text:
    """UTF-8 text that was looked through once and can be read again. ``kind`` is the ending, if it is one of READERS.

    ``blank``: the values without text that the last reading left out.
    """

    name: str
    stream: BinaryIO
    kind: str
    size: int
    sha256: str
    blank: int = 0

    def sentences(self, column: str) -> Iterator[str]:
        found, self.blank = 0, 0
        for value in self._values(column):
            found += bool(value)
            self.blank += not value
            if value:
                yield value
        if not found:
            raise DataError(f"{self.name} has only blank lines; give a file with one sentence a line")

    def _values(self, column: str) -> Iterator[str]:
        self.stream.seek(0)
        text = io.TextIOWrapper(self.stream, encoding="utf-8-sig")  # which makes every line break a \n
        try:
            for value in _READERS.get(self.kind, _lines)(self.name, text, column):
                yield value.replace("\n", " ").strip()
        finally:
            text.detach()


@contextmanager
def _opened(path: str) -> Iterator[_Text]:
    name = "standard input" if path == STANDARD_INPUT else path
    ending = Path(path.removesuffix(".gz")).suffix.lower()
    try:
        with _stream(path) as stream:
            yield _Text(name, stream, ending if ending in _READERS else "", *_check(name, stream))
    except FileNotFoundError:
        raise DataError(f"there is no file {path}; check the path") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder; name one file in it") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is no whole gzip file ({error}); pack it again") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; check the path and its permissions") from None


@contextmanager
def _stream(path: str) -> Iterator[BinaryIO]:
    """The bytes of a file, unpacked, from the first. What can be read only once, a pipe, is in memory."""
    if path == STANDARD_INPUT:
        yield io.BytesIO(sys.stdin.buffer.read())
        return
    with Path(path).open("rb") as file:
        stream = file if file.seekable() else io.BytesIO(file.read())
        yield gzip.GzipFile(fileobj=stream) if path.endswith(".gz") else stream  # type: ignore[misc]


def _check(name: str, stream: BinaryIO) -> tuple[int, str]:
    """The size and the SHA-256 of what is text in UTF-8. Raises DataError for anything else."""
    stream.seek(0)
    digest, decoder = hashlib.sha256(), codecs.getincrementaldecoder("utf-8")()
    size = lines = wrong = 0
    while chunk := stream.read(CHUNK):
        if b"\0" in chunk:
            raise DataError(f"{name} has NUL bytes, so it is binary or UTF-16; give text in UTF-8")
        wrong = wrong or _wrong_line(decoder, chunk, lines)
        lines += chunk.count(b"\n")
        size += len(chunk)
        digest.update(chunk)
    if size == 0:
        raise DataError(f"{name} is empty; give a file with one sentence a line")
    if wrong := wrong or _wrong_line(decoder, b"", lines):
        raise DataError(f"{name}, line {wrong} is not UTF-8; convert the file to UTF-8")
    return size, digest.hexdigest()


def _wrong_line(decoder: codecs.IncrementalDecoder, chunk: bytes, lines: int) -> int:
    """The number of the first line that is not UTF-8, or 0. The chunk begins after ``lines`` line breaks."""
    try:
        decoder.decode(chunk, final=not chunk)
    except UnicodeDecodeError as error:
        return lines + error.object.count(b"\n", 0, error.start) + 1
    return 0


def _lines(name: str, text: TextIO, column: str) -> Iterator[str]:
    for line in text:
        yield line.removesuffix("\n")


def _csv(name: str, text: TextIO, column: str) -> Iterator[str]:
    rows = csv.DictReader(text, strict=True)
    try:
        header = rows.fieldnames or []
        if column not in header:
            hint = f"it has {', '.join(header)}; name one with --corpus.column"
            raise UnknownName(f"column of {name}", column, header, hint)
        for row in rows:
            yield row[column] or ""
    except csv.Error as error:
        raise DataError(f"{name}, line {rows.reader.line_num} is not CSV: {error}; mend the line") from None


def _json_lines(name: str, text: TextIO, column: str) -> Iterator[str]:
    for number, line in enumerate(_lines(name, text, column), start=1):
        yield _json_value(f"{name}, line {number}", line, column) if line.strip() else ""


def _json_value(where: str, line: str, key: str) -> str:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is not JSON: {error}; mend the line") from None
    if not isinstance(record, dict):
        raise DataError(f"{where} is a JSON {type(record).__name__}; wanted an object with the key '{key}'")
    if key not in record:
        hint = f"it has {', '.join(record)}; name one with --corpus.column"
        raise UnknownName(f"key of {where}", key, record, hint)
    value = record[key]
    if not isinstance(value, str) or not _is_unicode(value):
        raise DataError(f"{where} has a value under '{key}' that is not text; give a string of valid Unicode")
    return value


def _is_unicode(value: str) -> bool:
    """False for half a surrogate pair, which JSON can spell and UTF-8 cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


_READERS: dict[str, Callable[[str, TextIO, str], Iterator[str]]] = {
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
}


def _notes(name: str, blank: int, total: int, different: int) -> tuple[str, ...]:
    notes = []
    if blank:
        notes.append(f"{name}: {blank:,} blank lines skipped")
    if repeats := total - different:
        notes.append(f"{name}: {repeats:,} of {total:,} sentences ({repeats / total:.1%}) repeat another")
    return tuple(notes)
