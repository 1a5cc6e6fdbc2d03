"""Write a bundle."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ganlm_core.bundle import card, selftest
from ganlm_core.bundle.load import read_model
from ganlm_core.bundle.manifest import (
    CALIBRATION,
    CARD,
    CONFIG,
    EVALUATION,
    HASHES,
    NETWORKS,
    RECIPE,
    SELFTEST,
    TOKENIZER,
    Descent,
    manifest_of,
    weights_file,
)
from ganlm_core.components import Options
from ganlm_core.config.recipes import method_of
from ganlm_core.config.run_config import RunConfig, nest, override
from ganlm_core.data.hashes import pack
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.errors import DataError
from ganlm_core.plugins.host import Host
from ganlm_core.protocol import Shape
from ganlm_core.system.files import check_free, write_file, write_json
from ganlm_core.system.folders import new_folder
from ganlm_core.system.sums import SUMS, write_sums
from ganlm_core.system.tensors import write_tensors

CARD_SAMPLES = 8
"""Sentences on the card."""


def save(
    folder: Path,
    *,
    config: RunConfig,
    shape: Shape,
    networks: Mapping[str, nn.Module],
    tokenizer: Tokenizer,
    evaluation: Mapping[str, Any],
    host: Host,
    corpus: Mapping[str, str] | None = None,
    descent: Descent | None = None,
    held_out: Sequence[str] = (),
    labels: Mapping[str, int] | None = None,
    held_out_labels: Sequence[str] = (),
    unused: Sequence[str] = (),
    hashed: Iterable[str] | None = None,
    force: bool = False,
) -> Path:
    """Write a bundle. The same arguments give the same bytes on one machine.

    ``networks`` has the generator and, if one was trained, the discriminator. ``corpus`` and ``descent`` say
    what the weights were trained on and from, as in :class:`ganlm_core.bundle.manifest.Manifest`. ``held_out``: real
    sentences that no network was trained on, to calibrate the discriminator; without them the bundle has no
    calibration; with ``labels``, ``held_out_labels`` are the labels of these sentences. ``unused``: the kinds of
    components that the training method ignored, which the card leaves out. ``hashed``: sentences whose hashes are
    shared. The folder appears when it is complete and was loaded once.

    Raises UsageError when ``folder`` exists and ``force`` may not replace it, GanlmError when the disk refuses, and the
    errors of :func:`ganlm_core.bundle.load.load`.
    """
    check_free(folder, force, (CONFIG, SUMS))
    names = tuple(kind for kind in NETWORKS if kind in networks)
    config, corpus = without_paths(host, config), corpus and {**corpus, "name": _file_name(corpus["name"])}
    manifest = manifest_of(config, shape.sizes(), names, host, corpus, descent, labels)
    with new_folder(folder, replace=force) as beside:
        write_json(beside / CONFIG, manifest.to_dict())
        for kind in names:
            metadata = {"network": kind, "shape": shape.sizes(), **asdict(manifest.components[kind])}
            write_tensors(weights_file(beside, kind), networks[kind].state_dict(), metadata)
        write_file(beside / TOKENIZER, tokenizer.to_json().encode())
        write_file(beside / RECIPE, config.to_toml().encode())
        write_json(beside / EVALUATION, evaluation)
        model = read_model(beside, manifest, host, torch.device("cpu"))
        if model.discriminator is not None:
            with suppress(DataError):  # too few sentences or infinite logits: save a bundle without a calibration
                calibrated = model.calibrated(held_out, labels=held_out_labels)
                write_json(beside / CALIBRATION, asdict(calibrated.require_calibration()))
        write_json(beside / SELFTEST, selftest.record(model))
        counts = {kind: sum(p.numel() for p in networks[kind].parameters()) for kind in names}
        page = card.render(manifest, method_of(config, host), evaluation, model.sample(CARD_SAMPLES), counts, unused)
        write_file(beside / CARD, page.encode())
        if hashed is not None:
            write_file(beside / HASHES, pack(hashed))
        write_sums(beside)
    return folder


def without_paths(host: Host, config: RunConfig) -> RunConfig:
    """Return the configuration with each absolute path reduced to its file name: paths reveal details of a machine.

    The options of the networks stay, because a network is built from them.
    """
    choices = {section: choice for section, choice in config.choices().items() if section not in NETWORKS}
    tables = {section: {each.name: _file_names(each.options)} for section, each in choices.items()}
    return override(host, config, [nest(tables) | {"start": _file_names(config.start)}])


def _file_names(options: Options) -> dict[str, str]:
    """Return the options that are absolute paths, each as the name of its file."""
    texts = {key: value for key, value in options.as_dict().items() if isinstance(value, str)}
    return {key: _file_name(text) for key, text in texts.items() if _file_name(text) != text}


def _file_name(text: str) -> str:
    """Return the last part of an absolute path; return any other text unchanged."""
    path = Path(text)
    return path.name if path.is_absolute() and path.name else text
