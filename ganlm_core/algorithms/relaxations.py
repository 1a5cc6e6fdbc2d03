"""Relaxations: samples that are differentiable with respect to the generator."""

from abc import abstractmethod

import torch
from torch import Tensor

from ganlm_core import sampling
from ganlm_core.algorithms.estimators import DrawsIds
from ganlm_core.algorithms.options import GumbelOptions, SoftmaxOptions, StraightThroughOptions
from ganlm_core.protocol import Batch, Cost, Estimator, Generator, Sequences, per_sequence


class _Relaxation(Estimator):
    """Base of estimators that pass the gradient of the cost through a relaxed sample.

    The discriminator trains on relaxed samples too.
    """

    relaxes = True

    @abstractmethod
    def relax(self, generator: Generator, batch: Batch) -> Sequences:
        """Return relaxed samples (B, T, V), differentiable with respect to the generator."""

    def forward(self, generator: Generator, batch: Batch, cost: Cost) -> Tensor:
        relaxed: Sequences = generator.untraced(self.relax, batch)
        return per_sequence(cost(relaxed.sequence, relaxed.mask), relaxed.mask).mean()

    @torch.no_grad()
    def draw(self, generator: Generator, batch: Batch) -> Sequences:
        return generator.untraced(self.relax, batch)


class Gumbel(_Relaxation):
    """Gumbel-softmax (Jang et al. 2017, eq. 2; Maddison et al. 2017), with geometric annealing of the temperature.

    Biased; the bias falls with the temperature.
    """

    def __init__(self, options: GumbelOptions) -> None:
        super().__init__()
        self.options = options

    def temperature(self, progress: float) -> float:
        start, end = self.options.temperature, self.options.final_temperature
        return start * (end / start) ** progress

    def relax(self, generator: Generator, batch: Batch) -> Sequences:
        feed_drawn = self.options.feed == "drawn"
        return sampling.relaxed_sample(generator, batch.noise, self.temperature(batch.progress), feed_drawn=feed_drawn)


class Softmax(_Relaxation):
    """The softmax of the generator instead of samples (Gulrajani et al. 2017, section 5.4).

    The output is a deterministic function of the noise, so all diversity must come from the noise. Biased: after
    training, each word is drawn independently from these distributions. Differs: texts have lengths, and a text ends at
    the first position where ``<eos>`` is the likeliest token.
    """

    def __init__(self, options: SoftmaxOptions) -> None:
        super().__init__()
        self.options = options

    def relax(self, generator: Generator, batch: Batch) -> Sequences:
        return sampling.relaxed_sample(generator, batch.noise, self.options.temperature, gumbel=False)


class StraightThrough(DrawsIds, _Relaxation):
    """One-hot samples forward, the Gumbel-softmax gradient backward (Jang et al. 2017, section 2.2). Biased."""

    def __init__(self, options: StraightThroughOptions) -> None:
        super().__init__()
        self.options = options

    def relax(self, generator: Generator, batch: Batch) -> Sequences:
        return sampling.relaxed_sample(generator, batch.noise, self.options.temperature, hard=True)
