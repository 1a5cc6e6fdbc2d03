"""Bundles and models of runs: copies of a run's bundle, or made from its latest checkpoint."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from ganlm_core.bundle.locate import locate
from ganlm_core.bundle.manifest import (
    CONFIG,
    HASHES,
    NETWORKS,
    Manifest,
    build,
    find_bundle,
    is_run,
    manifest_of,
)
from ganlm_core.bundle.model import Model
from ganlm_core.bundle.save import save, without_paths
from ganlm_core.bundle.verify import verify
from ganlm_core.config.run_config import RunConfig
from ganlm_core.data.hashes import pack
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.errors import WeightsError
from ganlm_core.plugins.host import Host
from ganlm_core.protocol import Shape
from ganlm_core.system.devices import pick_device
from ganlm_core.system.files import check_free, write_file
from ganlm_core.system.folders import new_folder
from ganlm_core.system.lock import locked
from ganlm_core.system.sums import SUMS, read_sums, write_sums
from ganlm_core.system.tensors import check_state
from ganlm_core.training.checkpoint import Checkpoint, latest
from ganlm_core.training.run_folder import RunFolder


def unfinished_run(source: str | Path) -> RunFolder | None:
    """Return the run at ``source`` if it has no bundle yet. None for every other source, such as a bundle."""
    path = Path(source)
    if not is_run(path):
        return None
    try:
        find_bundle(path)
    except WeightsError:
        return RunFolder.open(path)
    return None


def export(
    source: str | Path, folder: Path, host: Host, force: bool = False, hashed: Iterable[str] | None = None
) -> Path:
    """Write a bundle to ``folder``: a copy of a bundle or of a run's bundle, or a new one of its latest checkpoint.

    With the training sentences as ``hashed``, the bundle gets their hashes.
    Raises the errors of :func:`save` and :func:`ganlm_core.bundle.locate.locate`, FolderInUse while another process
    writes there, and WeightsError if the run has no checkpoint or no tokenizer.
    """
    with locked(folder):
        check_free(folder, force, (CONFIG, SUMS))
        if (run := unfinished_run(source)) is not None:
            return _save_checkpoint(run, folder, host, force, hashed)
        return _copy(locate(source), folder, host, force, hashed)


def _copy(bundle: Path, folder: Path, host: Host, force: bool, hashed: Iterable[str] | None) -> Path:
    verify(bundle, host)
    with new_folder(folder, replace=force) as beside:
        for name in (*read_sums(bundle), *[SUMS] * (hashed is None)):
            write_file(beside / name, (bundle / name).read_bytes())
        if hashed is not None:
            write_file(beside / HASHES, pack(hashed))
            write_sums(beside)
    return folder


def _save_checkpoint(run: RunFolder, folder: Path, host: Host, force: bool, hashed: Iterable[str] | None) -> Path:
    config, checkpoint = run.load_config(host), latest(run.checkpoints)
    return save(
        folder,
        config=config,
        shape=Shape(**run.shape(), labels=len(run.labels())),
        networks=_networks(run, checkpoint, _manifest(run, config, checkpoint, host), host),
        tokenizer=Tokenizer.from_json(run.tokenizer()),
        evaluation={},
        host=host,
        corpus=run.info().get("corpus"),
        descent=run.descent(),
        labels=run.labels(),
        unused=run.unused(),
        hashed=hashed,
        force=force,
    )


def load_checkpoint(run: RunFolder, host: Host, device: str = "cpu") -> tuple[Model, int]:
    """Load the model of a run's latest checkpoint, also while the run is training. Return it and its step.

    The model has no calibration and no evaluation. Raises WeightsError and PluginError, as
    :func:`ganlm_core.bundle.load.load`.
    """
    target, checkpoint = pick_device(device), latest(run.checkpoints)
    manifest = _manifest(run, run.load_config(host), checkpoint, host)
    networks = _networks(run, checkpoint, manifest, host)
    for network in networks.values():
        network.to(target).eval().requires_grad_(False)
    model = Model(
        generator=networks["generator"],
        discriminator=networks.get("discriminator"),
        tokenizer=Tokenizer.from_json(run.tokenizer()),
        config=manifest,
        evaluation={},
        shape=Shape(**manifest.sizes),
        device=target,
    )
    return model, checkpoint.step


def _manifest(run: RunFolder, config: RunConfig, checkpoint: Checkpoint, host: Host) -> Manifest:
    names = tuple(kind for kind in NETWORKS if kind in checkpoint.networks)
    config, corpus = without_paths(host, config), run.info().get("corpus")
    return manifest_of(config, run.shape(), names, host, corpus, run.descent(), run.labels())


def _networks(run: RunFolder, checkpoint: Checkpoint, manifest: Manifest, host: Host) -> dict[str, Any]:
    """Build the networks that a bundle shares, with the weights of the checkpoint."""
    networks: dict[str, Any] = {}
    for kind in manifest.networks:
        with torch.random.fork_rng(devices=[]):  # the initial weights must not advance the caller's random numbers
            networks[kind] = build(host, run.config_file, manifest, kind, Shape(**manifest.sizes).of(kind))
        check_state(checkpoint.path, checkpoint.network(kind), networks[kind])
        networks[kind].load_state_dict(checkpoint.network(kind))
    return networks
