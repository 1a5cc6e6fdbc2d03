"""The bundle: the folder that is shared. ``docs/bundle.md`` states its format key by key.

Everything in it is JSON, TOML, text or safetensors, and nothing depends on the time or the machine. Loading imports
only what the host knows by name; what a stranger's bundle says is checked before it costs memory.
"""

import math
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ganlm_core.bundle.calibration import Calibration
from ganlm_core.bundle.locate import locate
from ganlm_core.bundle.manifest import (
    CALIBRATION,
    CONFIG,
    EVALUATION,
    TOKENIZER,
    Manifest,
    build,
    read_manifest,
    weights_file,
)
from ganlm_core.bundle.model import Model
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.errors import WeightsError
from ganlm_core.plugins.host import Host, default_host
from ganlm_core.protocol import Shape
from ganlm_core.system.devices import pick_device
from ganlm_core.system.files import (
    FETCH_AGAIN,
    LARGEST_JSON,
    check_sum,
    read_json,
    read_sums,
    read_text,
    refuse_links,
    shown,
)
from ganlm_core.system.header import read_header
from ganlm_core.system.tensors import check_header, read_into, without_memory


def load(path: Path | str, host: Host | None = None, device: str = "cpu") -> Model:
    """The model of a bundle: its folder or that of its run, ``zoo:NAME``, or ``hf:OWNER/NAME@REVISION``.

    What is on the Hub is fetched, and kept for the next time. Raises as :func:`ganlm_core.bundle.locate.locate`,
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
    return read_model(folder, manifest, host or default_host(), pick_device(device))


def read_model(folder: Path, manifest: Manifest, host: Host, device: torch.device) -> Model:
    """Build the networks of ``manifest`` and read their weights; SHA256SUMS is not checked. Raises as :func:`load`."""
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
