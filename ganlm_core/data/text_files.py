"""Sentences from the user's own file: plain text, CSV, TSV or JSON, gzipped or not, or standard input.

A file is read as a stream, and a large one is kept in the user's cache in the form in which it is used. So memory
does not grow with the file, and the next run need not read it again.
"""

import codecs
import gzip
import hashlib
import io
import json
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ganlm_core.data.corpus import Columns, Corpus, check_labels, split, too_few
from ganlm_core.data.file_facts import FileFacts
from ganlm_core.data.formats import READERS, TEXT, Record, format_of, is_packed, looks_like, read_plain
from ganlm_core.data.mapped_lines import Lines, read_columns, write_columns, write_splits
from ganlm_core.data.options import SPLITS, FileOptions
from ganlm_core.data.text import identity, one_line
from ganlm_core.errors import DataError, OptionError, WriteError
from ganlm_core.system.cache import cache, kept
from ganlm_core.system.files import read_json, write_json

STANDARD_INPUT = "-"

LARGE = 2**20
"""Files of at least this many bytes go into the cache; smaller ones are read and encoded in less than a second."""

FORMAT = 4
"""Part of every key in the cache: increase it when the format of the kept files changes."""

CHUNK = 2**20
FACTS = "facts.json"


def file_corpus(options: FileOptions) -> Corpus:
    """Return the sentences of :func:`read_sentences` in their splits. Raises their errors."""
    if not options.path:
        raise OptionError("the corpus 'file' has no path; name a file with --data FILE")
    return replace(_corpus(options), fixed_length=options.fixed_length)


def _corpus(options: FileOptions) -> Corpus:
    with _opened(options) as text:
        notes: list[str] = []
        if text.size >= LARGE:
            try:
                return _kept(text)
            except WriteError as error:
                notes.append(f"{error}; the data are held in memory instead")
        records = list(text.records())
        sentences = [record.text for record in records]
        repeated = len(sentences) - len(set(map(identity, sentences)))
        notes += text.notes(replace(text.facts, total=len(sentences), repeated=repeated))
        return split(text.name, sentences, notes=tuple(notes), columns=_columns(records))


