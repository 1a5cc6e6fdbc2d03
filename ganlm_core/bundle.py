"""The bundle: the folder that is shared. ``docs/bundle.md`` states its format key by key.

Everything in it is JSON, TOML, text or safetensors, and nothing depends on the time or the machine. Loading imports
only what the host knows by name; what a stranger's bundle says is checked before it costs memory.
"""

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ganlm_core import card, selftest
from ganlm_core.calibration import Calibration
from ganlm_core.checkpoint import latest
from ganlm_core.config import RunConfig
from ganlm_core.devices import pick_device
from ganlm_core.errors import DataError, UsageError, WeightsError
from ganlm_core.files import (
    FETCH_AGAIN,
    LARGEST_JSON,
    SUMS,
    check_sum,
    new_folder,
    read_json,
    read_sums,
    read_text,
    refuse_links,
    shown,
    write_file,
    write_json,
    write_sums,
)
from ganlm_core.header import read_header
from ganlm_core.locations import locate
from ganlm_core.manifest import (
    CONFIG,
    FORMAT_VERSION,
    NETWORKS,
    Manifest,
    build,
    describe,
    read_manifest,
    weights_file,
)
from ganlm_core.model import Model
from ganlm_core.plugins import Host, default_host
from ganlm_core.protocol import Shape
from ganlm_core.runs import RunFolder
from ganlm_core.standard import FileOptions
from ganlm_core.tensors import check_header, check_state, read_into, without_memory, write_tensors
from ganlm_core.tokenizer import Tokenizer

TOKENIZER, RECIPE, EVALUATION = "tokenizer.json", "recipe.toml", "evaluation.json"
SELFTEST, CARD, CALIBRATION = "selftest.json", "README.md", "calibration.json"
CARD_SAMPLES = 8
LARGEST_RECIPE = 2**20
"""Bytes: as Python objects TOML can take a hundred times its size."""


@dataclass(frozen=True)
class Check:
    """One thing that :func:`verify` found in order."""

    name: str
    detail: str


def save(
    folder: Path,
    *,
    config: RunConfig,
    shape: Shape,
    networks: Mapping[str, nn.Module],
    tokenizer: Tokenizer,
    evaluation: Mapping[str, Any],
    host: Host,
    held_out: Sequence[str] = (),
    unused: Sequence[str] = (),
    force: bool = False,
) -> Path:
    """Write a bundle. The same arguments give the same bytes on one machine.

    ``networks``: the generator and, if one was trained, the discriminator. ``held_out``: real sentences that nobody was
    trained on, for the calibration of the discriminator; without them the bundle has none. ``unused``: the kinds of
    components that the training method ignored, which the card leaves out. The folder appears when it is complete, and
    what was written has been loaded once. Raises UsageError when there is something at ``folder`` that ``force`` does
    not let go, GanlmError when the disk refuses, and what :func:`load` raises.
    """
    check_free(folder, force)
    names = tuple(kind for kind in NETWORKS if kind in networks)
    manifest = describe(config, asdict(shape), names, host)
    with new_folder(folder, replace=force) as beside:
        write_json(beside / CONFIG, manifest.to_dict())
        for kind in names:
            metadata = {"network": kind, "shape": asdict(shape), **asdict(manifest.components[kind])}
            write_tensors(weights_file(beside, kind), networks[kind].state_dict(), metadata)
        write_file(beside / TOKENIZER, tokenizer.to_json().encode())
        write_file(beside / RECIPE, config.to_toml().encode())
        write_json(beside / EVALUATION, evaluation)
        model = _read(beside, host, torch.device("cpu"))
        if model.discriminator is not None:
            with suppress(DataError):  # too few sentences, or logits without end: a bundle without is better than none
                write_json(beside / CALIBRATION, asdict(model.calibrate(held_out)))
        write_json(beside / SELFTEST, selftest.record(model))
        counts = {kind: sum(p.numel() for p in networks[kind].parameters()) for kind in names}
        page = card.render(manifest, evaluation, model.sample(CARD_SAMPLES), counts, unused)
        write_file(beside / CARD, page.encode())
        write_sums(beside)
    return folder


