"""The GAN training protocol: what generators, discriminators, losses, estimators and algorithms promise.

Shape letters: ``B`` sequences, ``T`` positions, ``V`` words in the vocabulary, ``Z`` noise, ``H`` hidden,
``F`` features.

A *sequence* is either ids (B, T) of type int64, or relaxed one-hots (B, T, V) of a floating type. It ends with
``<eos>`` and is then padded; its mask (B, T), boolean, is true up to and including ``<eos>``. A sequence that
reached the maximum length without ``<eos>`` has a mask that is true everywhere.

How the target of a component is called, by kind::

    generator, discriminator       target(shape=Shape, options=...)
    loss, penalty, estimator       target(options=...)
    algorithm                      target(parts=Parts, options=...)
    corpus, metric, encoder        target(options=...)          see ganlm_core.data.corpus and ganlm_core.metrics.metric
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ganlm_core.system.devices import cuda_graph

PAD, BOS, EOS, UNK = 0, 1, 2, 3
SPECIAL_TOKENS = ("<pad>", "<bos>", "<eos>", "<unk>")

State = Any
"""What an autoregressive generator carries: a tensor, batch first, a number that holds for the whole batch, or a tuple,
list or dict of states."""

Cost = Callable[[Tensor, Tensor], Tensor]
"""(sequence, mask) -> what the generator pays, (B,) per sequence or (B, T) per position."""


@dataclass(frozen=True)
class Shape:
    """The sizes that a pair of networks shares: ``vocabulary`` V, ``length`` T (``<eos>`` included), ``noise`` Z."""

    vocabulary: int
    length: int
    noise: int


class Generator(nn.Module):
    """p(tokens | noise): noise (B, Z) to logits (B, T, V). Emits every position at once unless autoregressive.

    ``prior`` (T, V) is a buffer that subclasses add to their logits: the log frequencies of the training data at each
    position, the mean of the real data that the generator starts from, or zeros.
    """

    autoregressive: ClassVar[bool] = False
    prior: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("prior", torch.zeros(shape.length, shape.vocabulary))

    def forward(self, noise: Tensor, tokens: Tensor | None = None) -> Tensor:
        raise NotImplementedError

    def untraced(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What ``function(self, *arguments)`` gives.

        torch.compile does not look into it where this generator is compiled and writes word by word. It would unroll
        such a loop into one graph of all words, and compile again for each value of ``progress``.
        """
        return function(self, *arguments)


class AutoregressiveGenerator(Generator):
    """p(token t | noise, tokens before t), with the state carried from step to step.

    ``prior`` is (V,): the log frequencies over all positions. ``forward(noise, tokens)`` gives logits (B, T, V) in
    which position t has seen ``tokens[:, :t]`` only, so ``forward`` of a sequence scores that same sequence. T may be
    less than the shape's length.
    A subclass needs ``start`` and ``step``; a ``forward`` of its own may do all positions at once.
    """

    autoregressive: ClassVar[bool] = True

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.register_buffer("prior", torch.zeros(shape.vocabulary))

    def start(self, noise: Tensor) -> State:
        """The state before the first token, from noise (B, Z)."""
        raise NotImplementedError

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """The last tokens, at first ``<bos>``, as ids (B,) or relaxed (B, V), to the next logits (B, V) and state.

        Without a gradient it may write into the tensors of the state it is given, so that a cache need not be copied:
        to go on twice from one state, copy it (``sampling.select_rows``).
        """
        raise NotImplementedError

    def compile(self, *args: Any, **options: Any) -> None:
        """Have ``step`` compiled too, by which words are drawn: on CUDA as a graph. As of any module, a copy is not
        compiled."""
        super().compile(*args, **options)
        self.untraced = torch.compiler.disable(self.untraced)  # type: ignore[method-assign]
        on_cuda = next(self.parameters()).is_cuda
        self.step = cuda_graph(self.step) if on_cuda else torch.compile(self.step)  # type: ignore[method-assign]

    def __getstate__(self) -> Any:
        return {name: value for name, value in super().__getstate__().items() if name not in ("step", "untraced")}

    def forward(self, noise: Tensor, tokens: Tensor | None = None) -> Tensor:
        if tokens is None:
            raise ValueError("an autoregressive generator needs the tokens so far; to draw some, use sampling.sample")
        state, logits = self.start(noise), []
        for column in shift(tokens).unbind(1):
            step_logits, state = self.step(column, state)
            logits.append(step_logits)
        return torch.stack(logits, dim=1)


