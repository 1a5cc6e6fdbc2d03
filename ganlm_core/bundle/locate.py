"""Find the bundle at a user's address: a folder, a run, ``zoo:NAME`` or ``hf:OWNER/NAME@REVISION``."""

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from ganlm_core.bundle import hub, zoo
from ganlm_core.bundle.manifest import find_bundle
from ganlm_core.errors import UsageError, WeightsError, did_you_mean
from ganlm_core.system.files import reading
from ganlm_core.system.folders import links_in

MEAN = "mean:"
"""Begins an address of several bundles, :mod:`ganlm_core.bundle.mean`, which have no folder."""

_SNAPSHOT = re.compile(r"models--([\w.-]+?)--([\w.-]+)/snapshots/([0-9a-f]{40})", re.ASCII)
"""The end of the path of a folder in the cache of the Hub's own client."""


def locate(source: str | os.PathLike[str]) -> Path:
    """Return the folder of the bundle, which holds no links. A bundle on the Hub is fetched and kept in the cache.

    Raises WeightsError with advice, UnknownName for a name that the zoo does not have, UsageError for an address
    that is not valid, has no revision or is of several bundles, and GanlmError when the Hub refuses.
    """
    text = os.fspath(source)
    if text.startswith(MEAN):
        raise UsageError(f"{text} is the mean of several bundles, and this needs the files of one; give one of them")
    if text.startswith(zoo.PREFIX):
        return zoo.find(text.removeprefix(zoo.PREFIX))
    path = hub.fetch(hub.Address.of(text)) if text.startswith(hub.PREFIX) else Path(text)
    try:
        with reading(path):
            folder = find_bundle(path)
    except WeightsError:
        meant = did_you_mean(f"{zoo.PREFIX}{text}", zoo.addresses(), 0.8)
        if not meant or path.exists():
            raise
        raise WeightsError(f"there is no bundle at {text}{meant}") from None
    _refuse_links(folder)
    return folder


def absolute(address: str) -> str:
    """Return the address of a bundle as it holds in any working folder: a folder as an absolute path."""
    return address if address.startswith((MEAN, zoo.PREFIX, hub.PREFIX)) else str(Path(address).absolute())


def members_of(address: str) -> list[str]:
    """Return the addresses of the bundles in ``mean:A,B,C``. Raises UsageError if there are fewer than two."""
    found = [each.strip() for each in address.removeprefix(MEAN).split(",") if each.strip()]
    if len(found) < 2:
        raise UsageError(f"{address} has fewer than two bundles; give them with commas: mean:A,B")
    return found


def short_names(addresses: Sequence[str]) -> list[str]:
    """Return the last part of each address; the whole address if two share it, with a number if it is repeated."""
    short = [_last_part(address) for address in addresses]
    names = [name if short.count(name) == 1 else address for name, address in zip(short, addresses, strict=True)]
    again = [names[:place].count(name) for place, name in enumerate(names)]
    return [f"{name} ({times + 1})" if times else name for name, times in zip(names, again, strict=True)]


def _last_part(address: str) -> str:
    """Return the name of a bundle or a file; for ``.`` and ``..``, which URLs resolve, the folder's own name."""
    if address.startswith(MEAN):
        return "mean of " + ", ".join(map(_last_part, members_of(address)))
    path = Path(address.removeprefix(zoo.PREFIX))
    if path.is_fifo():
        return address
    return path.name if path.name.strip(".") else path.resolve().name or address


def _refuse_links(folder: Path) -> None:
    """Raise WeightsError if the folder holds a symbolic link, which could lead anywhere."""
    with reading(folder):
        if link := next(links_in(folder), None):
            raise WeightsError(
                f"{link} is a symbolic link; a bundle holds plain files only; {_instead_of_links(folder)}"
            )


def _instead_of_links(folder: Path) -> str:
    """Return advice for a folder of links, such as the cache of the Hub's own client."""
    copy = f"copy what they point to: cp -rL {shlex.quote(str(folder))} COPY"
    if snapshot := _SNAPSHOT.search(folder.resolve().as_posix()):
        return f"use hf:{snapshot[1]}/{snapshot[2]}@{snapshot[3]}, or {copy}"
    return f"use hf:OWNER/NAME@REVISION if they are of the Hub's cache, or {copy}"
