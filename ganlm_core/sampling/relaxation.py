"""Relaxed samples, which are differentiable in the generator."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ganlm_core.protocol import BOS, PAD, AutoregressiveGenerator, Generator, Sequences, mask_of
from ganlm_core.sampling.drawing import BLOCK, MANY_WORDS, without_specials


def unroll(
    generator: Generator, noise: Tensor, choose: Callable[[Tensor], tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """Apply ``choose`` to the logits of every position: at once (B, T, V), or position by position (B, V).

    ``choose`` returns the tokens, ids (...,) or relaxed (..., V), that an autoregressive generator reads next, and
    another tensor to keep. Both are returned for all positions.
    """
    if not isinstance(generator, AutoregressiveGenerator):
        return choose(generator(noise))
    state, last = generator.start(noise), torch.full((noise.shape[0],), BOS, device=noise.device)
    chosen = []
    for _ in range(generator.shape.length):
        logits, state = generator.step(last, state)
        last, kept = choose(logits)
        chosen.append((last, kept))
    sequence, others = zip(*chosen, strict=True)
    return torch.stack(sequence, dim=1), torch.stack(others, dim=1)


def relaxed_sample(
    generator: Generator,
    noise: Tensor,
    temperature: float,
    *,
    hard: bool = False,
    gumbel: bool = True,
    feed_drawn: bool = False,
) -> Sequences:
    """Return Gumbel-softmax samples (B, T, V), differentiable in the generator, and a mask (Jang et al. 2017, eq. 2).

    ``hard``: one-hots in the forward pass, with the gradient of the softmax (section 2.2). Without ``gumbel`` noise the
    sample is the softmax itself. The mask is the mask of the sample's likeliest words; outside of it the sequence is
    ``<pad>`` and has no gradient. An autoregressive generator reads its own relaxed tokens, so the gradient passes
    through the whole sequence; with ``feed_drawn`` it reads the words that are drawn, as in ordinary sampling, and
    the gradient of a position passes through its own logits only.
    """

    def choose(logits: Tensor) -> tuple[Tensor, Tensor]:
        scores = logits.float() - _minus_gumbel(logits) if gumbel else without_specials(logits.float())
        soft = (scores if temperature == 1.0 else scores / temperature).softmax(dim=-1)
        ids = _likeliest(soft)
        relaxed = _straight_through(soft, ids) if hard else soft
        return (ids, relaxed) if feed_drawn else (relaxed, ids)

    fed, kept = unroll(generator, noise, choose)
    sequence, ids = (kept, fed) if feed_drawn else (fed, kept)
    mask = mask_of(ids)
    padding = (torch.arange(sequence.shape[-1], device=noise.device) == PAD).to(sequence.dtype)
    kept = mask.unsqueeze(-1).to(sequence.dtype)
    return Sequences(torch.lerp(padding, sequence, kept), mask)  # exact, in half the time of torch.where


def _likeliest(soft: Tensor) -> Tensor:
    """Return the first word of the highest probability, like ``argmax`` of (..., V): (...,).

    Many words are searched by the maxima of blocks, of which the last may overlap the one before it: PyTorch vectorises
    ``amax`` but not ``argmax``, which takes eight times as long.
    """
    words = soft.shape[-1]
    if words < MANY_WORDS:
        return soft.argmax(dim=-1)
    maxima = soft.unfold(-1, BLOCK, BLOCK).amax(dim=-1), soft[..., -BLOCK:].amax(dim=-1, keepdim=True)
    start = (torch.cat(maxima, dim=-1).argmax(dim=-1, keepdim=True) * BLOCK).clamp(max=words - BLOCK)
    block = soft.gather(-1, start + torch.arange(BLOCK, device=soft.device))
    return start.squeeze(-1) + block.argmax(dim=-1)


def _minus_gumbel(logits: Tensor) -> Tensor:
    """Return Gumbel noise (..., V) to subtract from logits; infinite for the special words, which are never drawn."""
    noise = torch.rand_like(logits, dtype=torch.float32).log_().neg_().log_()
    noise[..., : BOS + 1] = torch.inf
    return noise


def _straight_through(soft: Tensor, ids: Tensor) -> Tensor:
    """Return the one-hots of ids (...,) with the gradient of ``soft`` (..., V)."""
    return F.one_hot(ids, soft.shape[-1]) + (soft - soft.detach())
