"""Judge: the discriminator's probability of a sentence, and the rank of its words under the generator."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganlm_core.bundle.model import Model
from ganlm_core.data.text import words
from ganlm_core.errors import UsageError
from ganlm_core.protocol import UNK, mask_of, with_labels
from ganlm_core.sampling import log_probabilities

DRAWS = 16
"""Draws of the noise over which the generator's probabilities are averaged."""


@dataclass(frozen=True)
class Word:
    """A token. ``known``: it is in the vocabulary. ``weight``: what it adds to the log-odds of being real.

    ``rank``: its place among the generator's guesses, from 1, given the words before it (Gehrmann et al. 2019); None
    for a generator that does not write word by word.
    """

    text: str
    known: bool
    weight: float
    rank: int | None


@dataclass(frozen=True)
class Judgement:
    """``probability`` that the sentence is real under equal priors; ``cut``: only its beginning was read."""

    probability: float
    words: list[Word]
    cut: bool


def judge(model: Model, text: str) -> Judgement:
    """Judge one sentence. Raises UsageError if the model has no discriminator or no calibration."""
    if not words(text):
        raise UsageError("the text has no word; give a sentence")
    (probability,) = model.probability([text])
    explained = model.explain(text)
    tokens, cut = model.tokenizer.encode([text], model.shape.length)
    writes = model.generator.autoregressive
    ranks = generator_ranks(model, tokens.to(model.device)) if writes else [None] * len(explained)
    known = (tokens[0] != UNK).tolist()
    found = [Word(token, known[place], weight, ranks[place]) for place, (token, weight) in enumerate(explained)]
    return Judgement(probability, found, cut > 0)


@torch.no_grad()
def generator_ranks(model: Model, tokens: Tensor) -> list[int | None]:
    """Return the rank of each token of ids (1, T) up to ``<eos>`` under the generator.

    p(token | tokens before it) is the mean over DRAWS of the noise z, each weighted by p(tokens before it | z).
    """
    length = int(mask_of(tokens).sum())
    noise = torch.randn(DRAWS, model.shape.noise, generator=torch.Generator().manual_seed(0)).to(model.device)
    noise = with_labels(noise, model.labels.asked(DRAWS, "", 0), model.shape.labels)
    logs = log_probabilities(model.generator(noise, tokens.expand(DRAWS, -1)))[:, :length]  # (DRAWS, T, V)
    own = logs.gather(-1, tokens[:, :length, None].expand(DRAWS, -1, 1)).squeeze(-1)
    before = own.cumsum(dim=1) - own
    mixed = (logs + before.log_softmax(dim=0).unsqueeze(-1)).logsumexp(dim=0)  # (T, V)
    drawn = mixed.gather(-1, tokens[0, :length, None])
    return (1 + (mixed > drawn).sum(dim=-1)).tolist()
