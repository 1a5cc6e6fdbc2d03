"""The GAN training protocol: the interfaces of generators, discriminators, losses, estimators and algorithms.

Shape letters: ``B`` sequences, ``T`` positions, ``V`` words in the vocabulary, ``Z`` noise, ``H`` hidden,
``F`` features.

A *sequence* is either ids (B, T) of type int64, or relaxed one-hots (B, T, V) of a floating type. It ends with
``<eos>`` and is then padded; its mask (B, T), boolean, is true up to and including ``<eos>``. A sequence that
reached the maximum length without ``<eos>`` has a mask that is true everywhere.

The target of a component is called with these arguments, by kind::

    generator, discriminator       target(shape=Shape, options=...)
    loss, penalty, estimator       target(options=...)
    reward                         target(options=...)
    algorithm                      target(parts=Parts, options=...)
    corpus, metric, encoder        target(options=...)          see ganlm_core.data.corpus and ganlm_core.metrics.metric
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganlm_core.system.devices import cuda_graph

PAD, BOS, EOS, UNK = 0, 1, 2, 3
SPECIAL_TOKENS = ("<pad>", "<bos>", "<eos>", "<unk>")

NEVER = -1e38
"""The logit of a word that cannot occur: one without any count, or one that a prompt rules out. It is finite, because 0
times the log of 0 would be NaN in an entropy, and low enough that the word is not drawn at any temperature."""

State = Any
"""The state of an autoregressive generator between two tokens: a tensor, batch first; a number that is the same for the
whole batch; or a tuple, list or dict of states."""

Cost = Callable[[Tensor, Tensor], Tensor]
"""(sequence, mask) -> the generator's cost, (B,) per sequence or (B, T) per position."""

NextWordCost = Callable[[Tensor, Tensor], Tensor]
"""(ids (B, T), the generator's log-probabilities (B, T, V)) -> the cost of each word after each prefix, (B, T, V)."""


@dataclass(frozen=True)
class Shape:
    """The sizes that a pair of networks shares: ``vocabulary`` V, ``length`` T (``<eos>`` included), ``noise`` Z.

    With ``labels`` K above 0, a generator is built for K more numbers of noise, a discriminator for K more words and
    one more position: see :meth:`of`.
    """

    vocabulary: int
    length: int
    noise: int
    labels: int = 0

    def of(self, kind: str) -> "Shape":
        """Return the sizes that a network of this kind, ``generator`` or ``discriminator``, is built for."""
        if self.labels == 0:
            return self
        if kind == "generator":
            return replace(self, noise=self.noise + self.labels)
        return replace(self, vocabulary=self.vocabulary + self.labels, length=self.length + 1)

    def sizes(self) -> dict[str, int]:
        """Return V, T and Z by name, for files: labels are kept elsewhere, by their names."""
        return {"vocabulary": self.vocabulary, "length": self.length, "noise": self.noise}


