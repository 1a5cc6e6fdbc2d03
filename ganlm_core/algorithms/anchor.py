"""An anchor: the generator stays near the one that adversarial training started from."""

from copy import deepcopy

from torch import Tensor, nn

from ganlm_core.algorithms.divergence import divergence
from ganlm_core.layers import without_dropout
from ganlm_core.protocol import Batch, Generator


class Anchor(nn.Module):
    """The exact KL(generator || start) of the next word on the generator's own prefixes, times a weight.

    As the KL penalty of reinforcement learning from a reward (Ziegler et al. 2019, eq. 2). Differs: the expectation
    over the next word is exact, and the gradient through the prefixes is left out. ``start`` is the generator at the
    step ``adversarial_from``; until then it is a copy of the untrained one.
    """

    def __init__(self, generator: Generator, weight: float, adversarial_from: int) -> None:
        super().__init__()
        self.start = deepcopy(generator).requires_grad_(False)
        self.weight = weight
        self.adversarial_from = adversarial_from

    def forward(self, generator: Generator, batch: Batch, first: bool = True) -> Tensor:
        """Return the scalar to add to the generator's loss. ``first``: in the first generator step of a round."""
        if first and batch.step == self.adversarial_from:
            self.start.load_state_dict(generator.state_dict())
        with without_dropout(generator, self.start):
            distance = divergence(generator, [self.start], batch)
        batch.log("distance_from_start", distance)
        return self.weight * distance
