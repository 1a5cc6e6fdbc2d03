"""Cooperative training (Lu et al. 2019): a generator and a mediator, which learns the mixture of it and the data."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganlm_core import sampling
from ganlm_core.algorithms.mle import negative_log_likelihood, require_likelihood
from ganlm_core.algorithms.options import CoTOptions
from ganlm_core.protocol import EOS, Algorithm, Batch, Generator, Parts, Phase


def mixture(generator: Generator, batch: Batch) -> Batch:
    """The real sequences and as many generated ones, (2B, T), each of both with the noise of its row."""
    drawn = sampling.sample(generator, batch.noise)
    batch.log("entropy", -drawn.log_probs.sum() / drawn.mask.sum())
    return replace(
        batch,
        tokens=torch.cat([batch.tokens, drawn.tokens]),
        mask=torch.cat([batch.mask, drawn.mask]),
        noise=batch.noise.repeat(2, 1),
    )


def divergence(generator: Generator, mediator: Generator, batch: Batch) -> Tensor:
    """KL(generator || mediator) of the next word, exact, summed over the prefixes of the generator's own samples.

    The gradient is that of the distributions at these prefixes, which are held fixed; that of how often each prefix
    is written, of high variance, is left out, as in the paper. At the best mediator, half of KL(p_g || (p_g + p_d)/2)
    is all of the Jensen-Shannon divergence that has a gradient in the generator.
    """
    drawn = sampling.sample(generator, batch.noise)
    own = _next_words(generator, batch.noise, drawn.tokens)
    with torch.no_grad():
        mediated = _next_words(mediator, batch.noise, drawn.tokens)
    differences = F.kl_div(mediated, own, log_target=True, reduction="none").sum(dim=-1)
    return torch.where(drawn.mask, differences, 0.0).sum(dim=1).mean()


def _next_words(generator: Generator, noise: Tensor, tokens: Tensor) -> Tensor:
    """log p(word | noise, tokens before it), (B, T, V - 2): without ``<pad>`` and ``<bos>``, whose p is zero."""
    return sampling.log_probabilities(generator(noise, tokens))[..., EOS:]


class CoT(Algorithm):
    """Steps of the mediator, each on a fresh mixture, and then one of the generator (Lu et al. 2019, Alg. 1).

    The mediator is a second generator, from a copy of the first: at the start they agree. No discriminator is trained.
    Differs: in the paper the mediator is twice as wide; a generator that is given noise shares it with the mediator, so
    that what is minimised is the divergence given the noise, a bound on that of the texts.
    """

    unused = ("discriminator", "loss", "penalty", "estimator")

    def __init__(self, parts: Parts, options: CoTOptions) -> None:
        super().__init__()
        require_likelihood(parts.generator, "cot")
        self.generator = generator = parts.generator
        self.mediator = mediator = deepcopy(generator)
        learn = Phase(
            "mediator", "mediator", lambda batch: negative_log_likelihood(mediator, mixture(generator, batch))
        )
        follow = Phase("generator", "generator", lambda batch: divergence(generator, mediator, batch))
        self._round = [*[learn] * options.mediator_steps, follow]

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"generator": self.generator, "mediator": self.mediator}

    def phases(self, step: int) -> Sequence[Phase]:
        return self._round
