"""Layers that several architectures share. Shape letters as in :mod:`ganlm_core.protocol`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganlm_core.protocol import UNK, AutoregressiveGenerator, Generator, Shape, State, shift


class TokenEmbedding(nn.Embedding):
    """Map ids (...,) or relaxed one-hots (..., V) to vectors (..., H): rows of the weight, or means of its rows."""

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens @ self.weight if tokens.is_floating_point() else super().forward(tokens)


class NoisyEmbedding(TokenEmbedding):
    """An embedding with instance noise (Sønderby et al. 2017, section 3.3) for the tokens that a discriminator sees.

    In training, each vector moves towards the vector of a random word by a random share of the distance, at most
    ``blur``. Differs: the paper adds Gaussian noise to images. Points between two words also teach the discriminator
    about the region to which the gradient of a relaxation points. Where no gradient is computed, as for a reward, the
    vectors are exact. The last ``labels`` ids are no words, and their vectors are always exact.
    """

    def __init__(self, vocabulary: int, size: int, blur: float, labels: int = 0) -> None:
        super().__init__(vocabulary, size)
        self.blur, self.words = blur, vocabulary - labels

    def forward(self, tokens: Tensor) -> Tensor:
        embedded = super().forward(tokens)
        if self.blur == 0 or not self.training or not torch.is_grad_enabled():
            return embedded
        share = self.blur * torch.rand(*embedded.shape[:-1], 1, device=embedded.device)
        words = torch.randint(UNK, self.words, embedded.shape[:-1], device=embedded.device)
        if self.words < self.num_embeddings:
            exact = tokens[..., self.words :].any(dim=-1) if tokens.is_floating_point() else tokens >= self.words
            share = share.masked_fill(exact.unsqueeze(-1), 0.0)
        return embedded + share * (super().forward(words) - embedded)


class Dropout(nn.Dropout):
    """Dropout (Srivastava et al. 2014), with ``p`` rounded to a multiple of 1 / 65,536 on a CPU.

    There PyTorch spends 11 ns on the random number of each unit, ten times as long as a multiplication. Here one number
    of 64 bits decides about four units.
    """

    def forward(self, states: Tensor) -> Tensor:
        dropped = round(self.p * 2**16)
        if states.device.type != "cpu" or not self.training or dropped in (0, 2**16):
            return super().forward(states)
        numbers = torch.empty(-(-states.numel() // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
        kept = numbers[: states.numel()].view(states.shape) >= dropped - 2**15
        return states * kept.to(states.dtype).mul_(2**16 / (2**16 - dropped))


class NoiseLinear(nn.Linear):
    """Map noise (B, Z) to (B, H). With Z = 0 only the bias remains, a learned constant that starts at zero."""

    def reset_parameters(self) -> None:
        if self.in_features:
            super().reset_parameters()
        else:
            nn.init.zeros_(self.bias)


class OutputLayer(nn.Linear):
    """States (..., H) to logits (..., V), to which it adds the generator's prior, (V,) or (T, V), if it is given one.

    Each sum over all logits is a pass over memory that costs a tenth of the product over 5,000 words, so the prior is
    added to the bias, or both are added in place.
    """

    def forward(self, states: Tensor, prior: Tensor | None = None) -> Tensor:
        if prior is None:
            return super().forward(states)
        if autocasts(states.device):  # in float32, not in the precision of the product
            return super().forward(states) + prior
        if prior.dim() == 1:
            return F.linear(states, self.weight, self.bias + prior)
        logits, added = F.linear(states, self.weight), self.bias + prior
        return logits + added if torch.is_grad_enabled() else logits.add_(added)  # compiled graphs keep what they gave


def autocasts(device: torch.device) -> bool:
    """Return whether products on the device are computed in lower precision."""
    return torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type)


def output_layer(size: int, vocabulary: int) -> OutputLayer:
    """Return a layer for the logits of a generator, with small weights, so that its prior dominates at the start."""
    layer = OutputLayer(size, vocabulary)
    nn.init.normal_(layer.weight, std=0.02)
    nn.init.zeros_(layer.bias)
    return layer


def hide(states: Tensor, mask: Tensor) -> Tensor:
    """Return states (B, T, H) with zeros where the mask (B, T) is false."""
    return states.masked_fill(~mask.unsqueeze(-1), 0)


def max_over_time(states: Tensor, mask: Tensor) -> Tensor:
    """Return the maximum (B, H) of states (B, T, H) over the mask (B, T); zeros where the mask is empty.

    The gradient needs the places of the maxima only; ``amax`` would keep all states for it.
    """
    hidden = ~mask.unsqueeze(-1)
    return states.masked_fill(hidden, -torch.inf).max(dim=1).values.masked_fill(hidden.all(dim=1), 0)


@contextmanager
def without_dropout(*networks: nn.Module) -> Iterator[None]:
    """Disable the dropout of torch's own layers in some networks, in training mode too.

    The mode stays as it is: in evaluation mode, cuDNN's recurrent layers have no backward pass, and batch normalisation
    would use other statistics.
    """
    parts = [part for network in networks for part in network.modules()]
    layers = [(part, "training", False) for part in parts if isinstance(part, nn.modules.dropout._DropoutNd)]
    shares = [(part, "dropout", 0.0) for part in parts if isinstance(part, nn.RNNBase | nn.MultiheadAttention)]
    before = [(part, name, getattr(part, name)) for part, name, _ in (*layers, *shares)]
    try:
        for part, name, value in (*layers, *shares):
            setattr(part, name, value)
        yield
    finally:
        for part, name, value in before:
            setattr(part, name, value)


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Compute what the network gives without a gradient for its parameters, and with one for its inputs."""
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    try:
        for parameter in learned:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)


