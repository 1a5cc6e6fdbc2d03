"""The mean of several language models: the fair baseline for any method that trains several networks."""

import math
from collections.abc import Sequence
from functools import reduce
from typing import cast

import torch
from torch import Tensor, nn

from ganlm_core.protocol import AutoregressiveGenerator, State
from ganlm_core.sampling.drawing import log_probabilities


def log_mean(log_probs: Sequence[Tensor]) -> Tensor:
    """Return the logarithm of the mean of probabilities, from the logarithm of each."""
    total = reduce(torch.logaddexp, log_probs)
    return total - math.log(len(log_probs)) if len(log_probs) > 1 else total


class MeanGenerator(AutoregressiveGenerator):
    """A generator whose probability of the next word is the mean of the ``members``' probabilities.

    All members have the shape of the first. Members that read noise read the same noise.
    """

    def __init__(self, members: Sequence[AutoregressiveGenerator]) -> None:
        super().__init__(members[0].shape)
        self.members = nn.ModuleList(members)

    @property
    def _generators(self) -> list[AutoregressiveGenerator]:
        return cast(list[AutoregressiveGenerator], list(self.members))

    def forward(self, noise: Tensor, tokens: Tensor | None = None) -> Tensor:
        return log_mean([log_probabilities(each(noise, tokens)) for each in self._generators])

    def start(self, noise: Tensor) -> State:
        return [each.start(noise) for each in self._generators]

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        found = [each.step(tokens, own) for each, own in zip(self._generators, state, strict=True)]
        return log_mean([log_probabilities(logits) for logits, _ in found]), [own for _, own in found]