class Generator(nn.Module):
    """p(tokens | noise): map noise (B, Z) to logits (B, T, V), all positions at once unless autoregressive.

    ``prior`` (T, V) is a buffer that subclasses add to their logits: zeros, or the log frequencies of the words at each
    position of the training data, so that training starts from the mean of the real data.
    """

    prior: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("prior", torch.zeros(shape.length, shape.vocabulary))

    @property
    def autoregressive(self) -> bool:
        """Whether it writes word by word, which is to be an :class:`AutoregressiveGenerator`."""
        return isinstance(self, AutoregressiveGenerator)

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
    (B, T); ``summed``: whether a sequence's logit is then their sum, not their mean. ``rowwise``: whether it scores
    each sequence by itself, in training too (batch normalisation does not); real and generated sequences are then
    scored in one call.
    """

    twice_differentiable: ClassVar[bool] = True
    rowwise: ClassVar[bool] = False
    per_position: bool = False
    summed: bool = False

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    def compare_with(self, generator: Generator) -> None:
        """Take the generator that this network judges. A network that reads the generator's likelihood keeps it."""

    def take_prior(self, log_frequencies: Tensor) -> None:
        """Take the log frequencies (V,) of the words of the training split, before training. Ignored by default."""

    def per_sequence(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return one logit per sequence, (B,), from the logits of this network: their mean, or sum."""
        return (logits * mask).sum(dim=1) if self.summed and logits.dim() == 2 else per_sequence(logits, mask)

    def verdict(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Return one logit per sequence, (B,), in float32: :meth:`forward`, then :meth:`per_sequence`."""
        return self.per_sequence(self(sequence, mask).float(), mask)

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Return logits for ids (B, T) or equal relaxed one-hots (B, T, V). Masked positions have no effect."""
        raise NotImplementedError

    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Return the representation (B, F) from which the logits are computed."""
        raise NotImplementedError


class Loss(ABC):
    """An adversarial loss on discriminator logits, elementwise: (B,) per sequence or (B, T) per position.

    ``paired``: each generated logit is compared with a real one, so both have one logit per sequence (B,).
    ``threshold``: the best logit for a text that is as likely real as generated; None if logits have no fixed origin.
    """

    paired: ClassVar[bool] = False
    threshold: float | None = None

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
    the positions that were written (:func:`per_sequence`). The value of the scalar itself has no meaning; the cost is
    logged. The cost can be evaluated on any multiple of B sequences, of which row i belongs to row i % B of the batch;
    the first call of an estimator asks for all of its samples. State that it keeps from step to step must be in
    buffers.

    ``autoregressive_only``: it needs an autoregressive generator. ``per_position_only``: it needs a discriminator with
    logits per position. ``relaxes``: it asks for the cost of relaxed one-hots, so no reward of texts can be in it.
    ``next_words``: its cost is a :data:`NextWordCost`, so the discriminator must be a language model
    (:class:`ganlm_core.sampling.ratio.LikelihoodRatio`). ``steps``: the generator steps of a round, which may share the
    samples of the first.
    """

    autoregressive_only: bool = False
    per_position_only: bool = False
    steps: int = 1
    relaxes: ClassVar[bool] = False
    next_words: ClassVar[bool] = False

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

    Row i of the generated sequences is asked for the conditions of real row i. ``labels`` (B,) are the numbers of its
    categories, which are also in the noise (:func:`with_labels`); ``given`` (B,) is the number of its first tokens that
    are a prompt; both are None without conditions. ``columns`` are the further columns of the data, for rewards.

    ``progress`` runs from 0 at the first step to 1 at the last. Adversarial methods count it from their first
    adversarial step, see :class:`ganlm_core.algorithms.schedule.Schedule`. ``log`` keeps a scalar tensor for the
    metrics of this step, without synchronising the device. ``shared`` keeps the samples that several terms of one loss
    read (:mod:`ganlm_core.sampling.shared`); None: each term draws its own.
    """

    tokens: Tensor
    mask: Tensor
    noise: Tensor
    step: int = 0
    progress: float = 0.0
    metrics: dict[str, Tensor] = field(default_factory=dict)
    shared: dict[object, Any] | None = None
    labels: Tensor | None = None
    given: Tensor | None = None
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def scored(self) -> Tensor:
        """The mask of the tokens that the generator has to write: without the prompt.

        An algorithm may replace the tokens by a multiple of B rows, of which row i belongs to row i % B.
        """
        return without_prompt(self.mask, self.given)

    def log(self, name: str, value: Tensor) -> None:
        self.metrics[name] = value.detach()


class Reward(ABC):
    """A function of texts that training pays for beside the discriminator.

    Called with N texts and the further columns of their data by name, row by row with the texts; ``columns`` is empty
    if there are none. Returns N finite numbers, the higher the better, from 0 to 1 unless ``unbounded``. The number of
    a text depends on the text and its row of the columns only, so that it is computed once for each distinct row.
    """

    unbounded: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, texts: list[str], columns: Mapping[str, Sequence[str]]) -> list[float]: ...


@dataclass(frozen=True)
class Phase:
    """One optimiser step of one network: ``loss`` maps a fresh batch to the scalar that ``network`` minimises.

    ``part``: the only module of the network that is trained; all others get no gradient. ``progress``: replaces the
    batch's own. Calling a phase computes its loss, while the networks see the conditions of the batch.
    """

    name: str
    network: str
    loss: Callable[[Batch], Tensor]
    part: nn.Module | None = None
    progress: float | None = None

    def __call__(self, batch: Batch) -> Tensor:
        with conditions_of(batch):
            return self.loss(batch if self.progress is None else replace(batch, progress=self.progress))


