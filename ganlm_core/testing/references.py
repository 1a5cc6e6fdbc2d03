"""Small components that keep the protocol. The checks combine them with the component under test."""

import itertools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganlm_core.algorithms.losses import NonSaturating
from ganlm_core.algorithms.options import NonSaturatingOptions, StraightThroughOptions
from ganlm_core.algorithms.penalties import NoPenalty
from ganlm_core.algorithms.relaxations import StraightThrough
from ganlm_core.components import NoOptions
from ganlm_core.layers import NoiseLinear, StatefulGenerator, TokenEmbedding, hide, output_layer
from ganlm_core.protocol import EOS, PAD, Batch, Discriminator, Generator, Parts, Shape, mask_of

SHAPE = Shape(vocabulary=11, length=6, noise=5)
SMALL = Shape(vocabulary=6, length=3, noise=2)
"""Four words, including <unk> and <eos>, and three positions: few enough to enumerate all sequences."""


class Recurrent(StatefulGenerator):
    """An autoregressive generator. Its state is a decaying mean of the noise and of the tokens so far."""

    def __init__(self, shape: Shape, options: NoOptions | None = None) -> None:
        super().__init__(shape)
        self.noise = NoiseLinear(shape.noise, 8)
        self.embedding = TokenEmbedding(shape.vocabulary, 8)
        self.output = output_layer(8, shape.vocabulary)

    def start(self, noise: Tensor) -> Tensor:
        return self.noise(noise)

    def advance(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        logits = []
        for embedded in self.embedding(tokens).unbind(1):
            state = (state + embedded) / 2
            logits.append(self.output(state.tanh()))
        return torch.stack(logits, dim=1) + self.prior, state


class OneShot(Generator):
    """A generator that writes all positions at once."""

    def __init__(self, shape: Shape, options: NoOptions | None = None) -> None:
        super().__init__(shape)
        self.hidden = nn.Sequential(NoiseLinear(shape.noise, shape.length * 8), nn.Unflatten(1, (shape.length, 8)))
        self.output = output_layer(8, shape.vocabulary)

    def forward(self, noise: Tensor, tokens: Tensor | None = None) -> Tensor:
        return self.output(self.hidden(noise).tanh()) + self.prior


class Bag(Discriminator):
    """A discriminator that squashes words with their positions and sums them: smooth and nonlinear in the one-hots."""

    def __init__(self, shape: Shape, options: NoOptions | None = None) -> None:
        super().__init__(shape)
        self.embedding = TokenEmbedding(shape.vocabulary, 8)
        self.places = nn.Parameter(torch.randn(shape.length, 8))
        self.hidden = nn.Sequential(nn.Linear(8, 8), nn.Tanh())
        self.output = nn.Linear(8, 1)

    def states(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return hide(self.hidden(self.embedding(sequence) + self.places[: mask.shape[1]]), mask)

    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return self.states(sequence, mask).sum(dim=1)

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return self.output(self.features(sequence, mask)).squeeze(-1)


class BagByPosition(Bag):
    """A causal discriminator with a logit per position."""

    per_position = True

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return self.output(self.states(sequence, mask).cumsum(dim=1)).squeeze(-1)


GENERATORS: tuple[Callable[[Shape], Generator], ...] = (Recurrent, OneShot)
DISCRIMINATORS: tuple[Callable[[Shape], Discriminator], ...] = (Bag, BagByPosition)


def noise(rows: int, shape: Shape = SHAPE, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(rows, shape.noise, dtype=dtype)


def tokens(rows: int, shape: Shape = SHAPE) -> Tensor:
    """Return ids (B, T) of sequences that end at different positions. The first row has no <eos>."""
    drawn = torch.randint(EOS + 1, shape.vocabulary, (rows, shape.length))
    for row in range(1, rows):
        drawn[row, (row + 1) % shape.length] = EOS
    return torch.where(mask_of(drawn), drawn, PAD)


def one_hot(ids: Tensor, shape: Shape = SHAPE, dtype: torch.dtype = torch.float64) -> Tensor:
    return F.one_hot(ids, shape.vocabulary).to(dtype)


def soft(rows: int, shape: Shape = SHAPE, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return distributions over the words (B, T, V), positive everywhere."""
    return torch.randn(rows, shape.length, shape.vocabulary, dtype=dtype).softmax(dim=-1)


def batch(rows: int = 4, shape: Shape = SHAPE, step: int = 0, progress: float = 0.5) -> Batch:
    real = tokens(rows, shape)
    return Batch(real, mask_of(real), noise(rows, shape, torch.float32), step=step, progress=progress)


def every_sequence(shape: Shape = SMALL) -> Tensor:
    """Return all sequences (N, T) that a generator can draw."""
    words = range(EOS, shape.vocabulary)
    ids = torch.tensor(list(itertools.product(words, repeat=shape.length)))
    return torch.where(mask_of(ids), ids, PAD).unique(dim=0)


def parts(generator: Generator, discriminator: Discriminator, steps: int) -> Parts:
    """Return the two networks with straight-through gradients, the non-saturating loss and no penalty."""
    return Parts(
        generator=generator,
        discriminator=discriminator,
        loss=NonSaturating(NonSaturatingOptions()),
        penalty=NoPenalty(NoOptions()),
        estimator=StraightThrough(StraightThroughOptions()),
        steps=steps,
    )


def pairs(shape: Shape = SHAPE) -> Iterator[tuple[Generator, Discriminator]]:
    """Yield every reference generator with every reference discriminator."""
    for generator, discriminator in itertools.product(GENERATORS, DISCRIMINATORS):
        torch.manual_seed(1)
        yield generator(shape), discriminator(shape)
