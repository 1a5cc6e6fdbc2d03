"""SHA256SUMS: the checksums of the files of a folder. Nothing here imports torch."""

import re
from collections.abc import Mapping
from pathlib import Path

from ganlm_core.errors import Unreadable, WeightsError
from ganlm_core.system.files import (
    LARGEST_JSON,
    LARGEST_TEXT,
    check_size,
    plain_size,
    read_text,
    reading,
    write_file,
)
from ganlm_core.system.header import read_header
from ganlm_core.system.printable import shown

SUMS = "SHA256SUMS"

_SUM_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")
_PLAIN_NAME = re.compile(r"(?!(?i:con|prn|aux|nul|com\d|lpt\d)(?:\.|\Z))[A-Za-z0-9][A-Za-z0-9._-]{0,200}(?<!\.)")
"""Names of plain files on every system: no paths, drives, devices, streams, control characters or hidden files."""


def sha256(path: Path) -> str:
    """Return the SHA-256 of a plain file, in hexadecimal. Raises WeightsError."""
    import hashlib  # here, because listings read JSON and check no sums

    with reading(path):
        plain_size(path)  # opening a pipe would wait for ever
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def write_sums(folder: Path) -> None:
    """Write ``SHA256SUMS`` over all files of the folder, as ``sha256sum -c`` reads it. Raises WriteError."""
    names = sorted(path.name for path in folder.iterdir())
    write_file(folder / SUMS, "".join(f"{sha256(folder / name)}  {name}\n" for name in names).encode())


def read_sums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file that ``SHA256SUMS`` lists, by name.

    Raises WeightsError for an empty list, and for names that could be anything but a file of the folder.
    """
    path, sums, seen = folder / SUMS, {}, set[str]()
    for number, line in enumerate(read_text(path, LARGEST_JSON).splitlines(), 1):
        match = _SUM_LINE.fullmatch(line)
        if match is None:
            raise Unreadable(f"{path}, line {number}: wanted a SHA-256 and a file name")
        digest, name = match.groups()
        if not _PLAIN_NAME.fullmatch(name):
            raise WeightsError(f"{path} lists {shown(name)}, which is no plain file name; do not use it")
        if name.lower() in seen:
            raise Unreadable(f"{path} lists {shown(name)} twice")
        seen.add(name.lower())  # names that differ only by case are one file on some systems
        sums[name] = digest
    if not sums:
        raise Unreadable(f"{path} lists no files")
    return sums


def check_sum(folder: Path, name: str, sums: Mapping[str, str]) -> None:
    """Raise WeightsError unless ``name`` is a file of the folder with its SHA-256 in ``sums``.

    Its size is checked first: text is bounded, and weights have the size that their header says.
    """
    path = folder / name
    if name not in sums:
        raise Unreadable(f"{folder / SUMS} does not list {name}")
    if path.suffix == ".safetensors":
        read_header(path)
    else:
        with reading(path):
            check_size(path, LARGEST_TEXT)
    if sha256(path) == sums[name]:
        return
    if _has_other_line_ends(path, sums[name]):
        raise WeightsError(
            f"{path} was changed: git (core.autocrlf) or an editor made its line ends CRLF; "
            "fetch or unpack it again, in git with '* -text' in .gitattributes"
        )
    raise Unreadable(f"{path} was changed or damaged: its SHA-256 is not the one in {SUMS}")


def _has_other_line_ends(path: Path, digest: str) -> bool:
    """Return whether a text file would have this SHA-256 if its lines ended in ``\\n`` alone."""
    import hashlib

    if path.suffix == ".safetensors":
        return False
    with reading(path):
        return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest() == digest
