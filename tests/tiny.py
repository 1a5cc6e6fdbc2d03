"""Networks small enough to enumerate: three words and <eos>, three positions."""

import itertools

import torch
from torch import Tensor, nn

from ganlm_core import sampling
from ganlm_core.algorithms.losses import NonSaturating
from ganlm_core.algorithms.options import NonSaturatingOptions, StraightThroughOptions
from ganlm_core.algorithms.penalties import NoPenalty, relaxed
from ganlm_core.algorithms.relaxations import StraightThrough
from ganlm_core.components import NoOptions, Options
from ganlm_core.layers import ReadoutGenerator
from ganlm_core.protocol import (
    EOS,
    Algorithm,
    AutoregressiveGenerator,
    Batch,
    Cost,
    Discriminator,
    Estimator,
    Generator,
    Parts,
    Sequences,
    Shape,
    State,
    mask_of,
    per_sequence,
)
from ganlm_core.sampling import PLAIN, LikelihoodRatio, Policy, log_probabilities
from ganlm_core.testing.references import Recurrent

SHAPE = Shape(vocabulary=6, length=3, noise=2)
WORDS = (EOS, 3, 4, 5)
NOISE = torch.tensor([[0.7, -1.2]])

ROWS, REPEATS = 512, 64
"""Sentences of one estimate of a gradient, and independent estimates."""

DRAWS = 20_000
UNLIKELY = 0.001
"""The level of chi-square tests of DRAWS draws: one seed in a thousand fails by chance."""

POLICIES = {
    "plain": PLAIN,
    "cold": Policy(temperature=0.5),
    "hot": Policy(temperature=3.0),
    "top-k": Policy(top_k=2),
    "nucleus": Policy(top_p=0.7),
    "all three": Policy(temperature=1.5, top_k=3, top_p=0.8),
}


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


