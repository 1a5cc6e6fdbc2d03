"""Formats of text files: plain lines, CSV and TSV by column, JSON lines and JSON arrays by key.

A reader takes the name of the file, for errors, its text and the options of the corpus, and yields a record per row.
The names of columns and keys are those of TRL: ``text``, or ``prompt`` and ``completion``, and ``label``.
"""

import csv
import gzip
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TextIO

from ganlm_core.data.options import FileOptions
from ganlm_core.errors import LONGEST_NAME, DataError, UnknownName


class Record(NamedTuple):
    """A row of a file: its ``text``, which continues the ``prompt``, its ``label``, and all other values by name."""

    text: str
    prompt: str = ""
    label: str = ""
    others: Mapping[str, str] = {}


Reader = Callable[[str, TextIO, FileOptions], Iterator[Record]]

TEXT, PROMPT, COMPLETION, LABEL = "text", "prompt", "completion", "label"

PACKED = ".gz"

RAISE = "raise --corpus.max-line"

FEW = 20
"""Names of columns or keys that a message lists."""

_OPEN, _SPACE, _AFTER_ITEM = re.compile(r"\s*\["), re.compile(r"\s*"), re.compile(r"\s*([,\]])")


def is_packed(path: str | Path) -> bool:
    """Return whether the ending of a file says that it is gzipped."""
    return str(path).lower().endswith(PACKED)


def unpacked(path: Path) -> BinaryIO | gzip.GzipFile:
    """Open a file, gzipped or not, as the bytes of its content."""
    return gzip.open(path) if is_packed(path) else path.open("rb")


def format_of(path: str) -> str:
    """Return the ending of a file, without ``.gz`` and in small letters, if it is one of READERS; else ``""``."""
    ending = re.search(r"\.[^./\\]*$", path.lower().removesuffix(PACKED))
    return ending[0] if ending and ending[0] in READERS else ""


def read_plain(name: str, text: TextIO, options: FileOptions) -> Iterator[Record]:
    """Yield a record for each line. Raises DataError for options that name columns, and as :func:`read_lines`."""
    if options.label or options.prompt:
        flag = "label" if options.label else "prompt"
        raise DataError(
            f"{name} is plain text, which has no columns; --corpus.{flag} is for CSV, TSV, JSON and JSONL files"
        )
    yield from map(Record, read_lines(name, text, options))


def read_lines(name: str, text: TextIO, options: FileOptions) -> Iterator[str]:
    """Yield each line with its end.

    Raises DataError for a line of more than ``max_line`` characters, and for lines that end with carriage returns.
    """
    number = 0
    while line := text.readline(options.max_line + 2):
        number += 1
        if number == 1 and not line.endswith("\n") and "\r" in line.rstrip("\r"):
            raise DataError(f"{name} ends its lines with carriage returns alone; end them with line feeds")
        if len(line.rstrip("\r\n")) > options.max_line:
            raise DataError(
                f"{name}, line {number} has more than {options.max_line:,} characters; break it, or {RAISE}"
            )
        yield line


class Layout(NamedTuple):
    """The names of the columns of a file that have the text, the prompt and the label; "" for none."""

    text: str
    prompt: str
    label: str

    def others(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if name not in self]


def layout_of(names: Collection[str], options: FileOptions) -> Layout:
    """Return the layout of a file with these columns or keys. Without ``text``, prompt and completion are read."""
    text, prompt = options.column, options.prompt
    if text == TEXT and TEXT not in names and COMPLETION in names and (prompt or PROMPT in names):
        text, prompt = COMPLETION, prompt or PROMPT
    return Layout(text, prompt, options.label)


def _read_csv(delimiter: str) -> Reader:
    def read(name: str, text: TextIO, options: FileOptions) -> Iterator[Record]:
        limit = csv.field_size_limit(options.max_line)
        rows = csv.reader(read_lines(name, text, options), delimiter=delimiter, strict=True)
        try:
            header = next(rows, [])
            layout = layout_of(header, options)
            place = _column(name, header, layout.text, "column")
            for used, flag in ((layout.prompt, "prompt"), (layout.label, "label")):
                if used:
                    _column(name, header, used, flag)
            for row in rows:
                where = f"{name}, line {rows.line_num}"
                if len(row) > len(header) or 0 < len(row) <= place:
                    raise _wrong_fields(where, row, header)
                yield _record(where, dict(zip(header, row, strict=False)), layout) if row else Record("")
        except csv.Error as error:
            hint = RAISE if "field limit" in str(error) else "correct the line"
            reason = str(error).partition(" - ")[0]  # the rest is advice to programmers
            raise DataError(f"{name}, line {rows.line_num} is not CSV: {reason}; {hint}") from None
        finally:
            csv.field_size_limit(limit)

    return read


def _record(where: str, row: Mapping[str, Any], layout: Layout) -> Record:
    """Return the record of a row whose text is a string. Raises DataError for a text that has no category as label."""
    text = row[layout.text]
    prompt = row.get(layout.prompt, "") if layout.prompt else ""
    label = _label(where, row.get(layout.label), layout.label) if layout.label and text.strip() else ""
    return Record(text, prompt, label, {name: _as_text(row[name]) for name in layout.others(row)})


