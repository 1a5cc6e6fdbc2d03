"""Damaged real text for a discriminator to reject: most of the sentence is right, so it has to find the error.

Errors are those of denoising autoencoders and of replaced token detection (Clark et al. 2020, section 2): a word is
replaced, by a word of the batch or by the generator's own draw; two words are swapped; a word is left out or repeated;
the second half comes from another sentence.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ganlm_core import sampling
from ganlm_core.algorithms.penalties import relaxed
from ganlm_core.protocol import EOS, Batch, Generator, Sequences, mask_of


@torch.no_grad()
def with_errors(generator: Generator, batch: Batch, generated: Sequences, share: float) -> Sequences:
    """Return the generated sequences with a random ``share`` of the rows replaced by damaged real ones.

    A row whose error left the real sentence as it was, such as a word replaced by itself, is not replaced.
    """
    length = generated.sequence.shape[1]
    tokens = damaged(generator, batch)
    differs = (tokens != batch.tokens).any(dim=1, keepdim=True)
    tokens = F.pad(tokens[:, :length], (0, max(0, length - tokens.shape[1])))
    mask, chosen = mask_of(tokens), differs & (torch.rand(len(tokens), 1, device=tokens.device) < share)
    if generated.sequence.is_floating_point():
        rows = relaxed(tokens, generator.shape.vocabulary).to(generated.sequence.dtype)
        sequence = torch.where(chosen[..., None], rows, generated.sequence)
    else:
        sequence = torch.where(chosen, tokens, generated.sequence)
    return Sequences(sequence, torch.where(chosen, mask, generated.mask))


def damaged(generator: Generator, batch: Batch) -> Tensor:
    """Return the real ids (B, T) of a batch, each with one error at a random word behind its prompt, if it has one."""
    tokens, given, words = batch.tokens, _given(batch), _words(batch)
    at = (given + torch.rand(len(tokens), 1, device=tokens.device) * (words - given)).long()
    kinds = (_replaced_by_word, _replaced_by_draw, _swapped, _without, _repeated, _spliced)
    found = torch.stack([kind(generator, batch, at) for kind in kinds])
    kind = torch.randint(len(kinds), (1, len(tokens), 1), device=tokens.device)
    chosen = found.gather(0, kind.expand(-1, -1, tokens.shape[1])).squeeze(0)
    return torch.where(words > given, chosen, tokens)


def _replaced_by_word(generator: Generator, batch: Batch, at: Tensor) -> Tensor:
    words = batch.tokens[batch.mask & (batch.tokens != EOS)]
    if not len(words):
        return batch.tokens
    return batch.tokens.scatter(1, at, words[torch.randint(len(words), at.shape, device=at.device)])


def _replaced_by_draw(generator: Generator, batch: Batch, at: Tensor) -> Tensor:
    logits = generator(batch.noise, batch.tokens)
    here = logits.gather(1, at[..., None].expand(-1, -1, logits.shape[-1])).squeeze(1).float()
    here[:, EOS] = -torch.inf  # a word, not the end of the sentence
    drawn, _ = sampling.draw(here)
    return batch.tokens.scatter(1, at, drawn.view(at.shape))


def _swapped(generator: Generator, batch: Batch, at: Tensor) -> Tensor:
    places = _places(batch)
    # The last word changes places with the one before, because <eos> stays the end; a single word stays.
    first = torch.minimum(at, _words(batch) - 2)
    swapped = torch.where(places == first, first + 1, torch.where(places == first + 1, first, places))
    return _moved(batch, torch.where(first >= _given(batch), swapped, places))


def _without(generator: Generator, batch: Batch, at: Tensor) -> Tensor:
    """Leave a word out; a sequence without ``<eos>``, which has its full length, stays."""
    shorter = _moved(batch, _places(batch) + (_places(batch) >= at))
    return torch.where((batch.tokens == EOS).any(dim=1, keepdim=True), shorter, batch.tokens)


def _repeated(generator: Generator, batch: Batch, at: Tensor) -> Tensor:
    return _moved(batch, _places(batch) - (_places(batch) > at).long())


def _spliced(generator: Generator, batch: Batch, at: Tensor) -> Tensor:
    words = _words(batch)
    places = torch.minimum(words, words.roll(1, dims=0)) - 1  # between two words of both sentences
    cut = torch.maximum(at % places.clamp(min=1) + 1, _given(batch))
    spliced = torch.where(_places(batch) < cut, batch.tokens, batch.tokens.roll(1, dims=0))
    return torch.where((places > 0) & (cut <= places), spliced, _replaced_by_word(generator, batch, at))


def _words(batch: Batch) -> Tensor:
    """Return the number of words (B, 1) of each real sentence."""
    return (batch.mask & (batch.tokens != EOS)).sum(dim=1, keepdim=True)


def _given(batch: Batch) -> Tensor:
    """Return the number of tokens (B, 1) of each prompt."""
    return (batch.mask & ~batch.scored).sum(dim=1, keepdim=True)


def _places(batch: Batch) -> Tensor:
    return torch.arange(batch.tokens.shape[1], device=batch.tokens.device).expand_as(batch.tokens)


def _moved(batch: Batch, places: Tensor) -> Tensor:
    """Return the ids at other places, (B, T), with padding after the last one."""
    longer = F.pad(batch.tokens, (0, 1))
    return longer.gather(1, places.clamp(max=batch.tokens.shape[1]))
