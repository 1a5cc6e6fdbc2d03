"""Bundles on the Hugging Face Hub, through its own client, which is imported only where it is used.

The client finds the user's token by itself (``hf auth login``, ``HF_TOKEN``); nothing here reads, prints or keeps it,
but to blot it out of what a server says.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ganlm_core.errors import GanlmError, UsageError, WeightsError
from ganlm_core.system.cache import cache, whole
from ganlm_core.system.files import (
    FETCH_AGAIN,
    LARGEST_TEXT,
    SUMS,
    check_sum,
    new_folder,
    read_sums,
    sha256,
    shown,
    write_json,
)

if TYPE_CHECKING:
    from huggingface_hub import HfApi

PREFIX = "hf:"
RECORD = ".hub.json"
"""Hidden in a bundle that came from the Hub or went there: which repository, and which revision of it."""

_ADDRESS = re.compile(r"hf:([\w.-]+/[\w.-]+)(?:@([\w./-]+))?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Address:
    """``hf:owner/name@revision``; a revision is a commit, a branch or a tag, or None for the newest."""

    repository: str
    revision: str | None = None

    @classmethod
    def of(cls, text: str) -> "Address":
        """Raises UsageError for anything else."""
        match = _ADDRESS.fullmatch(text)
        if match is None:
            raise UsageError(f"{shown(text)} is no address on the Hub; wanted hf:OWNER/NAME or hf:OWNER/NAME@REVISION")
        return cls(match[1], match[2])

    def at(self, revision: str) -> "Address":
        return Address(self.repository, revision)

    def __str__(self) -> str:
        return f"{PREFIX}{self.repository}" + (f"@{self.revision}" if self.revision else "")


@dataclass(frozen=True)
class Sent:
    """A file that is sent: its name, its size in bytes and its SHA-256."""

    name: str
    size: int
    sha256: str


def plan(folder: Path) -> list[Sent]:
    """What :func:`push` sends of a bundle: the files of SHA256SUMS and that file itself. Raises WeightsError."""
    sums = read_sums(folder)
    for name in sums:
        check_sum(folder, name, sums)
    listed = sums | {SUMS: sha256(folder / SUMS)}
    return [Sent(name, (folder / name).stat().st_size, listed[name]) for name in sorted(listed)]


def push(folder: Path, address: Address, private: bool = False) -> Address:
    """Send a bundle in one commit, to a repository that is made if there is none. Gives the address of the commit.

    The Hub checks the header of the card before anything is sent. Raises GanlmError for what the Hub refuses, and
    WeightsError for files that are not as they were saved.
    """
    from huggingface_hub import CommitOperationAdd

    files = plan(folder)
    with _talking(address) as api:
        api.create_repo(address.repository, private=private or None, exist_ok=True)
        commit = api.create_commit(
            address.repository,
            [CommitOperationAdd(path_in_repo=file.name, path_or_fileobj=folder / file.name) for file in files],
            commit_message="A ganlm bundle",
            revision=address.revision,
        )
    pushed = address.at(commit.oid)
    _record(folder, pushed)
    return pushed


def resolve(address: Address) -> Address:
    """The address with the commit that its revision is now. Raises GanlmError."""
    if address.revision and _COMMIT.fullmatch(address.revision):
        return address
    with _talking(address) as api:
        return address.at(str(api.model_info(address.repository, revision=address.revision).sha))


def pull(address: Address, folder: Path) -> Address:
    """Fetch a bundle to a new folder, and check its files. Gives the address of the commit it is of.

    Nothing but the files of its SHA256SUMS is fetched. Raises UsageError when there is something at ``folder``,
    GanlmError for what the Hub refuses, and WeightsError for files that are not what SHA256SUMS says.
    """
    if folder.exists():
        raise UsageError(f"{folder} already exists; choose another folder")
    pinned = resolve(address)
    with new_folder(folder) as beside:
        _fill(beside, pinned)
    return pinned


def _fill(folder: Path, pinned: Address) -> None:
    """All files of a commit, in a folder that is empty."""
    with _talking(pinned) as api:
        _fetch(api, pinned, SUMS, folder)
        sums = read_sums(folder)
        sizes = _sizes(api, pinned)
        for name in sums:
            _check_size(pinned, name, sizes)
        for name in sums:
            _fetch(api, pinned, name, folder)
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the client's notes
    for name in sums:
        check_sum(folder, name, sums)
    _record(folder, pinned)


def fetch(address: Address) -> Path:
    """The folder of a bundle that was fetched once and is kept. Raises as :func:`pull`.

    A commit that is there needs no network; one that was damaged there is fetched again. Raises UsageError for an
    address without a revision.
    """
    pinned = resolve(address)
    if address.revision is None:
        raise UsageError(
            f"{address} may be another bundle tomorrow; name a revision: the newest is {pinned}, "
            f"and {address}@main is whatever is newest"
        )
    folder = cache() / "hub" / address.repository.replace("/", "--") / str(pinned.revision)
    return whole(folder, lambda place: _fill(place, pinned))


def _record(folder: Path, address: Address) -> None:
    write_json(folder / RECORD, {"repository": address.repository, "revision": address.revision})


def _fetch(api: "HfApi", address: Address, name: str, folder: Path) -> None:
    api.hf_hub_download(address.repository, name, revision=address.revision, local_dir=folder)


def _sizes(api: "HfApi", address: Address) -> dict[str, int | None]:
    info = api.model_info(address.repository, revision=address.revision, files_metadata=True)
    return {file.rfilename: file.size for file in info.siblings or []}


def _check_size(address: Address, name: str, sizes: dict[str, int | None]) -> None:
    if name not in sizes:
        raise WeightsError(f"{address} has no {name}, which its {SUMS} lists; {FETCH_AGAIN}")
    if not name.endswith(".safetensors") and (sizes[name] or 0) > LARGEST_TEXT:
        raise WeightsError(
            f"{address}: {name} has {sizes[name]} bytes, more than the {LARGEST_TEXT} allowed; do not use it"
        )


@contextmanager
def _talking(address: Address) -> Iterator["HfApi"]:
    """The client; what goes wrong in it becomes a GanlmError of one line, without the token."""
    try:
        import huggingface_hub
        from huggingface_hub import errors
        from huggingface_hub.utils import disable_progress_bars, logging
    except ImportError:
        raise UsageError("the Hub needs the package huggingface_hub; pip install 'ganlm[hub]'") from None
    disable_progress_bars()
    logging.set_verbosity_error()
    try:
        yield huggingface_hub.HfApi()
    except GanlmError:
        raise
    except errors.RevisionNotFoundError:
        raise GanlmError(f"the Hub has no revision {address.revision} of {address.repository}; check it") from None
    except errors.RepositoryNotFoundError:
        raise GanlmError(
            f"the Hub has no {address.repository}, or it is not yours to see; check the name, or log in: hf auth login"
        ) from None
    except errors.EntryNotFoundError:
        raise WeightsError(
            f"{address} is no bundle, it lacks {SUMS} or a file that this lists; check the name"
        ) from None
    except Exception as error:  # the client lets through what its HTTP library raises
        raise GanlmError(f"the Hub refused {address}: {_blotted(error)}") from None


def _blotted(error: Exception) -> str:
    """An error in one line, without the token, should a server have said it."""
    from huggingface_hub import get_token

    text = f"{type(error).__name__}: {' '.join(str(error).split())}"
    token = get_token()
    return shown(text.replace(token, "***") if token else text)
