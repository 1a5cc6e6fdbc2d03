"""Writing that survives a kill, reading that survives a stranger's file. Nothing here imports torch.

Files are written beside their place, fsynced and renamed, folders likewise: a name that exists is complete. JSON is
written with sorted keys and read with bounds, so that equal values give equal bytes and no file can exhaust the memory.
"""

import errno
import json
import math
import os
import re
import reprlib
import shutil
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ganlm_core.errors import UsageError, WeightsError, WriteError

LARGEST_TEXT = 64 * 2**20
LARGEST_JSON = 8 * 2**20
"""Smaller, because as Python objects a JSON text can take thirty times its size."""

SUMS = "SHA256SUMS"
FETCH_AGAIN = "fetch or export it again"

_ADVICE = {
    errno.ENOSPC: "; free some space",
    errno.EDQUOT: "; free some space",
    errno.EACCES: "; choose a place that you may write to",
    errno.EPERM: "; choose a place that you may write to",
    errno.EROFS: "; choose a place that you may write to",
    errno.ENOTDIR: "; a part of the path is a file, choose another place",
}
_SUM_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")
_REPR = reprlib.Repr()
_REPR.maxstring = 80


def shown(value: object) -> str:
    """What a stranger's file says, fit for one line: escaped, and short whatever its size."""
    return _REPR.repr(value)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns an OSError of the block (full disk, read-only folder) into a WriteError of one line that names the path."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "")
        raise WriteError(f"cannot write {path}: {error.strerror or error}{advice}") from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns an OSError of the block (missing, not readable) into a WeightsError that names the path."""
    try:
        yield
    except FileNotFoundError as error:
        raise WeightsError(f"{path} is missing; {FETCH_AGAIN}") from error
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error


def check_free(path: Path, force: bool, marks: Sequence[str] = ()) -> None:
    """Raise UsageError unless ``path`` may be written: it does not exist, or ``force`` lets it be replaced.

    ``force`` replaces a file or, where ``marks`` are named, a folder that holds a file of each of these names.
    """
    if not path.exists():
        return
    if not force:
        raise UsageError(f"{path} already exists; add --force to replace it, or choose another --out")
    if path.is_dir() and not marks:
        raise UsageError(f"{path} is a folder; choose another --out")
    if marks and not all((path / name).is_file() for name in marks):
        raise UsageError(f"{path} has no {' or no '.join(marks)}, so --force does not replace it; choose another --out")


def write_file(path: Path, data: bytes) -> None:
    """``data`` at ``path``, all of it or nothing, with the mode that the umask gives. Raises WriteError."""
    beside = path.with_name(f".{path.name}.partial")
    with writing(path):
        try:
            with beside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


@contextmanager
def new_folder(path: Path, replace: bool = False) -> Iterator[Path]:
    """A folder to fill, which takes the place ``path`` when the block ends well and is removed when it does not.

    With ``replace`` an older folder at ``path`` is set aside for the instant between two renames. Raises WriteError.
    """
    path = path.absolute()  # "." has no name to put a dot before
    beside, aside = path.with_name(f".{path.name}.partial"), path.with_name(f".{path.name}.old")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
    try:
        yield beside
        with writing(path):
            if replace and path.exists():
                shutil.rmtree(aside, ignore_errors=True)
                path.rename(aside)
            beside.rename(path)
            _sync_folder(path.parent)
    except BaseException:
        if aside.exists() and not path.exists():
            aside.rename(path)
        shutil.rmtree(beside, ignore_errors=True)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _sync_folder(path: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def to_json(value: Any, indent: int | None = None) -> str:
    """JSON with sorted keys; numbers that JSON cannot say (NaN, infinities) become null."""
    return json.dumps(_finite(value), sort_keys=True, indent=indent, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def write_json(path: Path, value: Any) -> None:
    """``value`` as indented JSON with sorted keys. Raises WriteError."""
    write_file(path, (to_json(value, indent=2) + "\n").encode())


def plain_size(path: Path) -> int:
    """The size of a file in bytes. Raises WeightsError for a folder, a pipe or a device, OSError when it is missing."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise WeightsError(f"{path} is not a plain file; {FETCH_AGAIN}")
    return status.st_size


