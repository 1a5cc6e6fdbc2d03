"""``config.json`` of a bundle: its networks, their options and their plugins. Nothing here imports torch.

The file names components and distributions, never modules: only registered components are imported.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganlm_core.components import KINDS
from ganlm_core.data.options import MOST_LABELS, SPLITS
from ganlm_core.data.text import one_line
from ganlm_core.errors import GanlmError, PluginError, UnknownName, Unreadable, UsageError, WeightsError
from ganlm_core.hookspecs import GANLM_PLUGIN_API
from ganlm_core.plugins.discovery import DISTRIBUTION, LONGEST_NAME, Origin
from ganlm_core.system.files import is_number, read_json
from ganlm_core.system.folders import restore
from ganlm_core.system.printable import printable, shown
from ganlm_core.system.version import __version__

if TYPE_CHECKING:
    from ganlm_core.config.run_config import Choice, RunConfig
    from ganlm_core.plugins.host import Host

FORMAT, FORMAT_VERSION = "ganlm-bundle", 1
RUN_CONFIG, BUNDLE = "config.toml", "bundle"
"""The configuration and the bundle in the folder of a run."""

CONFIG, TOKENIZER, RECIPE, EVALUATION = "config.json", "tokenizer.json", "recipe.toml", "evaluation.json"
SELFTEST, CARD, CALIBRATION = "selftest.json", "README.md", "calibration.json"
ROWS = ("after", "before", "real", "process", "shuffled", "unigram")
NUMBERS = ("samples", "seed", "temperature", "test_sentences", "copies_by_chance", "weights_step", "tokens_read")
"""The rows and the numbers of evaluation.json."""
HASHES = "training.hashes"
"""The hashes of the training sentences (:mod:`ganlm_core.data.hashes`), if the author shares them."""
NETWORKS = ("generator", "discriminator")
LARGEST = 2**16
"""Maximum sequence length and noise size: some networks' weights bound neither, and a batch must fit in memory."""
LONGEST_MESSAGE = 500
"""Maximum number of characters that a message repeats of another."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Component:
    """A component: its name and options, and the distribution, version and plugin API that it came from.

    The distribution of a local plugin is the name of its file, with ``.py``, and its version is empty.
    """

    name: str
    options: Mapping[str, Any]
    distribution: str
    version: str
    api: int

    @property
    def origin(self) -> Origin:
        return Origin(self.distribution, self.version)


@dataclass(frozen=True)
class Ancestor:
    """A bundle whose weights a network was trained from.

    ``revision`` is its commit on the Hub, else empty; ``sha256`` is the SHA-256 of its SHA256SUMS.
    """

    name: str
    revision: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.name}@{self.revision}" if self.revision else self.name


Descent = Mapping[str, Sequence[Ancestor]]
"""The ancestors of each network that was not new at the start of its run, the nearest first."""


@dataclass(frozen=True)
class Manifest:
    """The content of config.json.

    ``components`` are by kind; ``networks`` are the kinds whose weights are in the bundle. ``shape`` has the integers
    ``vocabulary``, ``length`` and ``noise`` of :class:`ganlm_core.protocol.Shape`. ``corpus`` identifies the text: its
    ``name``, and the SHA-256 of each of its SPLITS (:meth:`ganlm_core.data.corpus.Corpus.digests`). It is None if
    the text is not known, as in bundles of older versions. ``descent`` is empty if all networks were new. ``labels``
    are the categories in the order of their numbers, and ``label_counts`` how many training sentences had each; both
    are empty for networks without labels.
    """

    components: Mapping[str, Component]
    networks: tuple[str, ...]
    shape: Mapping[str, int]
    ganlm_version: str
    corpus: Mapping[str, str] | None = None
    descent: Descent = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    label_counts: tuple[int, ...] = ()

    @property
    def sizes(self) -> dict[str, int]:
        """The arguments of :class:`ganlm_core.protocol.Shape`."""
        return {**self.shape, "labels": len(self.labels)}

    @property
    def source(self) -> Component:
        """The corpus that the text is from. Raises WeightsError if there is none: only the networks must be named."""
        if "corpus" not in self.components:
            raise WeightsError("the config.json of the bundle names no corpus; name its text with --data FILE")
        return self.components["corpus"]

    def to_dict(self) -> dict[str, Any]:
        """Return config.json as a dict, without the keys of what is unknown or empty."""
        fields = {key: value for key, value in asdict(self).items() if value not in (None, {}, ())}
        return {"format": FORMAT, "format_version": FORMAT_VERSION, **fields}

    def changed_splits(self, digests: Mapping[str, str]) -> list[str]:
        """Return the splits with another SHA-256 than in the bundle; empty if the bundle has no SHA-256."""
        known = self.corpus or {}
        return [split for split in SPLITS if split in known and split in digests and known[split] != digests[split]]


def manifest_of(
    config: "RunConfig",
    shape: Mapping[str, int],
    networks: tuple[str, ...],
    host: "Host",
    corpus: Mapping[str, str] | None = None,
    descent: Descent | None = None,
    labels: Mapping[str, int] | None = None,
) -> Manifest:
    """Return the manifest of a run's networks. Raises the errors of :func:`components_of`."""
    own = {kind: ancestors for kind, ancestors in (descent or {}).items() if kind in networks}
    names, counts = tuple(labels or {}), tuple((labels or {}).values())
    return Manifest(components_of(config, host), networks, shape, __version__, corpus, own, names, counts)


