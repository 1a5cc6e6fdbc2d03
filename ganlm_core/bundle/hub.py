"""Bundles on the Hugging Face Hub, through its own client, which is imported only when it is used.

The client finds the user's token by itself (``hf auth login``, ``HF_TOKEN``). Nothing here prints or keeps it; it is
read only to remove it from a server's error messages.
"""

import io
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganlm_core.bundle.manifest import CONFIG, NETWORKS, weights_file
from ganlm_core.errors import GanlmError, Unreadable, UsageError, WeightsError
from ganlm_core.system.cache import cache, whole
from ganlm_core.system.files import LARGEST_JSON, LARGEST_TEXT, read_json, write_file, write_json
from ganlm_core.system.folders import new_folder
from ganlm_core.system.lock import locked
from ganlm_core.system.printable import printable, shown
from ganlm_core.system.sums import SUMS, check_sum, read_sums, sha256

if TYPE_CHECKING:
    from huggingface_hub import HfApi

PREFIX = "hf:"
RECORD = ".hub.json"
"""Hidden file in a bundle that was pulled or pushed: the repository, and its revision."""

LONGEST = 300
"""Maximum number of characters of a server's answer in an error message."""

_ADDRESS = re.compile(r"hf:([\w.-]+/[\w.-]+)(?:@([\w./-]+))?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Address:
    """``hf:owner/name@revision``. The revision is a commit, a branch or a tag, or None for the newest commit."""

    repository: str
    revision: str | None = None

    @classmethod
    def of(cls, text: str) -> "Address":
        """Parse an address. Raises UsageError for any other text."""
        match = _ADDRESS.fullmatch(text)
        if match is None:
            raise UsageError(
                f"{shown(text)} is not an address on the Hub; wanted hf:OWNER/NAME or hf:OWNER/NAME@REVISION"
            )
        return cls(match[1], match[2])

    def at(self, revision: str) -> "Address":
        return Address(self.repository, revision)

    def __str__(self) -> str:
        return f"{PREFIX}{self.repository}" + (f"@{self.revision}" if self.revision else "")


@dataclass(frozen=True)
class Sent:
    """A file to send: its name, its size in bytes and its SHA-256."""

    name: str
    size: int
    sha256: str


def plan(folder: Path) -> list[Sent]:
    """Return what :func:`push` sends of a bundle: the files in SHA256SUMS, and SHA256SUMS. Raises WeightsError."""
    sums = _read_sums(folder, str(folder))
    for name in sums:
        check_sum(folder, name, sums)
    listed = sums | {SUMS: sha256(folder / SUMS)}
    return [Sent(name, (folder / name).stat().st_size, listed[name]) for name in sorted(listed)]


def push(folder: Path, address: Address, private: bool = False) -> Address:
    """Send a bundle in one commit and return the address of the commit. The repository is created if it is missing.

    The Hub checks the header of the card before anything is sent. Raises GanlmError when the Hub refuses, and
    WeightsError for files that are not as they were saved.
    """
    from huggingface_hub import CommitOperationAdd

    files = plan(folder)
    with _client(address) as api:
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
    """Return the address with the current commit of its revision. Raises GanlmError."""
    if address.revision and _COMMIT.fullmatch(address.revision):
        return address
    with _client(address) as api:
        return address.at(str(api.model_info(address.repository, revision=address.revision).sha))


def pull(address: Address, folder: Path, tell: Callable[[str], None] = lambda text: None) -> Address:
    """Fetch a bundle to a new folder, check its files, and return the address of its commit.

    Only SHA256SUMS and the files that it lists are fetched; ``tell`` gets a note on their size before. Raises
    UsageError when ``folder`` exists, GanlmError when the Hub refuses, WeightsError for files that do not match
    SHA256SUMS, and FolderInUse while another process writes to ``folder``.
    """
    with locked(folder):
        if folder.exists():
            raise UsageError(f"{folder} already exists; choose another folder")
        pinned = resolve(address)
        with new_folder(folder) as beside:
            _fill(beside, pinned, tell)
    return pinned


def _fill(folder: Path, pinned: Address, tell: Callable[[str], None] = lambda text: None) -> None:
    """Fetch all files of a commit to an empty folder; tell their size first."""
    with _client(pinned) as api:
        _fetch_text(pinned, SUMS, folder, LARGEST_JSON)
        sums = _read_sums(folder, str(pinned))
        sizes = _sizes(api, pinned)
        total = sum(_checked_size(pinned, name, sizes) for name in sums)
        tell(f"{pinned} has {len(sums)} files of {total:,} bytes")
        for name in sums:
            if _is_weights(name):
                api.hf_hub_download(pinned.repository, name, revision=pinned.revision, local_dir=folder)
            else:
                _fetch_text(pinned, name, folder, LARGEST_TEXT)
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # what the client leaves
    for name in sums:
        check_sum(folder, name, sums)
    _record(folder, pinned)


def fetch(address: Address) -> Path:
    """Return the folder of a bundle in the cache; fetch the bundle if it is missing or damaged.

    An address with a commit that is in the cache needs no network. Raises the errors of :func:`pull`, and UsageError
    for an address without a revision.
    """
    pinned = resolve(address)
    if address.revision is None:
        raise UsageError(
            f"{address} may be another bundle tomorrow; name a revision: the newest is {pinned}, "
            f"and {address}@main is always the newest"
        )
    folder = cache() / "hub" / address.repository.replace("/", "--") / str(pinned.revision)
    return whole(folder, lambda place: _fill(place, pinned))


def address_of(folder: Path) -> Address | None:
    """Return the address that a bundle was pulled from or pushed to; None if there is none, or no valid one."""
    if not (folder / RECORD).is_file():
        return None
    with suppress(WeightsError, UsageError):
        record = read_json(folder / RECORD)
        return Address.of(f"{PREFIX}{record.get('repository')}@{record.get('revision')}")
    return None


def _record(folder: Path, address: Address) -> None:
    write_json(folder / RECORD, {"repository": address.repository, "revision": address.revision})


def _read_sums(folder: Path, bundle: str) -> dict[str, str]:
    """Return the SHA256SUMS of a bundle. Raises WeightsError if it does not list one."""
    sums = read_sums(folder)
    if CONFIG not in sums:
        raise WeightsError(f"{bundle} is not a bundle: its {SUMS} does not list {CONFIG}; check the name")
    return sums


class _Bounded(io.BytesIO):
    """A file in memory that accepts at most ``largest`` bytes from a server."""

    def __init__(self, address: Address, name: str, largest: int) -> None:
        super().__init__()
        self.refusal = f"{address}: {name} has more than the {largest} bytes allowed; do not use it"
        self.largest = largest

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > self.largest:
            raise WeightsError(self.refusal)
        return super().write(data)


def _fetch_text(address: Address, name: str, folder: Path, largest: int) -> None:
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    file = _Bounded(address, name, largest)
    http_get(hf_hub_url(address.repository, name, revision=address.revision), file, headers=build_hf_headers())
    write_file(folder / name, file.getvalue())


def _is_weights(name: str) -> bool:
    """Return whether a bundle has weights under this name; any other file is bounded like text."""
    return name in {weights_file(Path(), kind).name for kind in NETWORKS}


def _sizes(api: "HfApi", address: Address) -> dict[str, int | None]:
    info = api.model_info(address.repository, revision=address.revision, files_metadata=True)
    return {file.rfilename: file.size for file in info.siblings or []}


def _checked_size(address: Address, name: str, sizes: dict[str, int | None]) -> int:
    """Return the size of a listed file. Raises WeightsError if it is missing, too large, or not known."""
    if name not in sizes:
        raise Unreadable(f"{address} has no {name}, which its {SUMS} lists")
    size = sizes[name]
    if size is None:
        raise WeightsError(f"{address}: the Hub does not say how large {name} is; do not use it")
    if not _is_weights(name) and size > LARGEST_TEXT:
        raise WeightsError(f"{address}: {name} has {size} bytes, more than the {LARGEST_TEXT} allowed; do not use it")
    return size


@contextmanager
def _client(address: Address) -> Iterator["HfApi"]:
    """Yield the client. Its errors become GanlmErrors of one line, without the token."""
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
            f"the Hub has no {address.repository}, or you may not see it; check the name, or log in: hf auth login"
        ) from None
    except errors.LocalEntryNotFoundError as error:  # the client's advice to check the connection hides the cause
        raise GanlmError(f"the Hub refused {address}: {_without_token(error.__cause__ or error)}") from None
    except errors.EntryNotFoundError:
        raise WeightsError(
            f"{address} is not a bundle: it lacks {SUMS} or a file that {SUMS} lists; check the name"
        ) from None
    except Exception as error:  # the client does not wrap the errors of its HTTP library
        raise GanlmError(f"the Hub refused {address}: {_without_token(error)}") from None


def _without_token(error: BaseException) -> str:
    """Return an error in one line, without the token, which a server may have repeated."""
    from huggingface_hub import get_token

    text = f"{type(error).__name__}: {' '.join(str(error).split())}"
    token = get_token()
    return printable(text.replace(token, "***") if token else text, LONGEST)
