"""Load a bundle, the folder that is shared. ``docs/bundle.md`` states its format key by key.

Everything in it is JSON, TOML, text or safetensors, and nothing in it depends on the time or the machine. Loading
imports only components that the host knows by name. It checks an untrusted bundle before it allocates memory for it.
"""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ganlm_core.bundle import mean
from ganlm_core.bundle.calibration import Calibration
from ganlm_core.bundle.locate import MEAN, absolute, locate, members_of
from ganlm_core.bundle.manifest import (
    CALIBRATION,
    CONFIG,
    EVALUATION,
    TOKENIZER,
    Manifest,
    build,
    read_evaluation,
    read_manifest,
    weights_file,
)
from ganlm_core.bundle.model import Model
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.errors import Unreadable, WeightsError
from ganlm_core.plugins.host import Host, default_host
from ganlm_core.protocol import Shape
from ganlm_core.system import arguments
from ganlm_core.system.arguments import instance
from ganlm_core.system.devices import pick_device, plain_torch
from ganlm_core.system.files import LARGEST_JSON, read_json, read_text
from ganlm_core.system.header import read_header
from ganlm_core.system.printable import shown
from ganlm_core.system.sums import check_sum, read_sums
from ganlm_core.system.tensors import check_header, read_into, without_memory


@plain_torch()
def load(path: str | os.PathLike[str], host: Host | None = None, device: str | torch.device = "cpu") -> Model:
    """Load a bundle: its folder, the folder of its run, ``zoo:NAME``, or ``hf:OWNER/NAME@REVISION``.

    A bundle on the Hub is fetched and kept in the cache. ``mean:A,B,C`` is the mean of several bundles
    (:func:`ganlm_core.bundle.mean.mean_of`). Raises the errors of :func:`ganlm_core.bundle.locate.locate`,
    WeightsError when a file is missing, changed or of another format, and PluginError when the plugin of a network is
    not installed.
    """
    address = arguments.path("path", path, "a path or an address")
    host = instance("host", host or default_host(), Host, "a Host, such as Host.discover()")
    if address.startswith(MEAN):
        return mean.mean_of([load(each, host, device) for each in members_of(address)], address)
    folder = locate(address)
    with within_bounds(folder):
        manifest = read_manifest(folder / CONFIG)
        sums = read_sums(folder)
        wanted = [CONFIG, TOKENIZER, EVALUATION, *(weights_file(folder, kind).name for kind in manifest.networks)]
        if CALIBRATION in sums or (folder / CALIBRATION).exists():
            wanted.append(CALIBRATION)
        for name in wanted:
            check_sum(folder, name, sums)
        model = read_model(folder, manifest, host, pick_device(device))
        return replace(model, source=absolute(address))


@contextmanager
def within_bounds(folder: Path) -> Iterator[None]:
    """Turn a RecursionError or MemoryError of the block into a WeightsError that names the bundle."""
    try:
        yield
    except RecursionError:
        raise Unreadable(f"{folder} has a file that is nested too deeply") from None
    except MemoryError:
        raise WeightsError(f"{folder} takes more memory than there is; use a machine with more") from None


def read_model(folder: Path, manifest: Manifest, host: Host, device: torch.device) -> Model:
    """Build the networks of ``manifest`` and read their weights, without checking SHA256SUMS.

    Raises the errors of :func:`load`.
    """
    shape = Shape(**manifest.sizes)
    tokenizer = read_tokenizer(folder / TOKENIZER, shape)
    networks = {kind: _network(folder, host, manifest, kind).to(device) for kind in manifest.networks}
    if "discriminator" in networks:
        networks["discriminator"].compare_with(networks["generator"])
    return Model(
        generator=networks["generator"],
        discriminator=networks.get("discriminator"),
        tokenizer=tokenizer,
        config=manifest,
        evaluation=read_evaluation(folder),
        calibration=_calibration(folder / CALIBRATION),
        shape=shape,
        device=device,
    )


def _network(folder: Path, host: Host, manifest: Manifest, kind: str) -> Any:
    path, shape = weights_file(folder, kind), Shape(**manifest.sizes).of(kind)
    # Build without memory first: untrusted sizes allocate nothing until the file is known to have them.
    header = read_header(path)
    with without_memory(len(header.tensors)):
        check_header(path, header, build(host, folder / CONFIG, manifest, kind, shape))
    with torch.random.fork_rng(devices=[]):  # the initial weights must not advance the caller's random numbers
        network = build(host, folder / CONFIG, manifest, kind, shape)
    read_into(path, network)
    check_finite(path, network)
    return network.eval().requires_grad_(False)


def check_finite(path: Path, network: nn.Module) -> None:
    """Raise WeightsError for a network, read from a file, with NaN or infinity among its values."""
    for name, tensor in network.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise WeightsError(f"{path}: {name} has values that are not finite; train again with a lower learning rate")


def read_tokenizer(path: Path, shape: Shape) -> Tokenizer:
    """Read the tokenizer of a bundle. Raises WeightsError, also if the vocabulary has another size than ``shape``."""
    text = read_text(path, LARGEST_JSON)
    try:
        tokenizer = Tokenizer.from_json(text)
    except Unreadable as error:
        raise Unreadable(f"{path}: {error.fact}") from None
    if tokenizer.vocabulary_size != shape.vocabulary:
        raise Unreadable(f"{path} has {tokenizer.vocabulary_size} tokens, {CONFIG} says {shape.vocabulary}")
    return tokenizer


def _calibration(path: Path) -> Calibration | None:
    """Return the calibration if there is one. Raises WeightsError for one that is not valid."""
    if not path.exists():
        return None
    found = read_json(path)
    try:
        calibration = Calibration(**found)
        if not all(isinstance(value, float | int) and math.isfinite(value) for value in found.values()):
            raise ValueError("a value that is not a number")
    except (TypeError, ValueError, OverflowError) as error:
        raise Unreadable(f"{path} is not a calibration ({shown(str(error))})") from None
    return calibration
