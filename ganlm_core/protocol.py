"""The GAN training protocol: the interfaces of generators, discriminators, losses, estimators and algorithms.

Shape letters: ``B`` sequences, ``T`` positions, ``V`` words in the vocabulary, ``Z`` noise, ``H`` hidden,
``F`` features.

A *sequence* is either ids (B, T) of type int64, or relaxed one-hots (B, T, V) of a floating type. It ends with
``<eos>`` and is then padded; its mask (B, T), boolean, is true up to and including ``<eos>``. A sequence that
reached the maximum length without ``<eos>`` has a mask that is true everywhere.

The target of a component is called with these arguments, by kind::

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
"""The state of an autoregressive generator between two tokens: a tensor, batch first; a number that is the same for the
whole batch; or a tuple, list or dict of states."""

Cost = Callable[[Tensor, Tensor], Tensor]
"""(sequence, mask) -> the generator's cost, (B,) per sequence or (B, T) per position."""


@dataclass(frozen=True)
class Shape:
    """The sizes that a pair of networks shares: ``vocabulary`` V, ``length`` T (``<eos>`` included), ``noise`` Z."""

    vocabulary: int
    length: int
    noise: int


class Generator(nn.Module):
    """p(tokens | noise): map noise (B, Z) to logits (B, T, V), all positions at once unless autoregressive.

    ``prior`` (T, V) is a buffer that subclasses add to their logits: zeros, or the log frequencies of the words at each
    position of the training data, so that training starts from the mean of the real data.
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
        """Return ``function(self, *arguments)``, which torch.compile does not trace if this generator is compiled.

        Otherwise it would unroll a loop over words into one graph of all words, and compile again for each value of
        ``progress``.
        """
        return function(self, *arguments)


class AutoregressiveGenerator(Generator):
    """p(token t | noise, tokens before t), with a state that is passed from step to step.

    ``prior`` is (V,): the log frequencies over all positions. ``forward(noise, tokens)`` returns logits (B, T, V) whose
    position t depends on ``tokens[:, :t]`` only, so that they score the same sequence. T may be less than the shape's
    length. A subclass needs ``start`` and ``step``; it may override ``forward`` to compute all positions at once.
    """

    autoregressive: ClassVar[bool] = True

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.register_buffer("prior", torch.zeros(shape.vocabulary))

    def start(self, noise: Tensor) -> State:
        """Return the state before the first token, from noise (B, Z)."""
        raise NotImplementedError

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the next logits (B, V) and state, from the last tokens: ids (B,) or relaxed (B, V), first ``<bos>``.

        Without a gradient it may write into the tensors of the given state, so that a cache is not copied. Copy a state
        (``sampling.select_rows``) to continue from it twice.
        """
        raise NotImplementedError

    def compile(self, *args: Any, **options: Any) -> None:
        """Compile ``step`` too, which draws words; on CUDA as a graph. As for any module, a copy is not compiled."""
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
    """Real-or-generated logits, (B,) per sequence or (B, T) per position; higher means more likely real.

    ``twice_differentiable``: whether a penalty on its gradient can be trained. ``per_position``: whether the logits are
    (B, T).
    """

    twice_differentiable: ClassVar[bool] = True
    per_position: bool = False

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Return logits for ids (B, T) or equal relaxed one-hots (B, T, V). Masked positions have no effect."""
        raise NotImplementedError

    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Return the representation (B, F) from which the logits are computed."""
        raise NotImplementedError


class Loss(ABC):
    """An adversarial loss on discriminator logits, elementwise: (B,) per sequence or (B, T) per position.

    ``paired``: each generated logit is compared with a real one, so both have one logit per sequence (B,).
    """

    paired: ClassVar[bool] = False

    @abstractmethod
    def discriminator(self, real: Tensor, generated: Tensor) -> tuple[Tensor, Tensor]:
        """Return the discriminator's loss for each real and each generated logit; it minimises the sum of the means."""

    @abstractmethod
    def generator(self, generated: Tensor, real: Tensor) -> Tensor:
        """Return the generator's loss for each generated logit, in the shape of ``generated``."""


