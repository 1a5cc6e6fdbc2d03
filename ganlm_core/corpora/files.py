"""Sentences from the user's own file: plain text, CSV or JSON lines, gzipped or not, or standard input."""

import csv
import gzip
import io
import json
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from ganlm_core.corpora import Corpus, split
from ganlm_core.errors import DataError, OptionError, UnknownName
from ganlm_core.standard import FileOptions

STANDARD_INPUT = "-"


def file_corpus(options: FileOptions) -> Corpus:
    """The sentences of :func:`read_sentences` in their parts. Raises as that does, and as :func:`split`."""
    if not options.path:
        raise OptionError("the corpus 'file' has no path; name a file with --data FILE")
    name, (sentences, blank) = _name(options.path), read_sentences(options.path, options.column)
    return split(name, sentences, notes=_notes(name, sentences, blank))


def read_sentences(path: str, column: str = "text") -> tuple[list[str], int]:
    """The sentences of a file and how many blank ones were left out. Its ending says how it is read.

    ``.csv`` and ``.jsonl`` or ``.ndjson`` give the values under ``column``, anything else a sentence a line; a further
    ``.gz`` is unpacked; ``-`` is standard input as text. Line breaks inside a value become spaces, surrounding white
    space is dropped. Raises DataError for what cannot be read, naming the line, and UnknownName for a column that is
    not there.
    """
    name = _name(path)
    text = _text(name, _bytes(path))
    read = _READERS.get(Path(path.removesuffix(".gz")).suffix.lower(), _lines)
    values = [" ".join(value.split("\n")).strip() for value in read(name, text, column)]
    sentences = [value for value in values if value]
    if not sentences:
        raise DataError(f"{name} has only blank lines; give a file with one sentence a line")
    return sentences, len(values) - len(sentences)


def _name(path: str) -> str:
    return "standard input" if path == STANDARD_INPUT else path


def _bytes(path: str) -> bytes:
    if path == STANDARD_INPUT:
        return sys.stdin.buffer.read()
    try:
        data = Path(path).read_bytes()
        return gzip.decompress(data) if path.endswith(".gz") else data
    except FileNotFoundError:
        raise DataError(f"there is no file {path}; check the path") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder; name one file in it") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is no whole gzip file ({error}); pack it again") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; check the path and its permissions") from None


def _text(name: str, data: bytes) -> str:
    """UTF-8 to text, without the byte order mark and with ``\\n`` for every kind of line break."""
    if not data:
        raise DataError(f"{name} is empty; give a file with one sentence a line")
    if b"\0" in data:
        raise DataError(f"{name} has NUL bytes, so it is binary or UTF-16; give text in UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{name}, line {line} is not UTF-8; convert the file to UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _lines(name: str, text: str, column: str) -> Iterator[str]:
    yield from text.removesuffix("\n").split("\n")


def _csv(name: str, text: str, column: str) -> Iterator[str]:
    rows = csv.DictReader(io.StringIO(text, newline=""))
    try:
        header = rows.fieldnames or []
        if column not in header:
            hint = f"it has {', '.join(header)}; name one with --corpus.column"
            raise UnknownName(f"column of {name}", column, header, hint)
        for row in rows:
            yield row[column] or ""
    except csv.Error as error:
        raise DataError(f"{name}, line {rows.reader.line_num} is not CSV: {error}; mend the line") from None


def _json_lines(name: str, text: str, column: str) -> Iterator[str]:
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


_READERS: dict[str, Callable[[str, str, str], Iterator[str]]] = {
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
}


def _notes(name: str, sentences: list[str], blank: int) -> tuple[str, ...]:
    notes = []
    if blank:
        notes.append(f"{name}: {blank:,} blank lines skipped")
    if repeats := len(sentences) - len(set(sentences)):
        share = f"{repeats:,} of {len(sentences):,} sentences ({repeats / len(sentences):.1%})"
        notes.append(f"{name}: {share} repeat another")
    return tuple(notes)