class Readout(ReadoutGenerator, Recurrent):
    """The network of ``Recurrent``, whose output layer reads its states."""

    def read(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        states = []
        for embedded in self.embedding(tokens).unbind(1):
            state = (state + embedded) / 2
            states.append(state.tanh())
        return torch.stack(states, dim=1), state


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
        scores = torch.tanh((relaxed(sequence, self.shape.vocabulary) * self.score).sum(-1)) * mask
        return 2 * scores if self.per_position else 2 * scores.sum(dim=1)


class TinyModel(TinyGenerator):
    def __init__(self, shape: Shape, options: Options) -> None:
        super().__init__(shape)


class TinyRatio(LikelihoodRatio):
    language_model = TinyModel


def every_sequence(length: int = SHAPE.length) -> tuple[Tensor, Tensor]:
    """All distinct sequences (N, T) that a generator can draw, with their masks."""
    ids = torch.tensor(list(itertools.product(WORDS, repeat=length)))
    tokens = torch.where(mask_of(ids), ids, 0).unique(dim=0)
    return tokens, mask_of(tokens)


def make(network: type[Generator], seed: int = 0) -> Generator:
    """Return a tiny generator with random weights of the seed."""
    torch.manual_seed(seed)
    return network(SHAPE)


def exact(generator: Generator, policy: Policy = PLAIN, noise: Tensor = NOISE) -> Tensor:
    """Return the probability (N,) of each sequence of :func:`every_sequence`."""
    tokens, mask = every_sequence()
    logits = generator(noise.expand(len(tokens), -1), tokens)
    return likelihoods(log_probabilities(logits, policy), tokens, mask).detach()


def likelihoods(log_probs: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    """The probability (N,) of each of ``tokens`` (N, T) under log-probabilities (N, T, V) of every position."""
    chosen = log_probs.gather(-1, tokens[..., None]).squeeze(-1)
    return torch.where(mask, chosen, 0.0).sum(dim=1).exp()


def gradient(scalar: Tensor, generator: Generator) -> Tensor:
    return torch.cat([part.flatten() for part in torch.autograd.grad(scalar, list(generator.parameters()))])


def z_scores(found: Tensor, exact: Tensor) -> Tensor:
    """The distance of the mean of estimates (N, P) from the true values (P,), in standard errors."""
    spread = found.std(dim=0) / len(found) ** 0.5
    return (found.mean(dim=0) - exact) / spread.clamp(min=1e-5)


def chi_square(counts: Tensor, probabilities: Tensor) -> float:
    """The p-value of the counts of outcomes, given the probabilities of the outcomes (Pearson's test).

    Outcomes expected fewer than five times count as one. Impossible outcomes must have no counts.
    """
    expected = counts.sum() * probabilities
    assert counts[expected == 0].sum() == 0
    rare = expected < 5
    pooled = [torch.cat([part[~rare], part[rare].sum()[None]]) for part in (counts.float(), expected)]
    found, wanted = (part[pooled[1] > 0].double() for part in pooled)
    statistic = ((found - wanted).square() / wanted).sum()
    return torch.special.gammaincc(torch.tensor((len(wanted) - 1) / 2).double(), statistic / 2).item()


def count(drawn: Tensor, tokens: Tensor) -> Tensor:
    """The count of each of ``tokens`` (N, T) among the drawn rows (M, T); every drawn row must be one of them."""
    equal = (drawn[:, None] == tokens[None]).all(dim=-1)
    assert equal.any(dim=1).all()
    return equal.sum(dim=0)


def make_batch(rows: int = 8, seed: int = 0, step: int = 0) -> Batch:
    """Real sequences of every length, and noise."""
    rng = torch.Generator().manual_seed(seed)
    every, _ = every_sequence()
    tokens = every[torch.randint(len(every), (rows,), generator=rng)]
    return Batch(tokens, mask_of(tokens), torch.randn(rows, SHAPE.noise, generator=rng), step=step)


def make_parts(**others: object) -> Parts:
    """Tiny networks with straight-through gradients and the non-saturating loss, or the ``others`` by name."""
    parts = {
        "generator": TinyGenerator(),
        "discriminator": TinyDiscriminator(),
        "loss": NonSaturating(NonSaturatingOptions()),
        "penalty": NoPenalty(NoOptions()),
        "estimator": StraightThrough(StraightThroughOptions()),
        "steps": 10,
    }
    return Parts(**parts | others)  # type: ignore[arg-type]


def batch_of(rows: list[list[int]], step: int = 0) -> Batch:
    """Return a batch of these sequences of ids, with zeros as noise."""
    tokens = torch.tensor(rows)
    return Batch(tokens, mask_of(tokens), torch.zeros(len(rows), SHAPE.noise), step=step)


class Fixed(Estimator):
    """An estimator that needs no generator: it "draws" the same sequences every time.

    Its value is their cost, repeated ``copies`` times.
    """

    def __init__(self, tokens: Tensor, copies: int = 1) -> None:
        super().__init__()
        self.sequences = Sequences(tokens, mask_of(tokens))
        self.copies = copies

    def forward(self, generator: Generator, batch: Batch, cost: Cost) -> Tensor:
        return cost(self.sequences.sequence.repeat(self.copies, 1), self.sequences.mask.repeat(self.copies, 1))

    def draw(self, generator: Generator, batch: Batch) -> Sequences:
        return self.sequences


def plan(algorithm: Algorithm, steps: int = 10) -> list[str]:
    """Return the initials of the phases of each step. Each phase must train the network of its name."""
    for step in range(steps):
        for phase in algorithm.phases(step):
            assert phase.network == ("discriminator" if phase.name == "discriminator" else "generator")
    return ["".join(phase.name[0] for phase in algorithm.phases(step)) for step in range(steps)]


class Dropping(TinyGenerator):
    """A generator that drops a third of its logits, at random in each step."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(1 / 3)

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        logits, state = super().step(tokens, state)
        return 3 * self.dropout(logits), state


def exact_gradient(generator: Generator, discriminator: TinyDiscriminator) -> Tensor:
    """Return the gradient of sum_x p(x | z) f(x), f = softplus(-D), summed over every possible sequence."""
    tokens, mask = every_sequence()
    log_probs = sampling.log_likelihood(generator, NOISE.expand(len(tokens), -1), tokens, mask).sum(dim=1)
    cost = per_sequence(nn.functional.softplus(-discriminator(tokens, mask)), mask)
    return gradient((log_probs.exp() * cost.detach()).sum(), generator)


def estimates(estimator: Estimator, generator: Generator, discriminator: TinyDiscriminator) -> Tensor:
    """Return independent estimates of the gradient, (REPEATS, parameters)."""
    noise = NOISE.expand(ROWS, -1)
    tokens = torch.zeros(ROWS, SHAPE.length, dtype=torch.long)

    def cost(sequence: Tensor, mask: Tensor) -> Tensor:
        return nn.functional.softplus(-discriminator(sequence, mask))

    batch = Batch(tokens, tokens > 0, noise)
    return torch.stack([gradient(estimator(generator, batch, cost), generator) for _ in range(REPEATS)])