class StatefulGenerator(AutoregressiveGenerator):
    """A generator that runs the same code for one position and for all: a subclass has ``start`` and ``advance``."""

    def advance(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Return logits (B, T, V) and the next state for inputs: ids (B, T) or relaxed one-hots (B, T, V)."""
        raise NotImplementedError

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        logits, state = self.advance(tokens.unsqueeze(1), state)
        return logits.squeeze(1), state

    def forward(self, noise: Tensor, tokens: Tensor | None = None) -> Tensor:
        if tokens is None:
            return super().forward(noise)
        return self.advance(shift(tokens), self.start(noise))[0]


class PerLabelGenerator(AutoregressiveGenerator):
    """One network for each label, of any architecture: a row is written by the network of its label.

    ``build`` makes a network for a shape without labels. Without labels there is one network. All networks read all
    rows, so it takes the time of as many generators.
    """

    def __init__(self, shape: Shape, build: Callable[[Shape], AutoregressiveGenerator]) -> None:
        super().__init__(shape)
        inner = replace(shape, noise=shape.noise - shape.labels, labels=0)
        self.generators = nn.ModuleList(build(inner) for _ in range(max(1, shape.labels)))

    def start(self, noise: Tensor) -> State:
        random, labels = self._split(noise)
        return labels, [each.start(random) for each in self._networks()]

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        labels, states = state
        found = [each.step(tokens, own) for each, own in zip(self._networks(), states, strict=True)]
        return self._choose([logits for logits, _ in found], labels), (labels, [after for _, after in found])

    def forward(self, noise: Tensor, tokens: Tensor | None = None) -> Tensor:
        random, labels = self._split(noise)
        return self._choose([each(random, tokens) for each in self._networks()], labels)

    def _networks(self) -> Iterator[AutoregressiveGenerator]:
        return iter(self.generators)  # type: ignore[arg-type]

    def _split(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return the random part of noise (B, Z) and the number of each row's label (B,)."""
        count = self.shape.labels
        random, one_hot = noise.tensor_split([noise.shape[1] - count], dim=1)
        return random, one_hot.argmax(dim=1) if count else noise.new_zeros(noise.shape[0], dtype=torch.int64)

    def _choose(self, logits: list[Tensor], labels: Tensor) -> Tensor:
        """Return the logits of each row's label, with the prior of all."""
        found = logits[0]
        for label, each in enumerate(logits[1:], start=1):
            found = torch.where((labels == label).view(-1, *[1] * (each.dim() - 1)), each, found)
        return found + self.prior


class ReadoutGenerator(StatefulGenerator):
    """A stateful generator whose logits are linear in its states: a subclass has ``start``, ``read`` and ``output``.

    Its log-likelihood then trains without logits in memory (``sampling.weighted_log_likelihood``). A subclass with
    another linear layer than ``output`` overrides both ``readout`` and ``logits``, which must agree. One that overrides
    ``forward``, ``advance`` or ``step`` is trained and sampled by its logits.
    """

    output: OutputLayer

    def read(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Return states (B, T, H) and the next state for inputs: ids (B, T) or relaxed one-hots (B, T, V)."""
        raise NotImplementedError

    def read_next(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Return states (B, H) and the next state for one position: ids (B,) or relaxed one-hots (B, V)."""
        states, state = self.read(tokens.unsqueeze(1), state)
        return states.squeeze(1), state

    def readout(self) -> tuple[Tensor, Tensor]:
        """Return the weight (V, H) and the bias (V,) of the logits, prior included."""
        return self.output.weight, self.output.bias + self.prior

    def logits(self, states: Tensor) -> Tensor:
        """Return logits (..., V) from states (..., H)."""
        return self.output(states, self.prior)

    def advance(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        states, state = self.read(tokens, state)
        return self.logits(states), state

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        states, state = self.read_next(tokens, state)
        return self.logits(states), state

    def forward(self, noise: Tensor, tokens: Tensor | None = None, readout: bool = True) -> Tensor:
        """Return logits (B, T, V), or without the readout the states (B, T, H)."""
        if tokens is None or readout:
            return super().forward(noise, tokens)
        return self.read(shift(tokens), self.start(noise))[0]


def reads_out(generator: Generator) -> TypeGuard[ReadoutGenerator]:
    """Return whether the logits of a generator are the readout of its states: no subclass changes them afterwards."""
    return isinstance(generator, ReadoutGenerator) and all(
        getattr(type(generator), name) is getattr(ReadoutGenerator, name) for name in ("forward", "advance", "step")
    )