def shared_config(config: RunConfig, run: RunFolder) -> RunConfig:
    """The configuration of a run as its bundle has it: data that the run folder keeps go by their name alone."""
    options = config.corpus.options
    if not isinstance(options, FileOptions) or not run.data.exists():
        return config
    return replace(config, corpus=replace(config.corpus, options=replace(options, path=run.data.name)))


def check_free(folder: Path, force: bool) -> None:
    """Raises UsageError unless ``folder`` may be written: nothing is there, or a bundle that ``force`` replaces."""
    if not folder.exists():
        return
    if not force:
        raise UsageError(f"{folder} is there already; choose another folder or add --force")
    if not (folder / CONFIG).is_file() or not (folder / SUMS).is_file():
        raise UsageError(f"{folder} is there and is no bundle, so --force does not replace it; choose another folder")


def load(path: Path | str, host: Host | None = None, device: str = "cpu") -> Model:
    """The model of a bundle: its folder or that of its run, ``zoo:NAME``, or ``hf:OWNER/NAME@REVISION``.

    What is on the Hub is fetched, and kept for the next time. Raises as :func:`ganlm_core.locations.locate`,
    WeightsError when anything it needs is missing, changed or of another format, and PluginError when the plugin of a
    network is not installed.
    """
    folder = locate(path)
    refuse_links(folder)
    manifest = read_manifest(folder / CONFIG)
    sums = read_sums(folder)
    wanted = [CONFIG, TOKENIZER, EVALUATION, *(weights_file(folder, kind).name for kind in manifest.networks)]
    if CALIBRATION in sums or (folder / CALIBRATION).exists():
        wanted.append(CALIBRATION)
    for name in wanted:
        check_sum(folder, name, sums)
    return _read(folder, host or default_host(), pick_device(device))


def _read(folder: Path, host: Host, device: torch.device) -> Model:
    manifest = read_manifest(folder / CONFIG)
    shape = Shape(**manifest.shape)
    tokenizer = _tokenizer(folder / TOKENIZER, shape)
    networks = {kind: _network(folder, host, manifest, kind).to(device) for kind in manifest.networks}
    return Model(
        generator=networks["generator"],
        discriminator=networks.get("discriminator"),
        tokenizer=tokenizer,
        config=manifest,
        evaluation=read_json(folder / EVALUATION),
        calibration=_calibration(folder / CALIBRATION),
        shape=shape,
        device=device,
    )


def _network(folder: Path, host: Host, manifest: Manifest, kind: str) -> Any:
    path, shape = weights_file(folder, kind), Shape(**manifest.shape)
    # First without memory: sizes that a stranger wrote cost nothing until the file is seen to have them.
    header = read_header(path)
    with without_memory(len(header.tensors)):
        check_header(path, header, build(host, folder / CONFIG, manifest, kind, shape))
    with torch.random.fork_rng(devices=[]):  # its initial weights are nobody's random numbers
        network = build(host, folder / CONFIG, manifest, kind, shape)
    read_into(path, network)
    _check_finite(path, network)
    return network.eval().requires_grad_(False)


def _check_finite(path: Path, network: nn.Module) -> None:
    for name, tensor in network.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise WeightsError(f"{path}: {name} has values that are not finite; train again with a lower learning rate")


def _tokenizer(path: Path, shape: Shape) -> Tokenizer:
    text = read_text(path, LARGEST_JSON)
    try:
        tokenizer = Tokenizer.from_json(text)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
    if tokenizer.vocabulary_size != shape.vocabulary:
        raise WeightsError(
            f"{path} has {tokenizer.vocabulary_size} tokens, {CONFIG} says {shape.vocabulary}; {FETCH_AGAIN}"
        )
    return tokenizer


def _calibration(path: Path) -> Calibration | None:
    """What calibration.json says, where there is one. Raises WeightsError for what cannot be."""
    if not path.exists():
        return None
    found = read_json(path)
    try:
        calibration = Calibration(**found)
        if not all(isinstance(value, float | int) and math.isfinite(value) for value in found.values()):
            raise ValueError("a value that is no number")
    except (TypeError, ValueError, OverflowError) as error:
        raise WeightsError(f"{path} is no calibration ({shown(str(error))}); {FETCH_AGAIN}") from None
    return calibration


