"""``selftest.json``: numbers that a bundle's networks gave when it was saved, to compare with those they give here.

Float arithmetic differs a little between machines and versions of torch, so the hash of the rounded logits decides
only that two results are identical; what is not identical must be within TOLERANCE. Where the logits are identical the
seed must draw the same tokens too; where they are not, a draw that falls on the border of two words may differ.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganlm_core.bundle.model import Model
from ganlm_core.errors import WeightsError
from ganlm_core.sampling import sample
from ganlm_core.system.files import FETCH_AGAIN

SEED, ROWS, VALUES = 0, 4, 16
TOLERANCE = 1e-3
"""Absolute up to 1 and relative beyond: about a thousand times what float32 in another order of summation moves."""


def record(model: Model, seed: int = SEED) -> dict[str, Any]:
    """What selftest.json holds: tokens drawn with the seed, their logits (some, and a hash of all), their scores."""
    noise, tokens = _draw(model, seed)
    return {"seed": seed, "tokens": tokens.tolist(), **numbers(model, noise, tokens)}


def _draw(model: Model, seed: int) -> tuple[Tensor, Tensor]:
    """Noise (ROWS, Z) and the ids (ROWS, T) that are drawn with it."""
    rng = torch.Generator().manual_seed(seed)
    noise = torch.randn(ROWS, model.shape.noise, generator=rng)
    return noise, sample(model.generator, noise, rng=rng).tokens


@torch.no_grad()
def numbers(model: Model, noise: Tensor, tokens: Tensor) -> dict[str, Any]:
    logits = model.generator(noise, tokens).flatten().double().clamp(-1e6, 1e6)
    rounded = (logits / TOLERANCE).round().to(torch.int64)
    places = torch.linspace(0, len(logits) - 1, VALUES).long()
    numbers = {
        "logits": [round(value, 6) for value in logits[places].tolist()],
        "logits_sha256": hashlib.sha256(rounded.numpy().tobytes()).hexdigest(),
    }
    if model.discriminator is None:
        return numbers
    return numbers | {"scores": [round(value, 6) for value in model.logits(tokens).tolist()]}


def check(path: Path, recorded: Mapping[str, Any], model: Model) -> str:
    """How the model here, on the CPU, agrees with selftest.json at ``path``. Raises WeightsError when it does not."""
    try:
        tokens = torch.tensor(recorded["tokens"]).reshape(ROWS, model.shape.length)
        if tokens.min() < 0 or tokens.max() >= model.shape.vocabulary:
            raise ValueError("a token is outside the vocabulary")
        noise, drawn = _draw(model, recorded["seed"])
        here = numbers(model, noise, tokens)
        pairs = [
            pair for key in ("logits", "scores") for pair in zip(recorded.get(key, []), here.get(key, []), strict=True)
        ]
        wrong = [(was, now) for was, now in pairs if not abs(now - was) <= TOLERANCE * max(1, abs(was))]
        identical = recorded["logits_sha256"] == here["logits_sha256"]
    except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise WeightsError(f"{path} does not fit the networks ({error}); {FETCH_AGAIN}") from error
    if wrong:
        was, now = wrong[0]
        raise WeightsError(
            f"{path}: the networks give {now:.4f} where they gave {was:.4f} when saved; {_remedy(model)}"
        )
    if identical and not drawn.equal(tokens):
        raise WeightsError(f"{path}: seed {recorded['seed']} draws other tokens than when saved; {_remedy(model)}")
    return "identical" if identical else f"within {TOLERANCE}"


def _remedy(model: Model) -> str:
    parts = [model.config.components[kind] for kind in model.config.networks]
    makers = sorted({f"ganlm {model.config.ganlm_version}", *(f"{part.distribution} {part.version}" for part in parts)})
    return f"use the versions that made the bundle ({', '.join(makers)})"
