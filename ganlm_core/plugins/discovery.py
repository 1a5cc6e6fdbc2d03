"""Find plugins in installed distributions and local files. Finding a plugin does not load it.

Installed plugins are found by the ``entry_points.txt`` of each distribution in the folders of ``sys.path``, as
``importlib.metadata`` does it; importing that module would take a third of the time of ``ganlm --help``.
"""

import functools
import importlib
import importlib.util
import os
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ganlm_core.errors import PluginError
from ganlm_core.hookspecs import ENTRY_POINT_GROUP
from ganlm_core.system.printable import printable

BUILT_IN = "ganlm"
"""The distribution of the built-in plugins."""

MOST_PLUGINS = 100
"""Plugins that one distribution may have."""

LONGEST_NAME = 255
"""Characters in the name of a distribution or of a plugin file."""

_LARGEST_METADATA = 2**16
"""Bytes of ``entry_points.txt`` and of ``METADATA`` that are read, so that a large file does not slow every command."""

DISTRIBUTION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
"""The names that a distribution can have."""


class Origin(NamedTuple):
    """The distribution of a plugin and its version; for a local file, the file's name and no version."""

    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}".rstrip()

    @property
    def built_in(self) -> bool:
        return self.distribution == BUILT_IN


@dataclass(frozen=True)
class Candidate:
    """A plugin that was found and is not loaded yet. ``file``: the path of a local file."""

    name: str
    origin: Origin
    load: Callable[[], object]
    file: str = ""

    def __str__(self) -> str:
        return f"--plugin {self.file}" if self.file else f"plugin '{self.name}' of {self.origin.distribution}"


@dataclass(frozen=True)
class _Distribution:
    """A distribution that has plugins."""

    origin: Origin
    plugins: list[Candidate]


def installed() -> tuple[list[Candidate], list[Candidate]]:
    """Return the plugins of the installed distributions: the built-in ones, and the others sorted by name.

    The first distribution of a name on ``sys.path`` hides later ones. If one folder has several of a name, as after an
    upgrade that was interrupted, the newest version counts.
    """
    found: dict[str, _Distribution] = {}
    for folder in map(Path, sys.path):
        here: dict[str, _Distribution] = {}
        for info in sorted(folder.glob("*-info")):
            distribution = _read(info)
            if distribution is None:
                continue
            name = re.sub(r"[-_.]+", "-", distribution.origin.distribution).lower()
            if name not in here or _is_newer(distribution.origin.version, here[name].origin.version):
                here[name] = distribution
        found = here | found
    built_in = found.pop(BUILT_IN, None)
    others = [one for name in sorted(found) for one in sorted(found[name].plugins, key=lambda one: one.name)]
    return built_in.plugins if built_in else [], others


def local(path: Path) -> Candidate:
    """Return one Python file as a plugin."""
    return Candidate(path.stem, Origin(path.name, ""), functools.partial(_load_file, path), str(path))


def why_disabled(candidate: Candidate, no_plugins: bool) -> str:
    """Return why a candidate is not loaded; empty if it is."""
    disabled, only = names_in("GANLM_DISABLE_PLUGINS"), names_in("GANLM_PLUGINS")
    if candidate.name in disabled:
        return "GANLM_DISABLE_PLUGINS names it"
    if candidate.origin.built_in:
        return ""
    if no_plugins:
        return "--no-plugins leaves only the built-in ones"
    if "all" in disabled:
        return "GANLM_DISABLE_PLUGINS is all"
    return "GANLM_PLUGINS does not name it" if only and candidate.name not in only else ""


def names_in(variable: str) -> list[str]:
    """Return the names in an environment variable that separates them by commas."""
    return [name.strip() for name in os.environ.get(variable, "").split(",") if name.strip()]


def _read(info: Path) -> _Distribution | None:
    """Return the distribution of a ``dist-info`` folder; None if it has no plugins or pip has half removed it."""
    points = dict(_points(_head(info / "entry_points.txt")))
    if not points or info.name.startswith("~"):
        return None
    origin = _origin(info)
    if len(points) > MOST_PLUGINS:
        refused = functools.partial(_refuse, f"it has more than {MOST_PLUGINS} plugins")
        return _Distribution(origin, [Candidate(origin.distribution, origin, refused)])
    return _Distribution(
        origin, [Candidate(name, origin, functools.partial(_load, target)) for name, target in points.items()]
    )


def _points(text: str) -> Iterator[tuple[str, str]]:
    """Yield the lines of our group in an ``entry_points.txt``: (name, ``package.module:attribute``)."""
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line.strip("[] ")
        elif section == ENTRY_POINT_GROUP and line and line[0] not in "#;":
            name, _, target = line.partition("=")
            yield printable(name.strip(), LONGEST_NAME), target.partition("[")[0].strip()


def _origin(info: Path) -> Origin:
    """Return name and version from the first lines of the metadata; without a name, the name of the folder."""
    head = _head(info / "METADATA") or _head(info / "PKG-INFO")
    fields = dict(line.split(": ", 1) for line in head.partition("\n\n")[0].splitlines() if ": " in line)
    names = (fields.get("Name", "").strip(), info.name.partition("-")[0])
    name = next((name for name in names if len(name) <= LONGEST_NAME and DISTRIBUTION.fullmatch(name)), "unnamed")
    return Origin(name, printable(fields.get("Version", "").strip(), LONGEST_NAME))


def _head(file: Path) -> str:
    """Return the first bytes of a plain file as text; empty for a pipe or other kind of file, or if unreadable."""
    with suppress(OSError):
        if file.is_file():
            with file.open("rb") as stream:
                return stream.read(_LARGEST_METADATA).decode(errors="replace")
    return ""


def _is_newer(version: str, other: str) -> bool:
    """Return whether a version is newer than another; an invalid version is older than every valid version."""
    from packaging.version import InvalidVersion, Version  # here: only after an upgrade that was interrupted

    def age(text: str) -> tuple[Version, ...]:
        try:
            return (Version(text),)
        except InvalidVersion:
            return ()

    return age(version) > age(other)


def _refuse(reason: str) -> object:
    raise PluginError(reason)


def _load(target: str) -> object:
    module, _, attribute = target.partition(":")
    if not module:
        raise PluginError("its line in entry_points.txt is not 'name = package.module'")
    return functools.reduce(getattr, filter(None, attribute.split(".")), importlib.import_module(module))


def _load_file(path: Path) -> object:
    """Import a file under a module name that its full path makes unique, so that ``__name__`` works in its targets."""
    if not path.name.isprintable() or len(path.name) > LONGEST_NAME:
        raise PluginError("the name of the file is too long or has characters that cannot be printed; rename it")
    name = f"ganlm_plugin_{re.sub(r'[^A-Za-z0-9]', '_', path.stem)}_{zlib.crc32(os.fsencode(path.resolve())):08x}"
    spec = importlib.util.spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise PluginError("there is no such Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