def components_of(config: "RunConfig", host: "Host") -> dict[str, Component]:
    """Return the components of a run by kind.

    Raises UnknownName for a component that the host lacks, and PluginError for one whose plugin has a name that a
    bundle cannot have.
    """
    chosen = {kind: choice for kind in KINDS if (choice := getattr(config, kind, None))}
    return {kind: _chosen(host, kind, choice) for kind, choice in chosen.items()}


def _chosen(host: "Host", kind: str, choice: "Choice") -> Component:
    origin = host.origin(kind, choice.name)
    if not _can_be_named(origin.distribution) or not _is_short(origin.version):
        name = shown(str(origin))
        raise PluginError(f"the {kind} '{choice.name}' is from {name}, a name that a bundle cannot have; rename it")
    return Component(choice.name, choice.options.as_dict(), *origin, GANLM_PLUGIN_API)


def weights_file(folder: Path, kind: str) -> Path:
    """Return the path of a network's weights in a bundle."""
    return folder / f"{kind}.safetensors"


def is_run(path: Path) -> bool:
    """Return whether a folder is a run: it has a configuration."""
    return (path / RUN_CONFIG).is_file()


def find_bundle(path: Path) -> Path:
    """Return the bundle at ``path``, or the bundle of the run at ``path``.

    Raises WeightsError with advice.
    """
    for folder in (path, path / BUNDLE):
        restore(folder)
        if (folder / CONFIG).exists():
            return folder
    if is_run(path):
        command = f"ganlm weights export {shlex.quote(str(path))} --out FOLDER"
        raise WeightsError(f"{path} is a run without a bundle; make one: {command}")
    raise WeightsError(f"there is no bundle at {path}; give a folder that has a {CONFIG}, or a run")


def read_manifest(path: Path) -> Manifest:
    """Read and check the config.json at ``path``.

    Raises WeightsError for another format, a newer version or a value of the wrong type.
    """
    data = read_json(path)
    if data.get("format") != FORMAT:
        found = shown(data.get("format"))
        raise WeightsError(f"{path} is not the config.json of a bundle: its format is {found}; give another folder")
    version = _get(path, data, "format_version", int)
    if version > FORMAT_VERSION:
        raise WeightsError(
            f"{path} was made by a newer ganlm (format {version}); this one reads {FORMAT_VERSION}: upgrade ganlm"
        )
    networks = _get(path, data, "networks", list)
    shape = _get(path, data, "shape", dict)
    sizes = {name: _get(path, shape, name, int) for name in ("vocabulary", "length", "noise")}
    possible = sizes["vocabulary"] >= 1 and 1 <= sizes["length"] <= LARGEST and 0 <= sizes["noise"] <= LARGEST
    if networks not in (["generator"], list(NETWORKS)) or not possible:
        raise Unreadable(f"{path} has impossible networks or sizes: {shown(networks)}, {shown(sizes)}")
    entries = _get(path, data, "components", dict)
    components = {kind: _component(path, kind, _get(path, entries, kind, dict)) for kind in entries}
    for kind in networks:
        _get(path, entries, kind, dict)
    version_name = _short(path, data, "ganlm_version")
    descent = descent_of(path, data.get("descent", {}))
    labels = _labels(path, data)
    return Manifest(components, tuple(networks), sizes, version_name, _corpus(path, data), descent, *labels)


def read_evaluation(folder: Path) -> dict[str, Any]:
    """Return evaluation.json of a bundle, its ROWS and NUMBERS checked. Raises WeightsError.

    A value of a row may be null: it was not finite.
    """
    path = folder / EVALUATION
    found = read_json(path)
    values = {name: found[name] for name in NUMBERS if name in found}
    for row in (row for row in ROWS if row in found):
        table = _get(path, found, row, dict)
        values |= {f"{row}.{name}": value for name, value in table.items() if value is not None}
    for name, value in values.items():
        if not is_number(value):
            raise Unreadable(f"{path}: {shown(name)[1:-1]} is {shown(value)}; wanted a number")
    return found


