"""Verify a bundle: each file, each tensor, the self-test."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from ganlm_core.bundle import selftest
from ganlm_core.bundle.load import read_model, within_bounds
from ganlm_core.bundle.locate import locate
from ganlm_core.bundle.manifest import (
    CALIBRATION,
    CARD,
    CONFIG,
    EVALUATION,
    FORMAT_VERSION,
    HASHES,
    RECIPE,
    SELFTEST,
    TOKENIZER,
    Manifest,
    read_manifest,
    weights_file,
)
from ganlm_core.data.hashes import Hashes
from ganlm_core.errors import FETCH_AGAIN, Unreadable
from ganlm_core.plugins.host import Host, default_host
from ganlm_core.system.files import read_json, read_toml
from ganlm_core.system.header import Header, read_header
from ganlm_core.system.printable import shown
from ganlm_core.system.sums import SUMS, check_sum, read_sums
from ganlm_core.system.tensors import HALVES


@dataclass(frozen=True)
class Check:
    """A check of :func:`verify` that passed."""

    name: str
    detail: str


def verify(path: Path | str, host: Host | None = None) -> list[Check]:
    """Check every file of a bundle.

    Raises WeightsError or PluginError for the first fault.
    """
    return list(checks(Path(path), host or default_host()))


def checks(path: Path, host: Host) -> Iterator[Check]:
    """Yield the checks of :func:`verify`, each as soon as it is done."""
    folder, manifest = open_bundle(path)
    with within_bounds(folder):
        yield Check(SUMS, f"{len(read_sums(folder))} files are as they were saved")
        yield Check(CONFIG, f"format {FORMAT_VERSION}, made by ganlm {shown(manifest.ganlm_version)[1:-1]}")
        model = read_model(folder, manifest, host, torch.device("cpu"))
        headers = {kind: read_header(weights_file(folder, kind)) for kind in manifest.networks}
        for kind, header in headers.items():
            detail = f"{len(header.tensors)} tensors, {header.elements:,} finite values"
            yield Check(weights_file(folder, kind).name, detail)
        yield Check(TOKENIZER, f"{model.tokenizer.vocabulary_size} tokens, as {CONFIG} says")
        yield Check(RECIPE, f"{len(read_toml(folder / RECIPE))} tables")
        yield Check(EVALUATION, f"{len(model.evaluation)} entries")
        if (fitted := model.calibration) is not None:
            yield Check(CALIBRATION, f"from {fitted.real:,} real and {fitted.generated:,} generated sentences")
        if (folder / HASHES).exists():
            yield Check(HASHES, f"{len(Hashes(folder / HASHES)):,} training sentences")
        recorded = read_json(folder / SELFTEST)
        yield Check(SELFTEST, selftest.check(folder / SELFTEST, recorded, model, _rounded_to(headers)))


def _rounded_to(headers: dict[str, Header]) -> str:
    """Return the dtype of 16 bits that some of the weights have, if any."""
    dtypes = {info.dtype for header in headers.values() for info in header.tensors.values()}
    return next((dtype for dtype in HALVES if dtype in dtypes), "")


def open_bundle(path: Path) -> tuple[Path, Manifest]:
    """Return the folder of a bundle and its manifest, after a check of every file against SHA256SUMS.

    Files that are not listed are refused. Hidden files, which download tools leave, are ignored. Raises WeightsError.
    """
    folder = locate(path)
    with within_bounds(folder):
        manifest, sums = read_manifest(folder / CONFIG), read_sums(folder)
    wanted = {CONFIG, TOKENIZER, RECIPE, EVALUATION, SELFTEST, CARD}
    wanted |= {weights_file(folder, kind).name for kind in manifest.networks}
    for name in sorted(wanted | sums.keys()):
        check_sum(folder, name, sums)
    found = {file.name for file in folder.iterdir() if not file.name.startswith(".")}
    if extra := sorted(found - sums.keys() - {SUMS}):
        raise Unreadable(f"{folder} has {shown(extra[0])}, which {SUMS} does not list", f"remove it or {FETCH_AGAIN}")
    return folder, manifest
