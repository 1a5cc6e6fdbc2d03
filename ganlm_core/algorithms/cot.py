"""Cooperative training (Lu et al. 2019): a mediator learns the mixture of data and generator."""

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
    """Return the real sequences and as many generated ones, (2B, T). Rows i and B + i share their noise."""
    drawn = sampling.sample(generator, batch.noise)
    batch.log("entropy", -drawn.log_probs.sum() / drawn.mask.sum())
    return replace(
        batch,
        tokens=torch.cat([batch.tokens, drawn.tokens]),
        mask=torch.cat([batch.mask, drawn.mask]),
        noise=batch.noise.repeat(2, 1),
    )


def divergence(generator: Generator, mediator: Generator, batch: Batch) -> Tensor:
    """Return the exact KL(generator || mediator) of the next word, summed over prefixes of generated samples.

    The prefixes are held fixed: the gradient passes through the next-word distributions only. As in the paper, the
    gradient through the probability of each prefix, which has high variance, is left out. At the optimal mediator,
    half of KL(p_g || (p_g + p_d)/2) is the only part of the Jensen-Shannon divergence with a gradient in the generator.
    """
    drawn = sampling.sample(generator, batch.noise)
    own = _next_words(generator, batch.noise, drawn.tokens)
    with torch.no_grad():
        mediated = _next_words(mediator, batch.noise, drawn.tokens)
    differences = F.kl_div(mediated, own, log_target=True, reduction="none").sum(dim=-1)
    return torch.where(drawn.mask, differences, 0.0).sum(dim=1).mean()


def _next_words(generator: Generator, noise: Tensor, tokens: Tensor) -> Tensor:
    """Return log p(word | noise, earlier tokens), (B, T, V - 2): without ``<pad>`` and ``<bos>``, which have p = 0."""
    return sampling.log_probabilities(generator(noise, tokens))[..., EOS:]


class CoT(Algorithm):
    """Mediator steps, each on a new mixture, then one generator step (Lu et al. 2019, Alg. 1).

    The mediator starts as a copy of the generator. No discriminator is trained. Differs: the paper's mediator is twice
    as wide. With noise, generator and mediator get the same noise: the divergence given the noise is minimised, which
    is an upper bound on the divergence of the texts.
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