def _check_size(path: Path, largest: int) -> None:
    size = plain_size(path)
    if size > largest:
        raise WeightsError(f"{path} has {size} bytes, more than the {largest} allowed; {FETCH_AGAIN}")


def read_text(path: Path, largest: int = LARGEST_TEXT) -> str:
    """UTF-8 text of at most ``largest`` bytes from a plain file. Raises WeightsError."""
    with reading(path):
        _check_size(path, largest)
        data = path.read_bytes()
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise WeightsError(f"{path} is not UTF-8 text; {FETCH_AGAIN}") from None


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file of at most LARGEST_JSON bytes. Raises WeightsError."""
    return parse_object(read_text(path, LARGEST_JSON), path)


def parse_object(text: str, path: Path) -> dict[str, Any]:
    """A JSON object whose keys are all different, from ``text`` found in ``path``. Raises WeightsError."""
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path} is not valid JSON ({error}); {FETCH_AGAIN}") from None
    if not isinstance(value, dict):
        raise WeightsError(f"{path} holds a JSON {type(value).__name__}, not an object; {FETCH_AGAIN}")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        ((twice, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {shown(twice)} is there twice")
    return values


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def sha256(path: Path) -> str:
    """The SHA-256 of a plain file, in hexadecimal. Raises WeightsError."""
    import hashlib  # here, because listings read JSON and check no sums

    with reading(path):
        plain_size(path)  # opening a pipe would wait for ever
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def write_sums(folder: Path) -> None:
    """``SHA256SUMS`` over all files of the folder, as ``sha256sum -c`` reads it. Raises WriteError."""
    names = sorted(path.name for path in folder.iterdir())
    write_file(folder / SUMS, "".join(f"{sha256(folder / name)}  {name}\n" for name in names).encode())


def read_sums(folder: Path) -> dict[str, str]:
    """File name -> SHA-256, as ``SHA256SUMS`` lists them. Raises WeightsError for names that leave the folder."""
    path, sums = folder / SUMS, {}
    for number, line in enumerate(read_text(path, LARGEST_JSON).splitlines(), 1):
        match = _SUM_LINE.fullmatch(line)
        if match is None:
            raise WeightsError(f"{path}, line {number}: wanted a SHA-256 and a file name; {FETCH_AGAIN}")
        digest, name = match.groups()
        if "/" in name or "\\" in name or name in (".", ".."):
            raise WeightsError(f"{path} lists {shown(name)}, which leaves the folder; do not use it")
        if name in sums:
            raise WeightsError(f"{path} lists {shown(name)} twice; {FETCH_AGAIN}")
        sums[name] = digest
    return sums


def refuse_links(folder: Path) -> None:
    """Raises WeightsError if the folder holds a symbolic link, which could lead anywhere."""
    with reading(folder):
        for path in sorted(folder.iterdir()):
            if path.is_symlink():
                raise WeightsError(f"{path} is a symbolic link; a bundle holds plain files only; {FETCH_AGAIN}")


def check_sum(folder: Path, name: str, sums: Mapping[str, str]) -> None:
    """Raises WeightsError unless ``name`` is a file of the folder whose SHA-256 is the one in ``sums``."""
    path = folder / name
    if name not in sums:
        raise WeightsError(f"{folder / SUMS} does not list {name}; {FETCH_AGAIN}")
    if path.suffix != ".safetensors":
        with reading(path):
            _check_size(path, LARGEST_TEXT)
    if sha256(path) != sums[name]:
        raise WeightsError(f"{path} was changed or damaged: its SHA-256 is not the one in {SUMS}; {FETCH_AGAIN}")


@contextmanager
def removed_on_failure(path: Path) -> Iterator[None]:
    """A folder in which nothing was trained yet is not worth keeping."""
    try:
        yield
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise
