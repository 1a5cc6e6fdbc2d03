"""``selftest.json``: numbers that a bundle's networks gave when it was saved, to compare with their numbers here.

Float arithmetic differs a little between machines and between versions of torch. So the hash of the rounded logits only
decides whether two results are identical; other results must be within TOLERANCE. If the logits are identical and
the draw is of the same version (DRAWING), the seed must draw the same tokens too. Otherwise a draw at the
border of two words may differ, and only the logits are compared.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganlm_core.bundle.model import Model
from ganlm_core.errors import Unreadable, WeightsError
from ganlm_core.protocol import with_labels
from ganlm_core.sampling import sample
from ganlm_core.system.printable import shown

SEED, ROWS, VALUES = 0, 4, 16
TOLERANCE = 1e-3
"""Absolute up to 1 and relative above: about a thousand times the error of float32 sums in another order."""
DRAWING = 3
"""Version of how a seed draws tokens from logits. Raise it when :mod:`ganlm_core.sampling.drawing` draws otherwise.

A self-test without a version was made before there were versions: its draws are of version 1.
"""


def record(model: Model, seed: int = SEED) -> dict[str, Any]:
    """Return the content of selftest.json: tokens of the seed, some of their logits, a hash of all, and scores."""
    noise, tokens = _draw(model, seed)
    return {"seed": seed, "drawing": DRAWING, "tokens": tokens.tolist(), **numbers(model, noise, tokens)}


def _draw(model: Model, seed: int) -> tuple[Tensor, Tensor]:
    """Return noise (ROWS, Z) with the labels, and the ids (ROWS, T) that the seed draws with it."""
    rng = torch.Generator().manual_seed(seed)
    noise = torch.randn(ROWS, model.shape.noise, generator=rng)
    noise = with_labels(noise, _labels(model), model.shape.labels)
    return noise, sample(model.generator, noise, rng=rng).tokens


def _labels(model: Model) -> Tensor | None:
    """Return the labels (ROWS,) of the self-test, in turn; None without labels."""
    return torch.arange(ROWS) % model.shape.labels if model.shape.labels else None


@torch.no_grad()
def numbers(model: Model, noise: Tensor, tokens: Tensor) -> dict[str, Any]:
    """Return some logits of the generator for noise (ROWS, Z) and ids (ROWS, T), a hash of all, and the scores."""
    logits = model.generator(noise, tokens).flatten().double().clamp(-1e6, 1e6)
    rounded = (logits / TOLERANCE).round().to(torch.int64)
    places = torch.linspace(0, len(logits) - 1, VALUES).long()
    found = {
        "logits": [round(value, 6) for value in logits[places].tolist()],
        "logits_sha256": hashlib.sha256(rounded.numpy().tobytes()).hexdigest(),
    }
    if model.discriminator is None:
        return found
    return found | {"scores": [round(value, 6) for value in model.logits(tokens, labels=_labels(model)).tolist()]}


def check(path: Path, recorded: Mapping[str, Any], model: Model, rounded_to: str = "") -> str:
    """Return the agreement of the model, on the CPU, with the selftest.json at ``path``: "identical" or the tolerance.

    Raises WeightsError if they differ. ``rounded_to``: the dtype of the weights in the file, if it is narrower than the
    dtype of the computation.
    """
    try:
        tokens = torch.tensor(recorded["tokens"]).reshape(ROWS, model.shape.length)
        if tokens.min() < 0 or tokens.max() >= model.shape.vocabulary:
            raise ValueError("a token is outside the vocabulary")
        noise, drawn = _draw(model, recorded["seed"])
        wrong, identical = _compare(recorded, numbers(model, noise, tokens))
        comparable = identical and recorded.get("drawing", 1) == DRAWING
    except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise Unreadable(f"{path} does not fit the networks ({shown(str(error))})") from error
    if wrong:
        was, now = wrong[0]
        remedy = _remedy(model, rounded_to)
        raise WeightsError(f"{path}: the networks give {now:.4f} where they gave {was:.4f} when saved; {remedy}")
    if comparable and not drawn.equal(tokens):
        seed, remedy = recorded["seed"], _remedy(model, rounded_to)
        raise WeightsError(f"{path}: seed {seed} draws other tokens than when saved; {remedy}")
    return "identical" if identical else f"within {TOLERANCE}"


def _compare(recorded: Mapping[str, Any], here: Mapping[str, Any]) -> tuple[list[tuple[float, float]], bool]:
    """Return the pairs of numbers (recorded, here) that are further apart than TOLERANCE, and whether all are equal."""
    pairs = [
        pair for key in ("logits", "scores") for pair in zip(recorded.get(key, []), here.get(key, []), strict=True)
    ]
    wrong = [(was, now) for was, now in pairs if not abs(now - was) <= TOLERANCE * max(1, abs(was))]
    return wrong, recorded["logits_sha256"] == here["logits_sha256"]


def _remedy(model: Model, rounded_to: str) -> str:
    if rounded_to:
        return f"its weights were rounded to {rounded_to} after it was saved; use the weights as they were saved"
    parts = [model.config.components[kind] for kind in model.config.networks]
    makers = sorted({f"ganlm {model.config.ganlm_version}", *(f"{part.distribution} {part.version}" for part in parts)})
    return f"use the versions that made the bundle ({', '.join(makers)})"
