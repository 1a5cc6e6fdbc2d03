"""Cooperative training (Lu et al. 2019): a mediator learns the mixture of data and generator."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace

import torch
from torch import nn

from ganlm_core import sampling
from ganlm_core.algorithms.divergence import divergence
from ganlm_core.algorithms.mle import negative_log_likelihood, require_likelihood
from ganlm_core.algorithms.options import CoTOptions
from ganlm_core.protocol import Algorithm, Batch, Generator, Parts, Phase


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


class CoT(Algorithm):
    """Mediator steps, each on a new mixture, then one generator step (Lu et al. 2019, Alg. 1).

    The mediator starts as a copy of the generator. No discriminator is trained. Differs: the paper's mediator is twice
    as wide. With noise, generator and mediator get the same noise: the divergence given the noise is minimised, which
    is an upper bound on the divergence of the texts. At the optimal mediator, half of KL(p_g || (p_g + p_d)/2) is the
    only part of the Jensen-Shannon divergence with a gradient in the generator.
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