def _labels(path: Path, data: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the labels in config.json and their counts; both empty if it has none."""
    if "labels" not in data and "label_counts" not in data:
        return (), ()
    names, counts = (_get(path, data, key, list) for key in ("labels", "label_counts"))
    fine = all(type(name) is str and _is_short(name) for name in names) and all(
        type(n) is int and n > 0 for n in counts
    )
    if not (fine and 1 < len(names) == len(counts) == len(set(names)) <= MOST_LABELS):
        raise Unreadable(f"{path} has impossible labels: {shown(names)} and {shown(counts)}")
    return tuple(names), tuple(counts)


def descent_of(path: Path, found: Any) -> Descent:
    """Return the descent in a JSON file at ``path``, checked. Raises WeightsError for any other value."""
    lines = _get(path, {"descent": found}, "descent", dict)
    return {
        kind: [_ancestor(path, each) for each in _get(path, lines, kind, list)] for kind in NETWORKS if kind in lines
    }


def _ancestor(path: Path, entry: Any) -> Ancestor:
    table = _get(path, {"descent": entry}, "descent", dict)
    digest = _get(path, table, "sha256", str)
    if not _SHA256.fullmatch(digest):
        raise Unreadable(
            f"{path}: a bundle of the descent has the SHA-256 {shown(digest)}; wanted 64 hexadecimal digits"
        )
    return Ancestor(_short(path, table, "name"), _short(path, table, "revision"), digest)


def _corpus(path: Path, data: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the entry of the text in config.json, if it has one."""
    if "corpus" not in data:
        return None
    table = _get(path, data, "corpus", dict)
    corpus = {key: _get(path, table, key, str) for key in ("name", *SPLITS)}
    for split in SPLITS:
        if not _SHA256.fullmatch(corpus[split]):
            raise Unreadable(f"{path}: corpus.{split} is {shown(corpus[split])}; wanted a SHA-256")
    return corpus


def _component(path: Path, kind: str, entry: dict[str, Any]) -> Component:
    distribution = _get(path, entry, "distribution", str)
    if not _can_be_named(distribution):
        raise WeightsError(f"{path}: {shown(distribution)} is not the name of a distribution; do not use it")
    return Component(
        name=_short(path, entry, "name"),
        options=_get(path, entry, "options", dict),
        distribution=distribution,
        version=_short(path, entry, "version"),
        api=_get(path, entry, "api", int),
    )


def _can_be_named(distribution: str) -> bool:
    """Return whether a bundle may name this distribution: as pip has it, or the name of a local plugin's file."""
    is_file = distribution.endswith(".py") and not set(distribution) & set("/\\")
    return _is_short(distribution) and (is_file or DISTRIBUTION.fullmatch(distribution) is not None)


def _is_short(text: str) -> bool:
    """Return whether a text is fit for a message: one line, printable, and no longer than the name of a file."""
    return text.isprintable() and len(text) <= LONGEST_NAME


def _short(path: Path, data: Mapping[str, Any], key: str) -> str:
    text: str = _get(path, data, key, str)
    if not _is_short(text):
        raise Unreadable(f"{path}: {key} is {shown(text)}; wanted at most {LONGEST_NAME} printable characters")
    return text


def _get(path: Path, data: Mapping[str, Any], key: str, kind: type) -> Any:
    value = data.get(key)
    if type(value) is not kind:
        raise Unreadable(f"{path}: {shown(key)[1:-1]} is {shown(value)}; wanted a value of type {kind.__name__}")
    return value


def build(host: "Host", path: Path, manifest: Manifest, kind: str, shape: object) -> Any:
    """Build the network that the config.json at ``path`` describes, with new random weights.

    Raises PluginError when its plugin is missing, WeightsError when it cannot be built with these options and sizes.
    """
    component = manifest.components[kind]
    if component.api != GANLM_PLUGIN_API:
        raise PluginError(
            f"{path}: the {kind} {shown(component.name)} is made for plugin API {component.api}; "
            f"this ganlm has {GANLM_PLUGIN_API}: upgrade ganlm"
        )
    name = name_here(host, path, kind, component)
    try:
        options = host.spec(kind, name).options.of(component.options, f"{kind} '{name}'")
        return host.target(kind, name)(options=options, shape=shape)
    except UsageError as error:
        reason = printable(one_line(str(error)), LONGEST_MESSAGE)
        raise WeightsError(f"{path}: {reason}; use {component.origin}") from error
    except GanlmError:
        raise
    except Exception as error:  # impossible sizes break a constructor in any way
        reason = str(error).partition("\n")[0]
        raise Unreadable(f"{path}: the {kind} cannot be built with its options: {shown(reason)}") from error


def name_here(host: "Host", path: Path, kind: str, component: Component) -> str:
    """Return the host's name of a component: ``distribution/name`` where another plugin has the short name.

    Raises PluginError, with the config.json at ``path``, if the plugin of the component is not installed.
    """
    short = component.name.rpartition("/")[2]
    for name in (short, f"{component.distribution}/{short}"):
        try:
            if host.origin(kind, name).distribution == component.distribution:
                return name
        except UnknownName:
            continue
    remedy = f"pip install {component.distribution}"
    if component.distribution.endswith(".py"):
        remedy = f"load it with --plugin {shlex.quote(component.distribution)}"
    raise PluginError(
        f"{path}: the {kind} {shown(short)} is from {component.origin}, which is not installed; "
        f"if you trust it: {remedy}"
    )
