"""Networks small enough to enumerate: three words and <eos>, three positions."""

import itertools

import torch
from torch import Tensor, nn

from ganlm_core.protocol import EOS, AutoregressiveGenerator, Discriminator, Generator, Shape, State, mask_of

SHAPE = Shape(vocabulary=6, length=3, noise=2)
WORDS = (EOS, 3, 4, 5)


class TinyGenerator(AutoregressiveGenerator):
    """The next logits depend on the noise and on the sum of the tokens so far."""

    def __init__(self, shape: Shape = SHAPE) -> None:
        super().__init__(shape)
        self.table = nn.Parameter(torch.randn(shape.vocabulary, shape.vocabulary))
        self.noise = nn.Parameter(torch.randn(shape.noise, shape.vocabulary))

    def start(self, noise: Tensor) -> State:
        return {"sum": noise @ self.noise}

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        added = tokens @ self.table if tokens.is_floating_point() else self.table[tokens]
        total = 0.5 * state["sum"] + added
        return torch.tanh(total) + self.prior, {"sum": total}


class TinyOneShot(Generator):
    def __init__(self, shape: Shape = SHAPE) -> None:
        super().__init__(shape)
        self.linear = nn.Linear(shape.noise, shape.length * shape.vocabulary)

    def forward(self, noise: Tensor, tokens: Tensor | None = None) -> Tensor:
        return self.linear(noise).view(-1, self.shape.length, self.shape.vocabulary) + self.prior


class TinyDiscriminator(Discriminator):
    """A score for each word at each position, squashed and summed: smooth, and nonlinear in the one-hots."""

    def __init__(self, shape: Shape = SHAPE, per_position: bool = False) -> None:
        super().__init__(shape)
        self.per_position = per_position
        self.score = nn.Parameter(torch.randn(shape.length, shape.vocabulary))

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        hot = sequence if sequence.is_floating_point() else nn.functional.one_hot(sequence, self.shape.vocabulary).float()
        scores = torch.tanh((hot * self.score).sum(-1)) * mask
        return 2 * scores if self.per_position else 2 * scores.sum(dim=1)


def every_sequence(length: int = SHAPE.length) -> tuple[Tensor, Tensor]:
    """All distinct sequences (N, T) that a generator can draw, with their masks."""
    ids = torch.tensor(list(itertools.product(WORDS, repeat=length)))
    tokens = torch.where(mask_of(ids), ids, 0).unique(dim=0)
    return tokens, mask_of(tokens)
