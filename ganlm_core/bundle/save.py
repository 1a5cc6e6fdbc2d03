"""Write a bundle."""

from collections.abc import Mapping, Sequence
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
    NETWORKS,
    RECIPE,
    SELFTEST,
    TOKENIZER,
    manifest_of,
    weights_file,
)
from ganlm_core.config.run_config import RunConfig
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.errors import DataError
from ganlm_core.plugins.host import Host
from ganlm_core.protocol import Shape
from ganlm_core.system.files import (
    SUMS,
    check_free,
    new_folder,
    write_file,
    write_json,
    write_sums,
)
from ganlm_core.system.tensors import write_tensors

CARD_SAMPLES = 8


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
    not let go, GanlmError when the disk refuses, and what :func:`ganlm_core.bundle.load.load` raises.
    """
    check_free(folder, force, (CONFIG, SUMS))
    names = tuple(kind for kind in NETWORKS if kind in networks)
    manifest = manifest_of(config, asdict(shape), names, host)
    with new_folder(folder, replace=force) as beside:
        write_json(beside / CONFIG, manifest.to_dict())
        for kind in names:
            metadata = {"network": kind, "shape": asdict(shape), **asdict(manifest.components[kind])}
            write_tensors(weights_file(beside, kind), networks[kind].state_dict(), metadata)
        write_file(beside / TOKENIZER, tokenizer.to_json().encode())
        write_file(beside / RECIPE, config.to_toml().encode())
        write_json(beside / EVALUATION, evaluation)
        model = read_model(beside, manifest, host, torch.device("cpu"))
        if model.discriminator is not None:
            with suppress(DataError):  # too few sentences, or logits without end: a bundle without is better than none
                write_json(beside / CALIBRATION, asdict(model.calibrate(held_out)))
        write_json(beside / SELFTEST, selftest.record(model))
        counts = {kind: sum(p.numel() for p in networks[kind].parameters()) for kind in names}
        page = card.render(manifest, evaluation, model.sample(CARD_SAMPLES), counts, unused)
        write_file(beside / CARD, page.encode())
        write_sums(beside)
    return folder
