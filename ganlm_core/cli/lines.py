"""Lines of a long output: to standard output, or to a file in the format of its ending; later calls may append."""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ganlm_core.cli.output import echo_data, in_one_line
from ganlm_core.data.formats import format_of, is_packed, unpacked
from ganlm_core.data.text import one_line
from ganlm_core.errors import DataError, UsageError
from ganlm_core.system.files import to_json, writing

Write = Callable[[Sequence[str]], None]

CHUNK = 2**20


@dataclass(frozen=True)
class Form:
    """The conversion of a sentence to a line and back. ``head`` is the first line of a file, if it has one."""

    line: Callable[[str], str]
    text: Callable[[str], str]
    head: str = ""


def _fields(delimiter: str) -> Form:
    def line(text: str) -> str:
        row = io.StringIO()
        csv.writer(row, delimiter=delimiter, lineterminator="").writerow([one_line(text)])
        return row.getvalue()

    return Form(line, lambda line: next(csv.reader([line], delimiter=delimiter))[0], head="text")


PLAIN = Form(one_line, str)
JSON = Form(lambda text: to_json({"text": text}), lambda line: str(json.loads(line)["text"]))
FORMS = {"": PLAIN, ".csv": _fields(","), ".tsv": _fields("\t"), ".jsonl": JSON, ".ndjson": JSON}
"""The form of a file by its ending; every command reads the same form from that ending."""


def form_of(path: Path | None, as_json: bool) -> Form:
    """Return the form of an output. Raises UsageError for JSON in a file whose ending says otherwise, and for .json."""
    if path is None:
        return JSON if as_json else Form(in_one_line, str)
    ending, packed = format_of(path.name), path.suffix if is_packed(path) else ""
    better = path.with_name(path.name.removesuffix(packed)).with_suffix(".jsonl" + packed)
    if ending == ".json":
        raise UsageError(f"{path} would hold one array, and sentences are written one by one; name it {better}")
    form = FORMS[ending]
    if as_json and form is not JSON:
        raise UsageError(f"--json and --out {path} do not fit together; name the file {better}")
    return form


def check_new(path: Path, hint: str) -> None:
    """Raise UsageError with a hint if ``path`` exists."""
    if path.exists():
        raise UsageError(f"{path} already exists; choose another file, or {hint}")


def read_texts(path: Path, form: Form) -> Iterator[str]:
    """Yield the sentences of a file that :func:`lines_to` wrote. Raises DataError if its last line is incomplete."""
    line, number = "\n", 0
    try:
        with unpacked(path) as file:
            for number, data in enumerate(file, start=1):
                line = data.decode()
                if number > 1 or not form.head:
                    yield form.text(line.removesuffix("\n"))
    except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError):
        line = ""
    except (ValueError, LookupError, TypeError):
        if line.endswith("\n"):
            raise DataError(f"{path}, line {number} is not from 'ganlm sample'; choose another file") from None
    if not line.endswith("\n"):
        raise _cut_short(path)


def _cut_short(path: Path) -> DataError:
    return DataError(f"{path} was cut short; unpack it, remove its last line and continue with the rest")


def _check_end(path: Path) -> None:
    """Raise DataError for a file whose last line, or whose last gzip member, is incomplete."""
    last = b"\n"
    try:
        with unpacked(path) as file:
            while chunk := file.read(CHUNK):
                last = chunk
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise _cut_short(path) from None
    if not last.endswith(b"\n"):
        raise _cut_short(path)


@contextmanager
def lines_to(path: Path | None, form: Form) -> Iterator[Write]:
    """Yield a function that appends sentences to a file, or writes them to standard output for None.

    Each call writes all of its sentences or none. Raises WriteError, and DataError for a file that was cut short.
    """
    if path is None:
        yield lambda texts: echo_data(_joined(texts, form))
        return
    if path.is_file():  # nothing can be read from a pipe or a device
        _check_end(path)
    with writing(path), path.open("ab", buffering=0) as file:
        if form.head and file.tell() == 0:
            _append(file, path, f"{form.head}\n")
        yield lambda texts: _append(file, path, _joined(texts, form))


def _joined(texts: Sequence[str], form: Form) -> str:
    return "".join(f"{form.line(text)}\n" for text in texts)


def _append(file: io.FileIO, path: Path, text: str) -> None:
    """Write all of ``text``, or leave the file as it is. A ``.gz`` file gets one more member."""
    data = text.encode()
    left = memoryview(gzip.compress(data, mtime=0) if is_packed(path) else data)
    before = file.tell()
    try:
        while left:
            left = left[file.write(left) or 0 :]
    except OSError:
        with suppress(OSError):
            file.truncate(before)
        raise