class Discriminator(nn.Module):
    """Real-or-generated logits, (B,) per sequence or (B, T) per position; the higher, the more real.

    ``twice_differentiable``: whether penalties on its gradient can be trained. ``per_position``: which shape it gives.
    """

    twice_differentiable: ClassVar[bool] = True
    per_position: bool = False

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Ids (B, T) or relaxed one-hots (B, T, V): both, and they agree. What the mask hides has no effect."""
        raise NotImplementedError

    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """The representation (B, F) that the logits are computed from."""
        raise NotImplementedError


class Loss(ABC):
    """An adversarial loss on discriminator logits, elementwise: (B,) per sequence or (B, T) per position.

    ``paired``: each generated logit is compared with a real one, so both have one logit per sequence (B,).
    """

    paired: ClassVar[bool] = False

    @abstractmethod
    def discriminator(self, real: Tensor, generated: Tensor) -> tuple[Tensor, Tensor]:
        """What each real and each generated logit costs the discriminator, which minimises the sum of the means."""

    @abstractmethod
    def generator(self, generated: Tensor, real: Tensor) -> Tensor:
        """What the generator pays for each of its logits; the shape of ``generated``."""


class Penalty(ABC):
    """A regulariser of the discriminator, on relaxed one-hots (B, T, V).

    ``interval``: it is computed at every so many steps, and counts that much more; 0 for never.
    """

    interval: int = 1

    @abstractmethod
    def __call__(self, discriminator: Discriminator, real: "Sequences", generated: "Sequences") -> Tensor:
        """The scalar to add to the discriminator's loss."""


class Estimator(nn.Module, ABC):
    """How the generator's gradient passes the sampling of discrete tokens.

    Called with a generator, a batch and a cost f, it gives a scalar whose gradient estimates that of E[f(x)] for
    x ~ p(x | noise), or of another objective that its docstring states. A cost per position counts as its mean over
    the positions of the mask. The value of the scalar means nothing by itself; the cost is logged. The cost may be
    asked about any multiple of B sequences, of which row i belongs to row i % B of the batch. Whatever an estimator
    remembers from step to step is a buffer.

    ``autoregressive_only``, ``per_position_only``: what it needs of the generator and of the discriminator.
    """

    autoregressive_only: bool = False
    per_position_only: bool = False

    @abstractmethod
    def forward(self, generator: Generator, batch: "Batch", cost: Cost) -> Tensor: ...

    @abstractmethod
    def draw(self, generator: Generator, batch: "Batch") -> "Sequences":
        """Sequences in the form in which the cost sees them, for the discriminator to learn from. No gradient."""


@dataclass(frozen=True)
class Sequences:
    """A batch of sequences with its mask."""

    sequence: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Batch:
    """What one phase sees: real ``tokens`` (B, T) with their ``mask``, fresh ``noise`` (B, Z), and when it is.

    ``progress`` runs from 0 at the first step to 1 at the last. Adversarial methods count it from their first
    adversarial step, see :class:`ganlm_core.algorithms.schedule.Schedule`. ``log`` keeps a scalar tensor for the
    metrics of this step, without synchronising the device.
    """

    tokens: Tensor
    mask: Tensor
    noise: Tensor
    step: int = 0
    progress: float = 0.0
    metrics: dict[str, Tensor] = field(default_factory=dict)

    def log(self, name: str, value: Tensor) -> None:
        self.metrics[name] = value.detach()


@dataclass(frozen=True)
class Phase:
    """One optimiser step of one network: ``loss`` maps a fresh batch to the scalar that ``network`` minimises.

    ``part``: the only module of the network that moves; the others get no gradient. ``progress``: what the batch is
    told instead of that of the run. To call a phase is to compute its loss.
    """

    name: str
    network: str
    loss: Callable[[Batch], Tensor]
    part: nn.Module | None = None
    progress: float | None = None

    def __call__(self, batch: Batch) -> Tensor:
        return self.loss(batch if self.progress is None else replace(batch, progress=self.progress))


@dataclass(frozen=True)
class Parts:
    """What an algorithm is built from, and the number of ``steps`` it will be asked for."""

    generator: Generator
    discriminator: Discriminator
    loss: Loss
    penalty: Penalty
    estimator: Estimator
    steps: int


class Algorithm(nn.Module, ABC):
    """A training method: its networks and, for each step, its list of phases.

    A module, so that its ``state_dict`` is everything that a checkpoint must keep: the networks, and the buffers
    of an estimator. ``adversarial_from`` is the first step that trains the networks against each other: what was
    evaluated there is the "before" of the final table. ``unused``: the kinds of parts that it is given and ignores.
    """

    adversarial_from: int = 0
    unused: ClassVar[tuple[str, ...]] = ()

    @property
    @abstractmethod
    def networks(self) -> Mapping[str, nn.Module]:
        """The networks that are optimised and saved, by name. ``generator`` is always there."""

    @abstractmethod
    def phases(self, step: int) -> Sequence[Phase]:
        """The phases of this step, in order."""


def mask_of(tokens: Tensor) -> Tensor:
    """Ids (B, T) to their mask (B, T): true up to and including the first ``<eos>``."""
    ended = (tokens == EOS).cumsum(dim=1)
    return (ended == 0) | ((ended == 1) & (tokens == EOS))


def shift(tokens: Tensor) -> Tensor:
    """Ids (B, T) to the inputs (B, T) that predict them: ``<bos>`` first, the last one dropped."""
    return torch.cat([torch.full_like(tokens[:, :1], BOS), tokens[:, :-1]], dim=1)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Values (B, T) to their mean (B,) over the positions of the mask."""
    return (values * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)


def per_sequence(values: Tensor, mask: Tensor) -> Tensor:
    """Values (B,), or (B, T) by their mean over the mask, as (B,)."""
    return values if values.dim() == 1 else masked_mean(values, mask)
