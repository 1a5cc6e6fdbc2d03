"""The zoo: the bundles that come with the package, in the folders beside this file. Nothing here imports torch."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganlm_core.bundle.manifest import read_evaluation
from ganlm_core.data.text import lines
from ganlm_core.errors import UnknownName

PREFIX = "zoo:"
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Entry:
    """A bundle of the zoo: its size in bytes, its final metrics, and a sentence of its card."""

    name: str
    size: int
    metrics: dict[str, Any]
    sample: str


def find(name: str) -> Path:
    """Return the folder of the bundle with this name. Raises UnknownName."""
    names = _names()
    if name not in names:
        raise UnknownName("bundle", name, names, hint="'ganlm list weights' shows them", where="the zoo")
    return FOLDER / name


def addresses() -> list[str]:
    """Return the address of each bundle."""
    return [f"{PREFIX}{name}" for name in _names()]


def entries() -> Iterator[Entry]:
    """Yield all bundles, sorted by name. Raises WeightsError for a damaged one."""
    yield from (_entry(FOLDER / name) for name in _names())


def _entry(bundle: Path) -> Entry:
    from ganlm_core.system.files import read_text  # here: names are listed without it

    size = sum(file.stat().st_size for file in bundle.iterdir())
    metrics = read_evaluation(bundle).get("after", {})
    return Entry(bundle.name, size, metrics, _first_sample(read_text(bundle / "README.md")))


def _names() -> list[str]:
    return sorted(path.name for path in FOLDER.iterdir() if path.is_dir() and path.name != "__pycache__")


def _first_sample(card: str) -> str:
    """Return the first indented line under the heading of the samples."""
    below = lines(card.partition("\n## Samples\n")[2])
    return next((line.strip() for line in below if line.startswith("    ")), "")