def _label(where: str, value: Any, column: str) -> str:
    if isinstance(value, bool) or (isinstance(value, str) and value.strip().lower() in ("true", "false")):
        raise DataError(
            f"{where} has the boolean {str(value).strip()} as its label; a label is the name of a category, and a "
            "boolean does not say of which: write names, such as 'positive' and 'negative'"
        )
    if isinstance(value, int):
        return str(value)
    if value is None or (isinstance(value, str) and not value.strip()):
        raise DataError(f"{where} has no label under '{column}'; give every row one, or leave out --corpus.label")
    if not isinstance(value, str) or not _is_unicode(value):
        raise DataError(f"{where} has a label under '{column}' that is no category; give a string or a whole number")
    return value.strip()


def _as_text(value: Any) -> str:
    """Return a value of a further column as text; a value that is no string, as JSON, and "" for null."""
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=True)


def _column(name: str, header: Sequence[str], column: str, flag: str) -> int:
    if column not in header:
        raise UnknownName("column", column, header, _choice(header, flag), where=name)
    if header.count(column) > 1:
        raise DataError(f"{name} has {header.count(column)} columns '{column}'; rename all but one")
    return header.index(column)


def _wrong_fields(where: str, row: list[str], header: list[str]) -> DataError:
    return DataError(
        f"{where} has {len(row)} fields and the header has {len(header)}; "
        'put double quotes around text that contains the separator or a line break: "so, it is one field"'
    )


def _read_json(name: str, text: TextIO, options: FileOptions) -> Iterator[Record]:
    """Read an array of objects, or one object in each line."""
    if _first_character(text) == "[":
        for number, item in enumerate(_items(name, text, options.max_line), start=1):
            yield _object(f"{name}, item {number}", item, options)
        return
    for number, line in enumerate(read_lines(name, text, options), start=1):
        where = f"{name}, line {number}"
        yield _object(where, _parse(where, line), options) if line.strip() else Record("")


def _first_character(text: TextIO) -> str:
    """Return the first character that is not white space, then rewind the text."""
    while (character := text.read(1)).isspace():
        pass
    text.seek(0)
    return character


def _items(name: str, text: TextIO, longest: int) -> Iterator[Any]:
    """Yield the items of a JSON array. Three times ``longest`` characters of the text are in memory at most."""
    decoder, number, held = json.JSONDecoder(), 0, text.read(2 * longest)
    place = _end(_OPEN, held, 0)
    empty = _AFTER_ITEM.match(held, place)
    sign, place = (empty[1], empty.end()) if empty else (",", place)
    while sign != "]":
        number += 1
        place = _end(_SPACE, held, place)
        try:
            item, end = decoder.raw_decode(held, place)
            after = _AFTER_ITEM.match(held, end)
            if after is None or end - place > longest:
                raise ValueError("it is too long, or no ',' or ']' is behind it")
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{name}, item {number} is not JSON of at most {longest:,} characters: {error}; correct it, or {RAISE}"
            ) from None
        yield item
        sign, place = after[1], after.end()
        if place > longest:
            held, place = held[place:] + text.read(2 * longest), 0
    if (held[place:] + text.read(longest)).strip():
        raise DataError(f"{name} has more than one JSON array; join them, or write one object in each line")


def _end(pattern: re.Pattern[str], held: str, place: int) -> int:
    found = pattern.match(held, place)
    assert found
    return found.end()


def _parse(where: str, line: str) -> Any:
    try:
        return json.loads(line.rstrip("\r\n"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is not JSON: {error}; correct the line") from None


def _object(where: str, record: Any, options: FileOptions) -> Record:
    if not isinstance(record, dict):
        raise DataError(f"{where} is a JSON {type(record).__name__}; wanted an object with the key '{options.column}'")
    layout = layout_of(record, options)
    for key, flag in ((layout.text, "column"), (layout.prompt, "prompt")):
        if key:
            _check_text(where, record, key, flag)
    return _record(where, record, layout)


def _check_text(where: str, record: Mapping[str, Any], key: str, flag: str) -> None:
    if key not in record:
        raise UnknownName("key", key, record, _choice(list(record), flag), where=where)
    if not isinstance(record[key], str) or not _is_unicode(record[key]):
        raise DataError(f"{where} has a value under '{key}' that is not text; give a string of valid Unicode")


def _choice(names: Sequence[str], flag: str) -> str:
    listed = ", ".join([name[:LONGEST_NAME] for name in names[:FEW]] + ["..."] * (len(names) > FEW))
    return f"it has {listed}; name one with --corpus.{flag}"


def _is_unicode(value: str) -> bool:
    """Return False for half a surrogate pair, which JSON can spell and UTF-8 cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


READERS: dict[str, Reader] = {
    ".csv": _read_csv(","),
    ".tsv": _read_csv("\t"),
    ".json": _read_json,
    ".jsonl": _read_json,
    ".ndjson": _read_json,
}
"""The reader for each ending; every other file is plain text, a sentence a line."""


def looks_like(line: str, column: str) -> str:
    """Return the format that the first line of a plain text suggests, ``""`` for none."""
    if line in ("[", "{") or (line[:1] in ("[", "{") and _is_json(line)):
        return "JSON"
    if line.lower().startswith(("<?xml", "<!doctype", "<html")):
        return "XML or HTML"
    if "\t" in line:
        return "TSV"
    fields = [field.strip("\"' ") for field in line.split(",")]
    return "CSV" if len(fields) > 1 and column in fields else ""


def _is_json(line: str) -> bool:
    try:
        json.loads(line.rstrip(","))
    except (ValueError, RecursionError):
        return line[:2] in ("[{", '{"')
    return True