class Read(NamedTuple):
    """The sentences of a file, and facts about it. ``columns`` are beside the sentences."""

    texts: list[str]
    facts: FileFacts
    name: str
    columns: Columns = Columns()

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes on a file whose blank sentences stay left out."""
        return tuple(self.facts.notes(self.name))


def read_sentences(path: str, column: str = "text", **others: Any) -> Read:
    """Return the sentences of a file.

    The ending of the file, in small or capital letters, says how it is read: ``.csv``, ``.tsv``, ``.json``, ``.jsonl``
    and ``.ndjson`` have the sentences under ``column``, every other file has one in each line. A further ``.gz`` is
    unpacked; ``-`` is standard input as plain text. Line breaks and control characters inside a value become spaces,
    surrounding white space is dropped. ``others`` are other options of :class:`FileOptions`. Raises DataError, which
    names the line, for text that cannot be read or exceeds a bound, and UnknownName for a missing column.
    """
    with _opened(FileOptions(path=path, column=column, **others)) as text:
        records = list(text.records())
        facts = replace(text.facts, unused=[])
        return Read([each.text for each in records], facts, text.name, _columns(records))


def _columns(records: list[Record]) -> Columns:
    """Return the columns of records; a column is left out if no record has a value in it."""
    names = dict.fromkeys(name for record in records for name, value in record.others.items() if value)
    return Columns(
        [record.label for record in records] if any(record.label for record in records) else (),
        [record.prompt for record in records] if any(record.prompt for record in records) else (),
        {name: [record.others.get(name, "") for record in records] for name in names},
    )


def _kept(text: "_Text") -> Corpus:
    """Return a corpus whose sentences are in the cache. Raises WriteError where they cannot be."""
    options = text.options
    columns = [options.column, options.label, options.prompt] if text.format else []
    asked = [FORMAT, text.format, *columns, options.max_line, options.max_sentences, text.sha256]
    key = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:32]
    folder = cache() / "corpora" / key
    return kept(folder, lambda place: _write(place, text), lambda place: _read(place, text), f"reading {text.name}")


def _read(folder: Path, text: "_Text") -> Corpus:
    train, validation, test = (Lines(folder, split) for split in SPLITS)
    facts = read_json(folder / FACTS)
    columns = read_columns(folder, facts.pop("columns"))
    notes = tuple(text.notes(FileFacts(**facts)))
    return check_labels(Corpus(text.name, train, validation, test, notes=notes, cache=folder, columns=columns))


def _write(folder: Path, text: "_Text") -> None:
    sizes = write_splits(folder, (record.text for record in text.records()))
    columns = write_columns(folder, text.records()) if text.has_columns else []
    total, different = (sum(each) for each in zip(*sizes, strict=True))
    if not all(each.total for each in sizes):
        raise too_few(text.name, different)
    if _check(text.name, text.stream, text.options.max_size)[1] != text.sha256:
        raise DataError(f"{text.name} changed while it was read; run again when no other program writes to it")
    facts = replace(text.facts, total=total, repeated=total - different)
    write_json(folder / FACTS, {**asdict(facts), "columns": columns})


@dataclass
class _Text:
    """UTF-8 text that was checked once and can be read again. ``format`` is the ending, if it is one of READERS.

    ``facts`` are about the last reading; ``has_columns`` says that a record has more than its text.
    """

    name: str
    stream: BinaryIO
    format: str
    options: FileOptions
    size: int
    sha256: str
    facts: FileFacts = field(default_factory=FileFacts)
    has_columns: bool = False

    def notes(self, facts: FileFacts) -> Iterator[str]:
        """Yield the notes on text to train on."""
        if not self.format and self.options.column != TEXT:
            yield f"{self.name} is plain text, which has no columns; --corpus.column has no effect on it"
        yield from facts.notes(self.name, self.options.column)

    def records(self) -> Iterator[Record]:
        """Yield the records that have text, each value on one line; the text begins with the prompt."""
        found, self.facts = 0, FileFacts()
        for value in self._values():
            if not value.text:
                continue
            found += 1
            if found == 1 and not self.format:
                self.facts.looks_like = looks_like(value.text, self.options.column)
            self.has_columns |= bool(value.label or value.prompt or value.others)
            if found > (most := self.options.max_sentences):
                raise DataError(f"{self.name} has more than {most:,} sentences; raise --corpus.max-sentences")
            yield value
        if not found:
            raise DataError(f"{self.name} has no text; give a file with one sentence per line")

    def _values(self) -> Iterator[Record]:
        self.stream.seek(0)
        text = io.TextIOWrapper(self.stream, encoding="utf-8-sig", newline="\n")
        try:
            for record in READERS.get(self.format, read_plain)(self.name, text, self.options):
                value = _on_one_line(record)
                self.facts.add(record, blank=not value.text)
                yield value
        finally:
            text.detach()


def _on_one_line(record: Record) -> Record:
    """Return a record whose text is one line that begins with the prompt, or empty if nothing follows the prompt."""
    text, prompt = one_line(record.text), one_line(record.prompt).lstrip()
    whole = f"{prompt}{text}".strip() if text.strip() else ""
    return record._replace(text=whole, prompt=prompt, label=one_line(record.label).strip())


@contextmanager
def _opened(options: FileOptions) -> Iterator[_Text]:
    path = options.path
    name = "standard input" if path == STANDARD_INPUT else path
    try:
        with _stream(path, options.max_size) as stream:
            yield _Text(name, stream, format_of(path), options, *_check(name, stream, options.max_size))
    except FileNotFoundError:
        raise DataError(f"there is no file {path}; check the path") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder; name one file in it") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is not a whole gzip file ({error}); pack it again") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; check the path and its permissions") from None


@contextmanager
def _stream(path: str, largest: int) -> Iterator[BinaryIO]:
    """Open a file as unpacked bytes, at the start. A pipe, which can be read only once, is held in memory."""
    if path == STANDARD_INPUT:
        if sys.stdin is None:
            raise DataError("standard input is closed; pipe text into it, or name a file")
        yield _held(sys.stdin.buffer, largest)
        return
    with Path(path).open("rb") as file:
        stream = file if file.seekable() else _held(file, largest)
        yield gzip.GzipFile(fileobj=stream) if is_packed(path) else stream  # type: ignore[misc]


def _held(stream: BinaryIO, largest: int) -> BinaryIO:
    """Return the bytes of a stream in memory; it stops soon after ``largest`` bytes."""
    held = io.BytesIO()
    while held.tell() <= largest and (chunk := stream.read(CHUNK)):
        held.write(chunk)
    held.seek(0)
    return held


def _check(name: str, stream: BinaryIO, largest: int) -> tuple[int, str]:
    """Return the size and the SHA-256 of UTF-8 text. Raises DataError for other data and for more than ``largest``."""
    stream.seek(0)
    digest, decoder = hashlib.sha256(), codecs.getincrementaldecoder("utf-8")()
    size = lines = wrong = 0
    while chunk := stream.read(CHUNK):
        if b"\0" in chunk:
            raise DataError(f"{name} has NUL bytes, so it is binary or UTF-16; give text in UTF-8")
        wrong = wrong or _wrong_line(decoder, chunk, lines)
        lines += chunk.count(b"\n")
        size += len(chunk)
        if size > largest:
            raise DataError(f"{name} has more than {largest:,} bytes of text; raise --corpus.max-size")
        digest.update(chunk)
    if size == 0:
        raise DataError(f"{name} is empty; give a file with one sentence per line")
    if wrong := wrong or _wrong_line(decoder, b"", lines):
        raise DataError(f"{name}, line {wrong} is not UTF-8; convert the file to UTF-8")
    return size, digest.hexdigest()


def _wrong_line(decoder: codecs.IncrementalDecoder, chunk: bytes, lines: int) -> int:
    """Return the number of the first line that is not UTF-8, or 0. The chunk begins after ``lines`` line breaks."""
    try:
        decoder.decode(chunk, final=not chunk)
    except UnicodeDecodeError as error:
        return lines + error.object.count(b"\n", 0, error.start) + 1
    return 0
