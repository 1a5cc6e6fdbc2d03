"""Write files and folders so that a kill leaves them whole; read untrusted files. Nothing here imports torch.

Files are written under a hidden name beside their place, fsynced and renamed, and folders likewise: a name that exists
is complete. JSON is written with sorted keys, so that equal values give equal bytes. JSON and TOML are read with
bounds, so that no file can exhaust the memory or the stack.
"""

import errno
import json
import math
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ganlm_core.errors import Unreadable, UsageError, WeightsError, WriteError
from ganlm_core.system import toml
from ganlm_core.system.printable import shown

LARGEST_TEXT = 64 * 2**20
LARGEST_JSON = 8 * 2**20
"""Smaller than LARGEST_TEXT, because Python objects take up to thirty times the size of their JSON text."""

LARGEST_TOML = 2**20
"""Smaller than LARGEST_JSON, because Python objects take up to a hundred times the size of their TOML text."""

HIGHEST = 1e300
"""Magnitude of a number from a file, at most: sums and the axes of figures do not overflow."""

DEEPEST_JSON = 100
"""Maximum nesting of arrays and objects, far below the recursion limit of Python."""

PARTIAL = ".partial"
"""Suffix of the hidden name of an unfinished file or folder."""


_ADVICE = {
    errno.ENOSPC: "; free some space",
    errno.EDQUOT: "; free some space",
    errno.EACCES: "; choose a place that you may write to",
    errno.EPERM: "; choose a place that you may write to",
    errno.EROFS: "; choose a place that you may write to",
    errno.ENOTDIR: "; a part of the path is a file, choose another place",
    errno.EEXIST: "; choose another place",
    errno.ENOTEMPTY: "; choose another place",
}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError in the block (full disk, read-only folder) into a WriteError that names the path."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "")
        raise WriteError(f"cannot write {path}: {error.strerror or error}{advice}") from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn an OSError in the block (missing, not readable) into a WeightsError that names the path."""
    try:
        yield
    except FileNotFoundError as error:
        raise Unreadable(f"{path} is missing") from error
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error


@contextmanager
def advising(advice: str) -> Iterator[None]:
    """Replace the advice of an Unreadable raised in the block, by default "fetch or export it again", with ``advice``.

    If blocks are nested, the innermost block decides.
    """
    try:
        yield
    except Unreadable as error:
        raise WeightsError(f"{error.fact}; {advice}") from error.__cause__


def check_name(path: Path) -> None:
    """Raise WriteError for the path of a folder with tensors that is not UTF-8: safetensors could not open it."""
    if not is_utf8(path.absolute()):
        raise WriteError(f"cannot write {path}: its name is not UTF-8; choose another place")


def is_utf8(path: Path) -> bool:
    """Return whether UTF-8 can spell a path. Names of files may be any bytes, which Python keeps as surrogates."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


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
    """Write ``data`` to ``path``, all of it or nothing, with the mode that the umask gives. Raises WriteError."""
    beside = partial_of(path)
    with writing(path):
        beside.unlink(missing_ok=True)  # a link or a pipe of this name would lead elsewhere
        try:
            with beside.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Wait until the disk has all of a file that is appended to, and its name. Raises WriteError."""
    with writing(path):
        with path.open("ab") as file:
            os.fsync(file.fileno())
        sync_folder(path.parent)


def partial_of(path: Path) -> Path:
    """Return the hidden name beside ``path`` under which it is written."""
    return path.with_name(f".{path.name}{PARTIAL}")


def sync_folder(path: Path) -> None:
    """Wait until the disk has the names in a folder, if the system supports this."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def to_json(value: Any, indent: int | None = None) -> str:
    """Return JSON with sorted keys; numbers that JSON does not have (NaN, infinities) become null.

    Lone surrogates, as in a file name that is not UTF-8, are escaped, so that the text can be written.
    """
    text = json.dumps(finite(value), sort_keys=True, indent=indent, ensure_ascii=False, allow_nan=False)
    return text.encode(errors="backslashreplace").decode()


def finite(value: Any) -> Any:
    """Return a value with None for each number in it that JSON does not have."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON with sorted keys. Raises WriteError."""
    write_file(path, (to_json(value, indent=2) + "\n").encode())


def plain_size(path: Path) -> int:
    """Return the size of a file in bytes.

    Raises Unreadable for a folder, a pipe or a device, and OSError if there is no such file.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable(f"{path} is not a plain file")
    return status.st_size


def check_size(path: Path, largest: int) -> None:
    """Raise Unreadable unless a path is a plain file of at most ``largest`` bytes, and OSError if there is none."""
    size = plain_size(path)
    if size > largest:
        raise Unreadable(f"{path} has {size} bytes, more than the {largest} allowed")


def read_bytes(path: Path, largest: int) -> bytes:
    """Read at most ``largest`` bytes from a plain file. Raises WeightsError."""
    with reading(path):
        check_size(path, largest)
        return path.read_bytes()


def read_text(path: Path, largest: int = LARGEST_TEXT) -> str:
    """Read UTF-8 text of at most ``largest`` bytes from a plain file. Raises WeightsError."""
    data = read_bytes(path, largest)
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Unreadable(f"{path} is not UTF-8 text") from None


def read_toml(path: Path) -> dict[str, Any]:
    """Read the tables of a TOML file of at most LARGEST_TOML bytes. Raises WeightsError.

    See :mod:`ganlm_core.system.toml` for the bounds on nesting and on dotted keys.
    """
    text = read_text(path, LARGEST_TOML)
    try:
        return toml.parse(text)
    except ValueError as error:
        raise Unreadable(f"{path} is not valid TOML ({_reason(error)})") from None


def read_json(path: Path) -> dict[str, Any]:
    """Read the JSON object in a file of at most LARGEST_JSON bytes. Raises WeightsError."""
    return parse_object(read_text(path, LARGEST_JSON), path)


def is_number(value: object) -> bool:
    """Return whether a value from a file is a number that sums and figures can hold."""
    return isinstance(value, int | float) and -HIGHEST <= value <= HIGHEST


def parse_object(text: str, path: Path) -> dict[str, Any]:
    """Parse ``text``, the content of ``path``, as a JSON object. Raises WeightsError."""
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_parse_float)
        _check_depth(value)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{path} is not valid JSON ({_reason(error)})") from None
    if not isinstance(value, dict):
        raise Unreadable(f"{path} holds a JSON {type(value).__name__}, not an object")
    return value


def _reason(error: Exception) -> str:
    """Return the text of a parser's error without Python's advice on integers of more than 4,300 digits."""
    return str(error).partition("; use sys.")[0]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        ((twice, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {shown(twice)} is there twice")
    return values


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _parse_float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{shown(digits)} is too large a number")
    return value


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST_JSON):
        level = [item for outer in level for item in _items(outer)]
    if any(isinstance(item, dict | list) for item in level):
        raise ValueError(f"it nests deeper than the {DEEPEST_JSON} levels allowed")


def _items(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
