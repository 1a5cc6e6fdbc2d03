"""``selftest.json``: numbers that a bundle's networks gave when it was saved, to compare with those they give here.

Float arithmetic differs a little between machines and versions of torch, so the hash of the rounded logits decides
only that two results are identical; what is not identical must be within TOLERANCE.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganlm_core.errors import WeightsError
from ganlm_core.files import FETCH_AGAIN
from ganlm_core.model import Model
from ganlm_core.protocol import mask_of, per_sequence
from ganlm_core.sampling import sample

SEED, ROWS, VALUES = 0, 4, 16
TOLERANCE = 1e-3
"""Absolute up to 1 and relative beyond: about a thousand times what float32 in another order of summation moves."""


def record(model: Model, seed: int = SEED) -> dict[str, Any]:
    """What selftest.json holds: tokens drawn with the seed, their logits (some, and a hash of all), their scores."""
    rng = torch.Generator().manual_seed(seed)
    noise = torch.randn(ROWS, model.shape.noise, generator=rng)
    tokens = sample(model.generator, noise, rng=rng).tokens
    return {"seed": seed, "tokens": tokens.tolist(), **_numbers(model, noise, tokens)}


@torch.no_grad()
def _numbers(model: Model, noise: Tensor, tokens: Tensor) -> dict[str, Any]:
    logits = model.generator(noise, tokens).flatten().double().clamp(-1e6, 1e6)
    rounded = (logits / TOLERANCE).round().to(torch.int64)
    places = torch.linspace(0, len(logits) - 1, VALUES).long()
    numbers = {
        "logits": [round(value, 6) for value in logits[places].tolist()],
        "logits_sha256": hashlib.sha256(rounded.numpy().tobytes()).hexdigest(),
    }
    if model.discriminator is None:
        return numbers
    mask = mask_of(tokens)
    scores = per_sequence(model.discriminator(tokens, mask), mask)
    return numbers | {"scores": [round(value, 6) for value in scores.tolist()]}


def compare(path: Path, recorded: Mapping[str, Any], model: Model) -> str:
    """How the model here, on the CPU, agrees with selftest.json at ``path``. Raises WeightsError when it does not."""
    try:
        tokens = torch.tensor(recorded["tokens"]).reshape(ROWS, model.shape.length)
        if tokens.min() < 0 or tokens.max() >= model.shape.vocabulary:
            raise ValueError("a token is outside the vocabulary")
        noise = torch.randn(ROWS, model.shape.noise, generator=torch.Generator().manual_seed(recorded["seed"]))
        here = _numbers(model, noise, tokens)
        pairs = [
            pair for key in ("logits", "scores") for pair in zip(recorded.get(key, []), here.get(key, []), strict=True)
        ]
        wrong = [(was, now) for was, now in pairs if not abs(now - was) <= TOLERANCE * max(1, abs(was))]
        identical = recorded["logits_sha256"] == here["logits_sha256"]
    except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise WeightsError(f"{path} does not fit the networks ({error}); {FETCH_AGAIN}") from error
    if wrong:
        was, now = wrong[0]
        parts = [model.config.components[kind] for kind in model.config.networks]
        makers = ", ".join(sorted({f"{part.distribution} {part.version}" for part in parts}))
        raise WeightsError(
            f"{path}: the networks give {now:.4f} where they gave {was:.4f} when saved; "
            f"use the versions that made the bundle ({makers})"
        )
    return "identical" if identical else f"within {TOLERANCE}"
