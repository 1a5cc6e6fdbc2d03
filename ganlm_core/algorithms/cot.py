"""Cooperative training (Lu et al. 2019): a mediator learns the mixture of data and generator."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from ganlm_core import sampling
from ganlm_core.algorithms.divergence import divergence
from ganlm_core.algorithms.estimators import log_entropy
from ganlm_core.algorithms.mle import likelihood_phase, negative_log_likelihood, require_likelihood
from ganlm_core.algorithms.options import CoTOptions
from ganlm_core.layers import without_dropout
from ganlm_core.protocol import Algorithm, Batch, Generator, Parts, Phase


def mixture(generator: Generator, batch: Batch) -> Batch:
    """Return the real sequences and as many generated ones, (2B, T). Rows i and B + i share their noise."""
    with without_dropout(generator):
        drawn = sampling.sample(generator, batch.noise)
    log_entropy(batch, drawn)
    return replace(
        batch,
        tokens=torch.cat([batch.tokens, drawn.tokens]),
        mask=torch.cat([batch.mask, drawn.mask]),
        noise=batch.noise.repeat(2, 1),
    )


class CoT(Algorithm):
    """Mediator steps, each on a new mixture, then one generator step (Lu et al. 2019, Alg. 1).

    The mediators start as copies of the generator, after its warm-up if there is one; with several, the generator
    follows their mean. No discriminator is trained. Differs: the paper has one mediator, twice as wide, no warm-up and
    the reverse KL. With noise, generator and mediators get the same noise: the divergence given the noise is minimised,
    which is an upper bound on the divergence of the texts. At the optimal mediator, half of KL(p_g || (p_g + p_d)/2) is
    the only part of the Jensen-Shannon divergence with a gradient in the generator.
    """

    unused = ("discriminator", "loss", "penalty", "estimator")

    def __init__(self, parts: Parts, options: CoTOptions) -> None:
        super().__init__()
        require_likelihood(parts.generator, "cot")
        self.options = options
        self.generator = parts.generator
        self._mediators = [deepcopy(parts.generator) for _ in range(options.mediators)]
        self.mediators = nn.ModuleList(self._mediators)
        self.adversarial_from = round(options.warmup * parts.steps)
        self._warmup = [likelihood_phase(parts.generator)]
        follow = Phase("generator", "generator", self._generator_loss)
        learn = self._learning(self._mediator_loss)
        self._first = [*self._learning(self._first_loss), *learn * (options.mediator_steps - 1), follow]
        self._round = [*learn * options.mediator_steps, follow]

    def _learning(self, loss: Callable[[Generator, Batch], Tensor]) -> list[Phase]:
        return [Phase("mediator", "mediator", partial(loss, each), part=each) for each in self._mediators]

    def _first_loss(self, mediator: Generator, batch: Batch) -> Tensor:
        mediator.load_state_dict(self.generator.state_dict())
        return self._mediator_loss(mediator, batch)

    def _mediator_loss(self, mediator: Generator, batch: Batch) -> Tensor:
        return negative_log_likelihood(mediator, mixture(self.generator, batch))

    def _generator_loss(self, batch: Batch) -> Tensor:
        with without_dropout(self.generator, *self._mediators):
            return divergence(self.generator, self._mediators, batch, self.options.divergence)

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"generator": self.generator, "mediator": self.mediators}

    def phases(self, step: int) -> Sequence[Phase]:
        if step < self.adversarial_from:
            return self._warmup
        return self._first if step == self.adversarial_from else self._round
