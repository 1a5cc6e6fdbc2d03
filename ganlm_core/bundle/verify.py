"""Verify a bundle: each file, each tensor, the self-test."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ganlm_core.bundle import selftest
from ganlm_core.bundle.load import read_model
from ganlm_core.bundle.locate import locate
from ganlm_core.bundle.manifest import (
    CALIBRATION,
    CARD,
    CONFIG,
    EVALUATION,
    FORMAT_VERSION,
    RECIPE,
    SELFTEST,
    TOKENIZER,
    Manifest,
    read_manifest,
    weights_file,
)
from ganlm_core.errors import WeightsError
from ganlm_core.plugins.host import Host, default_host
from ganlm_core.system.files import (
    FETCH_AGAIN,
    SUMS,
    check_sum,
    read_json,
    read_sums,
    read_text,
    refuse_links,
)
from ganlm_core.system.header import read_header

LARGEST_RECIPE = 2**20
"""Bytes: as Python objects TOML can take a hundred times its size."""


@dataclass(frozen=True)
class Check:
    """One thing that :func:`verify` found in order."""

    name: str
    detail: str


def verify(path: Path | str, host: Host | None = None) -> list[Check]:
    """Everything that can be checked about a bundle. Raises WeightsError or PluginError for the first fault."""
    return list(checks(Path(path), host or default_host()))


def checks(path: Path, host: Host) -> Iterator[Check]:
    """As :func:`verify`, each check as soon as it is done."""
    folder, manifest = open_bundle(path)
    yield Check(SUMS, f"{len(read_sums(folder))} files are as they were saved")
    yield Check(CONFIG, f"format {FORMAT_VERSION}, made by ganlm {manifest.ganlm_version}")
    model = read_model(folder, manifest, host, torch.device("cpu"))
    for kind in manifest.networks:
        header = read_header(file := weights_file(folder, kind))
        yield Check(file.name, f"{len(header.tensors)} tensors, {header.elements:,} finite values")
    yield Check(TOKENIZER, f"{model.tokenizer.vocabulary_size} tokens, as {CONFIG} says")
    yield Check(RECIPE, f"{len(read_toml(folder / RECIPE))} tables")
    yield Check(EVALUATION, f"{len(model.evaluation)} entries")
    if (fitted := model.calibration) is not None:
        yield Check(CALIBRATION, f"from {fitted.real:,} real and {fitted.generated:,} generated sentences")
    yield Check(SELFTEST, selftest.check(folder / SELFTEST, read_json(folder / SELFTEST), model))


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