def verify(path: Path | str, host: Host | None = None) -> list[Check]:
    """Everything that can be checked about a bundle. Raises WeightsError or PluginError for the first fault."""
    return list(checks(Path(path), host or default_host()))


def checks(path: Path, host: Host) -> Iterator[Check]:
    """As :func:`verify`, each check as soon as it is done."""
    folder, manifest = open_bundle(path)
    yield Check(SUMS, f"{len(read_sums(folder))} files are as they were saved")
    yield Check(CONFIG, f"format {FORMAT_VERSION}, made by ganlm {manifest.ganlm_version}")
    model = _read(folder, host, torch.device("cpu"))
    for kind in manifest.networks:
        header = read_header(file := weights_file(folder, kind))
        yield Check(file.name, f"{len(header.tensors)} tensors, {header.elements:,} finite values")
    yield Check(TOKENIZER, f"{model.tokenizer.vocabulary_size} tokens, as {CONFIG} says")
    yield Check(RECIPE, f"{len(read_toml(folder / RECIPE))} tables")
    yield Check(EVALUATION, f"{len(model.evaluation)} entries")
    if (fitted := model.calibration) is not None:
        yield Check(CALIBRATION, f"from {fitted.real:,} real and {fitted.generated:,} generated sentences")
    yield Check(SELFTEST, selftest.compare(folder / SELFTEST, read_json(folder / SELFTEST), model))


def open_bundle(path: Path) -> tuple[Path, Manifest]:
    """A bundle's folder, in which every file is the one that was saved and no other is there, and its manifest.

    Hidden files, which tools that fetch bundles leave, are nobody's business. Raises WeightsError.
    """
    folder = locate(path)
    refuse_links(folder)
    manifest, sums = read_manifest(folder / CONFIG), read_sums(folder)
    wanted = {CONFIG, TOKENIZER, RECIPE, EVALUATION, SELFTEST, CARD}
    wanted |= {weights_file(folder, kind).name for kind in manifest.networks}
    for name in sorted(wanted | sums.keys()):
        check_sum(folder, name, sums)
    found = {file.name for file in folder.iterdir() if not file.name.startswith(".")}
    if extra := sorted(found - sums.keys() - {SUMS}):
        raise WeightsError(f"{folder} has {extra[0]!r}, which {SUMS} does not list; remove it or {FETCH_AGAIN}")
    return folder, manifest


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises WeightsError."""
    try:
        return tomllib.loads(read_text(path, LARGEST_RECIPE))
    except tomllib.TOMLDecodeError as error:
        raise WeightsError(f"{path} is not valid TOML ({error}); {FETCH_AGAIN}") from None


def export(run: RunFolder, folder: Path, host: Host, force: bool = False) -> Path:
    """The bundle of a run at another place: a copy of its own, or one made from its latest checkpoint.

    Raises as :func:`save`, and WeightsError when the run has no checkpoint or no tokenizer.
    """
    check_free(folder, force)
    if run.bundle.is_dir():
        verify(run.bundle, host)
        with new_folder(folder, replace=force) as beside:
            for name in (*read_sums(run.bundle), SUMS):
                write_file(beside / name, (run.bundle / name).read_bytes())
        return folder
    config, checkpoint = shared_config(run.load_config(host), run), latest(run.checkpoints)
    shape = run.shape()
    names = tuple(kind for kind in NETWORKS if kind in checkpoint.networks)
    manifest = describe(config, shape, names, host)
    networks = {}
    for kind in names:
        networks[kind] = build(host, run.path / "config.toml", manifest, kind, Shape(**shape))
        check_state(checkpoint.path, checkpoint.network(kind), networks[kind])
        networks[kind].load_state_dict(checkpoint.network(kind))
    return save(
        folder,
        config=config,
        shape=Shape(**shape),
        networks=networks,
        tokenizer=Tokenizer.from_json(run.tokenizer()),
        evaluation={},
        host=host,
        unused=run.unused(),
        force=force,
    )
