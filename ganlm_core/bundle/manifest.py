"""``config.json`` of a bundle: its networks, how they are built, and who provides them. Nothing here imports torch.

The file names components and distributions, never modules: what is imported is what the host knows by that name.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganlm_core.components import KINDS
from ganlm_core.errors import GanlmError, PluginError, UnknownName, UsageError, WeightsError
from ganlm_core.hookspecs import GANLM_PLUGIN_API
from ganlm_core.plugins.discovery import Origin
from ganlm_core.system.files import (
    FETCH_AGAIN,
    read_json,
    shown,
)
from ganlm_core.system.version import __version__

if TYPE_CHECKING:
    from ganlm_core.config.run_config import RunConfig
    from ganlm_core.plugins.host import Host

FORMAT, FORMAT_VERSION = "ganlm-bundle", 1
CONFIG, TOKENIZER, RECIPE, EVALUATION = "config.json", "tokenizer.json", "recipe.toml", "evaluation.json"
SELFTEST, CARD, CALIBRATION = "selftest.json", "README.md", "calibration.json"
NETWORKS = ("generator", "discriminator")
LARGEST = 2**16
"""Most positions and longest noise: the weights of some networks do not bound them, and a batch must fit the memory."""
_DISTRIBUTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Component:
    """One component: its name and options, and the distribution, version and plugin API that it came from."""

    name: str
    options: Mapping[str, Any]
    distribution: str
    version: str
    api: int

    @property
    def origin(self) -> Origin:
        return Origin(self.distribution, self.version)


@dataclass(frozen=True)
class Manifest:
    """All of config.json. ``components`` go by kind; ``networks`` are those whose weights are in the bundle.

    ``shape`` has the integers ``vocabulary``, ``length`` and ``noise`` of :class:`ganlm_core.protocol.Shape`.
    """

    components: Mapping[str, Component]
    networks: tuple[str, ...]
    shape: Mapping[str, int]
    ganlm_version: str

    def to_dict(self) -> dict[str, Any]:
        return {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(self)}


def manifest_of(config: "RunConfig", shape: Mapping[str, int], networks: tuple[str, ...], host: "Host") -> Manifest:
    """The manifest of a run's networks. Raises PluginError or UnknownName for a component that the host lacks."""
    components = {}
    for kind in KINDS:
        if choice := getattr(config, kind, None):
            distribution, version = host.origin(kind, choice.name)
            options = choice.options.as_dict()
            components[kind] = Component(choice.name, options, distribution, version, GANLM_PLUGIN_API)
    return Manifest(components, networks, shape, __version__)


def weights_file(folder: Path, kind: str) -> Path:
    """Where the weights of a network are in a bundle."""
    return folder / f"{kind}.safetensors"


def find_bundle(path: Path) -> Path:
    """The bundle at ``path``, or the one of the run there. Raises WeightsError saying what to give instead."""
    for folder in (path, path / "bundle"):
        if (folder / CONFIG).exists():
            return folder
    if (path / "config.toml").exists():
        raise WeightsError(f"{path} is a run without a bundle; make one: ganlm weights export {path} --out FOLDER")
    raise WeightsError(f"there is no bundle at {path}; give a folder that has a {CONFIG}, or a run")


def read_manifest(path: Path) -> Manifest:
    """``config.json`` at ``path``, checked. Raises WeightsError for another format, a newer version, a wrong type."""
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
        raise WeightsError(f"{path} has impossible networks or sizes: {shown(networks)}, {shown(sizes)}; {FETCH_AGAIN}")
    entries = _get(path, data, "components", dict)
    components = {kind: _component(path, kind, _get(path, entries, kind, dict)) for kind in entries}
    for kind in networks:
        _get(path, entries, kind, dict)
    return Manifest(components, tuple(networks), sizes, _get(path, data, "ganlm_version", str))


def _component(path: Path, kind: str, entry: dict[str, Any]) -> Component:
    texts = {key: _get(path, entry, key, str) for key in ("name", "distribution", "version")}
    if not _DISTRIBUTION.fullmatch(texts["distribution"]):
        raise WeightsError(f"{path}: {shown(texts['distribution'])} is no name of a distribution; do not use it")
    return Component(**texts, options=_get(path, entry, "options", dict), api=_get(path, entry, "api", int))


def _get(path: Path, data: Mapping[str, Any], key: str, kind: type) -> Any:
    value = data.get(key)
    if type(value) is not kind:
        raise WeightsError(f"{path}: {key} is {shown(value)}; wanted a value of type {kind.__name__}; {FETCH_AGAIN}")
    return value


def build(host: "Host", path: Path, manifest: Manifest, kind: str, shape: object) -> Any:
    """The network that config.json at ``path`` describes, with fresh weights.

    Raises PluginError when its plugin is missing, WeightsError when it cannot be built with these options and sizes.
    """
    component = manifest.components[kind]
    if component.api != GANLM_PLUGIN_API:
        raise PluginError(
            f"{path}: the {kind} '{component.name}' is made for plugin API {component.api}; "
            f"this ganlm has {GANLM_PLUGIN_API}: upgrade ganlm"
        )
    name = _name_here(host, path, kind, component)
    try:
        options = host.spec(kind, name).options.of(component.options, f"{kind} '{name}'")
        return host.target(kind, name)(options=options, shape=shape)
    except UsageError as error:
        raise WeightsError(f"{path}: {error}; use {component.origin}") from error
    except GanlmError:
        raise
    except Exception as error:  # impossible sizes break a constructor in any way
        reason = str(error).partition("\n")[0]
        raise WeightsError(f"{path}: the {kind} cannot be built as it says: {shown(reason)}; {FETCH_AGAIN}") from error


def _name_here(host: "Host", path: Path, kind: str, component: Component) -> str:
    """The name that this host has for a component; ``distribution/name`` where the short one is another's."""
    short = component.name.rpartition("/")[2]
    for name in (short, f"{component.distribution}/{short}"):
        try:
            if host.origin(kind, name)[0] == component.distribution:
                return name
        except UnknownName:
            continue
    remedy = f"pip install {component.distribution}"
    if component.distribution.endswith(".py"):
        remedy = f"load it with --plugin {component.distribution}"
    raise PluginError(
        f"{path}: the {kind} '{short}' is of {component.origin}, which is not installed; if you trust it: {remedy}"
    )