_batch: ContextVar[Batch] = ContextVar("batch")


@contextmanager
def conditions_of(batch: Batch) -> Iterator[None]:
    """Let the conditional networks of a run read the labels and prompts of this batch in the block.

    They take sequences without their conditions, so that algorithms, losses and estimators need no code for these.
    """
    if batch.labels is None and batch.given is None:
        yield
        return
    token = _batch.set(batch)
    try:
        yield
    finally:
        _batch.reset(token)


def current_batch(network: str) -> Batch:
    """Return the batch of :func:`conditions_of`. Raises LookupError outside of it, with the name of the network."""
    try:
        return _batch.get()
    except LookupError:
        raise LookupError(f"{network} has conditions; call it in a phase, or in conditions_of(batch)") from None


@dataclass(frozen=True)
class Parts:
    """The parts that an algorithm is built from, and its number of ``steps``.

    ``rewarded`` mixes the rewards of a run into the cost of a batch; None without rewards.
    """

    generator: Generator
    discriminator: Discriminator
    loss: Loss
    penalty: Penalty
    estimator: Estimator
    steps: int
    rewarded: "Callable[[Cost, Batch], Cost] | None" = None

    def pay(self, cost: Cost, batch: Batch) -> Cost:
        """Return the generator's cost, with the rewards of the run mixed in."""
        return cost if self.rewarded is None else self.rewarded(cost, batch)


class Algorithm(nn.Module, ABC):
    """A training method: its networks and, for each step, its list of phases.

    It is a module, so that its ``state_dict`` holds everything that a checkpoint needs: the networks, and the buffers
    of an estimator. ``adversarial_from`` is the first step that trains the networks against each other; the evaluation
    at that step is the "before" row of the final table. ``unused`` are the kinds of parts that it does not use,
    ``frozen`` the networks that it does not train.
    ``pays``: its cost takes the rewards of a run (:meth:`Parts.pay`). ``next_words``: it has a cost of every next word.
    """

    adversarial_from: int = 0
    unused: ClassVar[tuple[str, ...]] = ()
    frozen: ClassVar[tuple[str, ...]] = ()
    pays: ClassVar[bool] = False
    next_words: ClassVar[bool] = False

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
    """Return the inputs that predict ids (B, T) or relaxed one-hots (B, T, V): ``<bos>`` and all but the last."""
    if tokens.is_floating_point():
        first = torch.zeros_like(tokens[:, :1])
        first[..., BOS] = 1
        return torch.cat([first, tokens[:, :-1]], dim=1)
    return torch.cat([torch.full_like(tokens[:, :1], BOS), tokens[:, :-1]], dim=1)


def first_tokens(given: Tensor, length: int) -> Tensor:
    """Return a mask (B, T) of the first ``given`` (B,) positions of each row."""
    return torch.arange(length, device=given.device) < given.unsqueeze(1)


def without_prompt(mask: Tensor, given: Tensor | None) -> Tensor:
    """Return a mask (N, T) without the first ``given`` (B,) tokens, of which row i has those of row i % B."""
    if given is None:
        return mask
    rows, length = mask.shape
    return mask & ~first_tokens(given.to(mask.device), length).repeat(rows // len(given), 1)


def with_labels(noise: Tensor, labels: Tensor | None, count: int) -> Tensor:
    """Return noise (..., B, Z) followed by the one-hots of labels (B,) among ``count``: (..., B, Z + count)."""
    if labels is None:
        return noise
    one_hot = F.one_hot(labels.to(noise.device), count).to(noise.dtype)
    return torch.cat([noise, one_hot.expand(*noise.shape[:-1], count)], dim=-1)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean (B,) of values (B, T) over the positions of the mask."""
    return (values * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)


def per_sequence(values: Tensor, mask: Tensor) -> Tensor:
    """Return values (N,) unchanged, or the mean (N,) of values (N, T) over the mask.

    Within :func:`conditions_of` the mean is over what the generator wrote: the prompt of a row does not count.
    """
    if values.dim() == 1:
        return values
    batch = _batch.get(None)
    return masked_mean(values, mask if batch is None else without_prompt(mask, batch.given))