class Penalty(ABC):
    """A regulariser of the discriminator, on relaxed one-hots (B, T, V).

    ``interval``: it is computed every N steps and multiplied by N; 0 for never.
    """

    interval: int = 1

    @abstractmethod
    def __call__(self, discriminator: Discriminator, real: "Sequences", generated: "Sequences") -> Tensor:
        """Return the scalar to add to the discriminator's loss."""


class Estimator(nn.Module, ABC):
    """A gradient estimator: carries the generator's gradient through the sampling of discrete tokens.

    Called with a generator, a batch and a cost f, it returns a scalar whose gradient estimates the gradient of E[f(x)]
    for x ~ p(x | noise), or of another objective that its docstring states. A cost per position counts as its mean over
    the positions of the mask. The value of the scalar itself has no meaning; the cost is logged. The cost can be
    evaluated on any multiple of B sequences, of which row i belongs to row i % B of the batch. State that an estimator
    keeps from step to step must be in buffers.

    ``autoregressive_only``: it needs an autoregressive generator. ``per_position_only``: it needs a discriminator with
    logits per position.
    """

    autoregressive_only: bool = False
    per_position_only: bool = False

    @abstractmethod
    def forward(self, generator: Generator, batch: "Batch", cost: Cost) -> Tensor: ...

    @abstractmethod
    def draw(self, generator: Generator, batch: "Batch") -> "Sequences":
        """Return sequences for the discriminator to learn from, in the form that the cost sees. No gradient."""


@dataclass(frozen=True)
class Sequences:
    """A batch of sequences with its mask."""

    sequence: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Batch:
    """The data of one phase: real ``tokens`` (B, T), their ``mask`` (B, T), fresh ``noise`` (B, Z), and the step.

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

    ``part``: the only module of the network that is trained; all others get no gradient. ``progress``: replaces the
    batch's own. Calling a phase computes its loss.
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
    """The parts that an algorithm is built from, and its number of ``steps``."""

    generator: Generator
    discriminator: Discriminator
    loss: Loss
    penalty: Penalty
    estimator: Estimator
    steps: int


class Algorithm(nn.Module, ABC):
    """A training method: its networks and, for each step, its list of phases.

    It is a module, so that its ``state_dict`` holds everything that a checkpoint needs: the networks, and the buffers
    of an estimator. ``adversarial_from`` is the first step that trains the networks against each other; the evaluation
    at that step is the "before" row of the final table. ``unused`` are the kinds of parts that it does not use.
    """

    adversarial_from: int = 0
    unused: ClassVar[tuple[str, ...]] = ()

    @property
    @abstractmethod
    def networks(self) -> Mapping[str, nn.Module]:
        """The networks that are optimised and saved, by name. ``generator`` is always among them."""

    @abstractmethod
    def phases(self, step: int) -> Sequence[Phase]:
        """Return the phases of this step, in order."""


def mask_of(tokens: Tensor) -> Tensor:
    """Return the mask (B, T) of ids (B, T): true up to and including the first ``<eos>``."""
    ended = (tokens == EOS).cumsum(dim=1)
    return (ended == 0) | ((ended == 1) & (tokens == EOS))


def shift(tokens: Tensor) -> Tensor:
    """Return the inputs (B, T) that predict ids (B, T): ``<bos>`` and all but the last id."""
    return torch.cat([torch.full_like(tokens[:, :1], BOS), tokens[:, :-1]], dim=1)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean (B,) of values (B, T) over the positions of the mask."""
    return (values * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)


def per_sequence(values: Tensor, mask: Tensor) -> Tensor:
    """Return values (B,) unchanged, or the mean (B,) of values (B, T) over the mask."""
    return values if values.dim() == 1 else masked_mean(values, mask)
