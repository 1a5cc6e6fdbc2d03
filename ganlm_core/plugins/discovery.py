"""Where plugins come from: installed distributions and local files. Finding one does not load it.

Installed ones are found by their ``entry_points.txt`` in the folders of ``sys.path``, as ``importlib.metadata`` finds
them; importing that module would take a third of the time in which ``ganlm --help`` answers.
"""

import functools
import importlib
import importlib.util
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganlm_core.errors import PluginError, did_you_mean
from ganlm_core.hookspecs import ENTRY_POINT_GROUP
from ganlm_core.plugins.isolation import HEAVY

BUILT_IN = "ganlm"
"""The distribution whose plugins are the built-in ones."""

_NOT_A_PLUGIN = {*sys.stdlib_module_names, *HEAVY, "pluggy", "click", "ganlm_core"}
"""The packages through which a plugin is loaded and run."""


@dataclass(frozen=True)
class Origin:
    """The distribution that something comes from, and its version; for a local file, its name and no version."""

    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}".rstrip()


@dataclass(frozen=True)
class Candidate:
    """A plugin that was found and not loaded yet."""

    name: str
    origin: Origin
    load: Callable[[], object]


def installed() -> tuple[list[Candidate], list[Candidate]]:
    """The entry points of the installed distributions: the built-in ones, and the others sorted by name.

    The first distribution of a name on ``sys.path`` hides later ones.
    """
    found: dict[str, list[Candidate]] = {}
    for folder in map(Path, sys.path):
        for file in sorted(folder.glob("*-info/entry_points.txt")):
            points = list(_points(file))
            if points:
                origin = _origin(file.parent)
                found.setdefault(
                    origin.distribution, [Candidate(name, origin, functools.partial(_load, at)) for name, at in points]
                )
    built_in = found.pop(BUILT_IN, [])
    return built_in, [one for name in sorted(found) for one in sorted(found[name], key=lambda one: one.name)]


def local(path: Path) -> Candidate:
    """One Python file as a plugin."""
    return Candidate(path.stem, Origin(path.name, ""), functools.partial(_load_file, path))


def why_disabled(candidate: Candidate, no_plugins: bool) -> str:
    """Why a candidate is not to be loaded, or nothing."""
    disabled, only = names_in("GANLM_DISABLE_PLUGINS"), names_in("GANLM_PLUGINS")
    if candidate.name in disabled:
        return "GANLM_DISABLE_PLUGINS names it"
    if candidate.origin.distribution == BUILT_IN:
        return ""
    if no_plugins:
        return "--no-plugins leaves only the built-in ones"
    if "all" in disabled:
        return "GANLM_DISABLE_PLUGINS is all"
    return "GANLM_PLUGINS does not name it" if only and candidate.name not in only else ""


def names_in(variable: str) -> list[str]:
    """The names in an environment variable, between commas."""
    return [name.strip() for name in os.environ.get(variable, "").split(",") if name.strip()]


def one_line(error: BaseException) -> str:
    """Return an exception in one line: its type and text, or the text alone for a PluginError."""
    text = " ".join(text_of(error).split())
    return text if isinstance(error, PluginError) else f"{type(error).__name__}: {text}".rstrip(": ")


def text_of(error: BaseException) -> str:
    """Return ``str(error)``, or a note where a plugin's exception has a text that raises."""
    try:
        return str(error)
    except KeyboardInterrupt:
        raise
    except BaseException as failure:
        return f"(its text raises {type(failure).__name__})"


def place_of(error: BaseException) -> str:
    """The file and line of a plugin where an exception was raised: the innermost that is no library's and not ours."""
    found, trace = "", error.__traceback__
    while trace is not None:
        file, module = trace.tb_frame.f_code.co_filename, str(trace.tb_frame.f_globals.get("__name__"))
        if not file.startswith("<") and module.partition(".")[0] not in _NOT_A_PLUGIN:
            found = f"{file}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return found


def load_target(target: str, what: str, origin: Origin) -> Any:
    """The object that ``package.module:attribute`` names. Raises PluginError naming ``what`` and its origin."""
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise PluginError(f"{what} of {origin} cannot be imported from {target}: {one_line(error)}") from error


def missing_target(target: str) -> str:
    """Why a target cannot be there, as far as its source tells without being run; nothing if it may be there."""
    import ast

    module, _, attribute = target.partition(":")
    try:
        spec = importlib.util.find_spec(module)
        if spec is None:
            return f"there is no module {module}"
        if not spec.origin or not spec.origin.endswith(".py"):
            return ""
        tree = ast.parse(Path(spec.origin).read_bytes(), spec.origin)
    except (ImportError, SyntaxError, ValueError) as error:
        return one_line(error)
    if {name for node in ast.walk(tree) for name in _names_bound(node)} & {attribute, "*", "__getattr__"}:
        return ""
    written = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    return f"{spec.origin} has no {attribute}{did_you_mean(attribute, written)}"


def _names_bound(node: Any) -> list[str]:
    """The names that a node of a syntax tree gives something to."""
    match type(node).__name__:
        case "Import" | "ImportFrom":
            return [alias.asname or alias.name for alias in node.names]
        case "FunctionDef" | "ClassDef":
            return [node.name]
        case "Name" if type(node.ctx).__name__ == "Store":
            return [node.id]
    return []


def _points(file: Path) -> Iterator[tuple[str, str]]:
    """The lines of our group in an ``entry_points.txt``: (name, ``package.module:attribute``)."""
    section = ""
    for line in map(str.strip, file.read_text(encoding="utf-8", errors="replace").splitlines()):
        if line.startswith("["):
            section = line.strip("[] ")
        elif section == ENTRY_POINT_GROUP and line and line[0] not in "#;":
            name, _, target = line.partition("=")
            yield name.strip(), target.partition("[")[0].strip()


def _origin(folder: Path) -> Origin:
    """Name and version from the first lines of the metadata; without them, the name of the folder."""
    fields: dict[str, str] = {}
    for file in (folder / "METADATA", folder / "PKG-INFO"):
        if file.is_file():
            head = file.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
            fields = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)
            break
    return Origin(fields.get("Name", folder.name.partition("-")[0]), fields.get("Version", ""))


def _load(target: str) -> object:
    module, _, attribute = target.partition(":")
    if not module:
        raise PluginError("its line in entry_points.txt is not 'name = package.module'")
    return functools.reduce(getattr, filter(None, attribute.split(".")), importlib.import_module(module))


def _load_file(path: Path) -> object:
    """Import a file under a module name that its full path makes unique, so that ``__name__`` works in its targets."""
    name = f"ganlm_plugin_{path.stem}_{zlib.crc32(str(path.resolve()).encode()):08x}"
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
