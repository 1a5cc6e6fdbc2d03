"""Start a run from the weights of bundles. Nothing here imports torch.

``[start]`` in a layer of a configuration names the bundles: ``from`` for both networks, ``generator`` and
``discriminator`` for one of them. :func:`resolve` reads these bundles and takes the architectures, their options, the
tokenizer and the sizes from them; everything else is the user's. The resolved configuration also has the SHA-256 of the
SHA256SUMS of each bundle, so a bundle that has changed since is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganlm_core.bundle import hub, zoo
from ganlm_core.bundle.locate import MEAN, locate
from ganlm_core.bundle.manifest import (
    BUNDLE,
    CONFIG,
    NETWORKS,
    RUN_CONFIG,
    TOKENIZER,
    Ancestor,
    Manifest,
    is_run,
    name_here,
    read_manifest,
)
from ganlm_core.config import run_config
from ganlm_core.config.options import StartOptions
from ganlm_core.config.run_config import CHOSEN, DEFAULTS, PREFIXES, Choice, Layer, RunConfig, difference, override
from ganlm_core.data.tokenizer_kind import contents_of, tokenizer_kind
from ganlm_core.errors import OptionError, UsageError, WeightsError
from ganlm_core.plugins.host import Host
from ganlm_core.system.files import read_toml
from ganlm_core.system.printable import shown
from ganlm_core.system.sums import SUMS, check_sum, read_sums, sha256

FROM = "from"
"""The key of ``[start]`` that names a bundle for both networks."""

START = {"from": FROM, "from-gen": "generator", "from-disc": "discriminator", "grow-vocabulary": "grow_vocabulary"}
"""The key of ``[start]`` for each flag that asks for trained weights."""


@dataclass(frozen=True)
class Parent:
    """A bundle that a network comes from. ``source`` finds it again from any working directory."""

    source: str
    folder: Path
    manifest: Manifest
    sha256: str

    @property
    def ancestor(self) -> Ancestor:
        """The bundle as its descendants name it: without the path of this machine."""
        if self.source.startswith(zoo.PREFIX):
            return Ancestor(self.source, "", self.sha256)
        if address := hub.address_of(self.folder):
            return Ancestor(f"{hub.PREFIX}{address.repository}", address.revision or "", self.sha256)
        path = Path(self.source)
        return Ancestor((path.parent if path.name == BUNDLE else path).name, "", self.sha256)

    def line(self, network: str) -> list[Ancestor]:
        """Return the line of descent of a network that is trained from this bundle, the nearest ancestor first."""
        return [self.ancestor, *self.manifest.descent.get(network, [])]


def find(source: str) -> Parent:
    """Return the bundle at an address that :func:`ganlm_core.bundle.locate.locate` takes.

    Raises the errors of ``locate``, and WeightsError for a configuration or a tokenizer that was changed.
    """
    pinned = _pinned(source)
    folder = locate(pinned)
    sums = read_sums(folder)
    for name in (CONFIG, TOKENIZER):
        check_sum(folder, name, sums)
    return Parent(pinned, folder, read_manifest(folder / CONFIG), sha256(folder / SUMS))


def _pinned(source: str) -> str:
    """Return an address that gives the same bundle tomorrow and from any working directory.

    An address of several bundles stays as it is, and ``locate`` refuses it.
    """
    if source.startswith((zoo.PREFIX, MEAN)):
        return source
    if source.startswith(hub.PREFIX):
        address = hub.Address.of(source)
        return str(hub.resolve(address)) if address.revision else source
    return str(Path(source).resolve())


def origins(start: StartOptions) -> dict[str, Parent]:
    """Return the bundle of each network that comes from one.

    Raises the errors of :func:`find`, WeightsError for a bundle that has another SHA-256 than ``start`` says, and
    UsageError for a bundle without the network.
    """
    sources = {network: getattr(start, network) for network in NETWORKS if getattr(start, network)}
    found = {network: find(source) for network, source in sources.items()}
    for network, origin in found.items():
        _check_unchanged(origin, getattr(start, f"{network}_sha256"))
        if network not in origin.manifest.networks:
            raise UsageError(
                f"{sources[network]} has no {network}, only a {' and a '.join(origin.manifest.networks)}; "
                f"leave out --from-{PREFIXES[network]}, or give another bundle"
            )
    return found


def _check_unchanged(origin: Parent, expected: str) -> None:
    if expected and origin.sha256 != expected:
        raise WeightsError(
            f"{origin.source} has changed since the configuration was made: the SHA-256 of its {SUMS} is "
            f"{origin.sha256}, and the configuration has {expected}; put the old bundle back, or start a new run "
            "with --from"
        )


def resolve(host: Host, layers: Sequence[Layer]) -> RunConfig:
    """Resolve layers as :func:`ganlm_core.config.run_config.resolve` does, and read the bundles that they start from.

    Layers that name no corpus get the corpus that the bundle was trained on. Raises the errors of :func:`check`.
    """
    config = run_config.resolve(host, expand(host, layers, corpus=not any(map(_names_corpus, layers))))
    check(host, config)
    return config


def _names_corpus(layer: Layer) -> bool:
    table = layer.get("corpus", {})
    return not isinstance(table, Mapping) or bool(table.keys() - {CHOSEN})


def expand(host: Host, layers: Sequence[Layer], corpus: bool = False) -> Sequence[Layer]:
    """Return layers with a resolved ``[start]``, over what comes from its bundles, with their ``corpus`` or not.

    Raises the errors of :func:`origins`.
    """
    bare = [{key: value for key, value in layer.items() if key != "start"} for layer in layers]
    asked = _asked(layers)
    if not asked:
        return bare
    start = StartOptions.of(asked, "start")
    found = origins(start)
    sources = {network: origin.source for network, origin in found.items()}
    sums = {f"{network}_sha256": origin.sha256 for network, origin in found.items()}
    below = [_fixed(host, found, start.grow_vocabulary), _defaults(found)] if found else []
    below += [_corpus(host, _main(found))] if found and corpus else []
    return [*below, *bare, {"start": start.as_dict() | sources | sums}]


def started(host: Host, config: RunConfig, source: str, grow_vocabulary: bool = False) -> RunConfig:
    """Return a configuration whose networks, tokenizer and sizes are replaced by those of a bundle.

    Raises the errors of :func:`origins`, and UsageError for a configuration that names no text beside a bundle of
    other text than the default.
    """
    default = DEFAULTS["corpus"]
    names_no_text = config.corpus == Choice(default, host.spec("corpus", default).options())
    layers = expand(host, [{"start": {FROM: source, "grow_vocabulary": grow_vocabulary}}], corpus=names_no_text)
    if any(default not in layer["corpus"] for layer in layers if "corpus" in layer):
        raise UsageError(
            f"the configuration names no text, and {source} was not trained on '{default}', the default; "
            "name the text: make_config(data=...)"
        )
    return override(host, config, [layer for layer in layers if "corpus" not in layer])


def check(host: Host, config: RunConfig) -> dict[str, Parent]:
    """Return the :func:`origins` of a configuration.

    Raises their errors, and UsageError, with the differences, if it asks for other networks than its bundles have.
    """
    found = origins(config.start)
    if config.start.grow_vocabulary and not found:
        raise UsageError("--grow-vocabulary is for a run that starts from a bundle; add --from BUNDLE, or leave it out")
    wanted = override(host, config, [_fixed(host, found, config.start.grow_vocabulary)]) if found else config
    if changes := difference(wanted, config):
        bundles = " and ".join(dict.fromkeys(origin.source for origin in found.values()))
        words = "add --grow-vocabulary, " if any(".vocabulary: " in change for change in changes) else ""
        raise UsageError(
            f"the run starts from {bundles}, which has other networks than are asked for ({', '.join(changes)}); "
            f"leave these options out, {words}or train new networks without --from"
        )
    return found


def _asked(layers: Sequence[Layer]) -> dict[str, Any]:
    """Return ``[start]`` of all layers, the last on top, without ``from``.

    A layer that names a bundle drops the bundle of earlier layers and its SHA-256.
    """
    asked: dict[str, Any] = {}
    for layer in layers:
        table = layer.get("start", {})
        if not isinstance(table, Mapping):
            raise OptionError(f"start is {shown(table)}; wanted a table, [start]")
        named = {**_both(table), **{key: value for key, value in table.items() if key != FROM}}
        replaced = NETWORKS if FROM in table else [network for network in NETWORKS if network in table]
        dropped = {*replaced, *(f"{network}_sha256" for network in replaced)}
        asked = {key: value for key, value in asked.items() if key not in dropped} | named
    return asked


def _both(table: Mapping[str, Any]) -> dict[str, str]:
    """Return the bundle that ``from`` names as the bundle of each network that it has."""
    source = table.get(FROM, "")
    if not isinstance(source, str):
        raise OptionError(f"start: from is {shown(source)}; wanted the name of a bundle in quotes")
    return dict.fromkeys(find(source).manifest.networks, source) if source else {}


def _fixed(host: Host, found: Mapping[str, Parent], grow: bool) -> Layer:
    """Return the layer of what bundles fix. A vocabulary that may grow has no fixed size."""
    _check_same_words(found)
    manifest = _main(found).manifest
    networks = {network: _network(host, origin, network) for network, origin in found.items()}
    size = {} if grow else {"vocabulary": manifest.shape["vocabulary"]}
    noise = {"noise_size": manifest.shape["noise"]} if "generator" in found else {}
    return {**networks, "tokenizer": {tokenizer_kind(_main(found).folder / TOKENIZER): size}, "training": noise}


def _defaults(found: Mapping[str, Parent]) -> Layer:
    """Return the layer of what a bundle has and a run may change: the length of sequences."""
    length = _main(found).manifest.shape["length"]
    return {"tokenizer": {tokenizer_kind(_main(found).folder / TOKENIZER): {"max_length": length}}}


def _corpus(host: Host, origin: Parent) -> Layer:
    """Return the layer of the corpus of a bundle; a bundle in a run has it in the run, with the path of its file."""
    if is_run(origin.folder.parent):
        return {"corpus": read_toml(origin.folder.parent / RUN_CONFIG).get("corpus", {})}
    component = origin.manifest.source
    return {"corpus": {name_here(host, origin.folder / CONFIG, "corpus", component): dict(component.options)}}


def _main(found: Mapping[str, Parent]) -> Parent:
    """Return the bundle whose tokenizer and sizes are taken."""
    return found.get("generator") or found["discriminator"]


def _network(host: Host, origin: Parent, network: str) -> dict[str, Any]:
    component = origin.manifest.components[network]
    return {name_here(host, origin.folder / CONFIG, network, component): dict(component.options)}


def _check_same_words(found: Mapping[str, Parent]) -> None:
    """Raise UsageError, with the first difference, if the tokenizers of two bundles differ."""
    if len({origin.folder for origin in found.values()}) < 2:
        return
    generator, discriminator = (found[network] for network in NETWORKS)
    one, other = (contents_of(origin.folder / TOKENIZER) for origin in (generator, discriminator))
    if one == other:
        return
    told = f"{len(one.tokens):,} and {len(other.tokens):,} tokens"
    if words := next(((a, b) for a, b in zip(one.tokens, other.tokens, strict=False) if a != b), None):
        told += f", the first that differ are {shown(words[0])} and {shown(words[1])}"
    raise UsageError(
        f"the tokenizers of {generator.source} and {discriminator.source} differ: {one.kind} and {other.kind}, {told}; "
        "take both networks from one bundle, or one of them new"
    )
