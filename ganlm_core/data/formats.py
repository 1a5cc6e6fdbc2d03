"""Formats of text files: plain lines, CSV and TSV by column, JSON lines and JSON arrays by key.

A reader takes the name of the file, for errors, its text and the options of the corpus, and yields the raw values.
"""

import csv
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from ganlm_core.data.options import FileOptions
from ganlm_core.errors import LONGEST_NAME, DataError, UnknownName

Reader = Callable[[str, TextIO, FileOptions], Iterator[str]]

RAISE = "raise --corpus.max-line"

FEW = 20
"""Names of columns or keys that a message lists."""

_OPEN, _SPACE, _AFTER_ITEM = re.compile(r"\s*\["), re.compile(r"\s*"), re.compile(r"\s*([,\]])")


def format_of(path: str) -> str:
    """Return the ending of a file, without ``.gz`` and in small letters, if it is one of READERS; else ``""``."""
    ending = re.search(r"\.[^./\\]*$", path.lower().removesuffix(".gz"))
    return ending[0] if ending and ending[0] in READERS else ""


def read_lines(name: str, text: TextIO, options: FileOptions) -> Iterator[str]:
    """Yield each line with its end. Raises DataError for a line of more than ``max_line`` characters."""
    number = 0
    while line := text.readline(options.max_line + 2):
        number += 1
        if len(line.rstrip("\r\n")) > options.max_line:
            raise DataError(
                f"{name}, line {number} has more than {options.max_line:,} characters; break it, or {RAISE}"
            )
        yield line


def _read_csv(delimiter: str) -> Reader:
    def read(name: str, text: TextIO, options: FileOptions) -> Iterator[str]:
        limit = csv.field_size_limit(options.max_line)
        rows = csv.reader(read_lines(name, text, options), delimiter=delimiter, strict=True)
        try:
            header = next(rows, [])
            place = _column(name, header, options.column)
            for row in rows:
                if len(row) > len(header) or 0 < len(row) <= place:
                    raise _wrong_fields(f"{name}, line {rows.line_num}", row, header)
                yield row[place] if row else ""
        except csv.Error as error:
            hint = RAISE if "field limit" in str(error) else "correct the line"
            reason = str(error).partition(" - ")[0]  # the rest is advice to programmers
            raise DataError(f"{name}, line {rows.line_num} is not CSV: {reason}; {hint}") from None
        finally:
            csv.field_size_limit(limit)

    return read


def _column(name: str, header: list[str], column: str) -> int:
    if column not in header:
        raise UnknownName(f"column of {name}", column, header, _choice(header))
    if header.count(column) > 1:
        raise DataError(f"{name} has {header.count(column)} columns '{column}'; rename all but one")
    return header.index(column)


def _wrong_fields(where: str, row: list[str], header: list[str]) -> DataError:
    return DataError(
        f"{where} has {len(row)} fields and the header has {len(header)}; "
        'put double quotes around text that contains the separator or a line break: "so, it is one field"'
    )


def _read_json(name: str, text: TextIO, options: FileOptions) -> Iterator[str]:
    """Read an array of objects, or one object in each line."""
    if _first_character(text) == "[":
        for number, item in enumerate(_items(name, text, options.max_line), start=1):
            yield _value(f"{name}, item {number}", item, options.column)
        return
    for number, line in enumerate(read_lines(name, text, options), start=1):
        where = f"{name}, line {number}"
        yield _value(where, _parse(where, line), options.column) if line.strip() else ""


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


def _value(where: str, record: Any, key: str) -> str:
    if not isinstance(record, dict):
        raise DataError(f"{where} is a JSON {type(record).__name__}; wanted an object with the key '{key}'")
    if key not in record:
        raise UnknownName(f"key of {where}", key, record, _choice(list(record)))
    value = record[key]
    if not isinstance(value, str) or not _is_unicode(value):
        raise DataError(f"{where} has a value under '{key}' that is not text; give a string of valid Unicode")
    return value


def _choice(names: list[str]) -> str:
    listed = ", ".join([name[:LONGEST_NAME] for name in names[:FEW]] + ["..."] * (len(names) > FEW))
    return f"it has {listed}; name one with --corpus.column"


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
