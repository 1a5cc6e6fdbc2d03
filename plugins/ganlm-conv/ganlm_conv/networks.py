import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganlm_conv.options import CausalConvOptions, ConvDiscriminatorOptions, ConvGeneratorOptions
from ganlm_core.layers import (
    Dropout,
    NoiseLinear,
    NoisyEmbedding,
    ReadoutGenerator,
    TokenEmbedding,
    hide,
    max_over_time,
    output_layer,
)
from ganlm_core.protocol import Discriminator, Generator, Shape
from ganlm_core.sampling import LikelihoodRatio


class ResidualBlock(nn.Module):
    """Two convolutions on states (B, H, T), added to their input with weight 0.3."""

    def __init__(self, size: int, kernel: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.ReLU(),
            nn.Conv1d(size, size, kernel, padding="same"),
            nn.ReLU(),
            nn.Conv1d(size, size, kernel, padding="same"),
        )

    def forward(self, states: Tensor) -> Tensor:
        return states + 0.3 * self.convolutions(states)


class ConvGenerator(Generator):
    """A linear layer from the noise to (H, T), residual blocks, and an output layer at each position.

    The bias of the linear layer has one value per channel and position, so it is the position embedding. Differs: a
    layer norm comes before the output layer, so that the first updates do not saturate the softmax.
    """

    def __init__(self, shape: Shape, options: ConvGeneratorOptions) -> None:
        super().__init__(shape)
        size = options.hidden_size
        self.states = nn.Sequential(
            NoiseLinear(shape.noise, size * shape.length),
            nn.Unflatten(1, (size, shape.length)),
            *(ResidualBlock(size, options.kernel) for _ in range(options.blocks)),
        )
        self.norm = nn.LayerNorm(size)
        self.output = output_layer(size, shape.vocabulary)

    def forward(self, noise: Tensor, tokens: Tensor | None = None) -> Tensor:
        return self.output(self.norm(self.states(noise).transpose(1, 2)), self.prior)


class CausalBlock(nn.Module):
    """A residual gated convolution on normalised states. It sees the last ``reach`` positions.

    It is written as a linear layer on concatenated inputs, which is much faster than a convolution for one position.
    """

    def __init__(self, size: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.dilation = dilation
        self.reach = (kernel - 1) * dilation
        self.norm = nn.LayerNorm(size)
        self.linear = nn.Linear(kernel * size, 2 * size)
        self.dropout = Dropout(dropout)

    def forward(self, states: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """Return the new states (B, T, H) and the last inputs (B, reach, H), from states and earlier inputs."""
        length = states.shape[1]
        inputs = torch.cat([before, self.norm(states)], dim=1)
        taps = [inputs[:, tap : tap + length] for tap in range(0, self.reach + 1, self.dilation)]
        found = F.glu(self.linear(torch.cat(taps, dim=-1)))
        return states + self.dropout(found), inputs[:, length:]


CausalConvState = tuple[Tensor, list[Tensor]]
"""The projected noise (B, 1, H) and, for each block, the last inputs that it still sees (B, reach, H)."""


class CausalConvGenerator(ReadoutGenerator):
    """Gated causal convolutions. A linear layer of the noise is added to the embedding at every position."""

    def __init__(self, shape: Shape, options: CausalConvOptions) -> None:
        super().__init__(shape)
        size, kernel = options.hidden_size, options.kernel
        layers = options.layers or layers_to_reach(shape.length - 1, kernel)
        self.noise = NoiseLinear(shape.noise, size)
        self.embedding = TokenEmbedding(shape.vocabulary, size)
        self.dropout = Dropout(options.dropout)
        self.blocks = nn.ModuleList(CausalBlock(size, kernel, 2**layer, options.dropout) for layer in range(layers))
        self.norm = nn.LayerNorm(size)
        self.output = output_layer(size, shape.vocabulary)

    def start(self, noise: Tensor) -> CausalConvState:
        projected = self.noise(noise).unsqueeze(1)
        size = projected.shape[-1]
        return projected, [projected.new_zeros(noise.shape[0], block.reach, size) for block in self.blocks]

    def read(self, tokens: Tensor, state: CausalConvState) -> tuple[Tensor, CausalConvState]:
        noise, befores = state
        states, kept = self.dropout(self.embedding(tokens) + noise), []
        for block, before in zip(self.blocks, befores, strict=True):
            states, before = block(states, before)
            kept.append(before)
        return self.norm(states), (noise, kept)


def layers_to_reach(positions: int, kernel: int) -> int:
    """Return the number of layers, at least 1, whose dilations 1, 2, 4, ... reach back ``positions`` positions."""
    layers = 1
    while (kernel - 1) * (2**layers - 1) < positions:
        layers += 1
    return layers


class Highway(nn.Module):
    """A highway layer: a gate mixes the features and a transform of them. Initially it prefers the features."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.transform = nn.Linear(size, size)
        self.gate = nn.Linear(size, size)
        nn.init.constant_(self.gate.bias, -2.0)

    def forward(self, features: Tensor) -> Tensor:
        return torch.lerp(features, F.leaky_relu(self.transform(features), 0.2), self.gate(features).sigmoid())


class ConvDiscriminator(Discriminator):
    """A text CNN: the maximum of each filter over all windows that overlap the sequence, with zeros around it.

    Differs from the paper: windows may overlap the ends, unless ``padding`` is off; leaky ReLU, so that the generator's
    gradient is never zero. Without padding, a sequence shorter than a filter has one window, with zeros at its end.
    """

    rowwise = True

    def __init__(self, shape: Shape, options: ConvDiscriminatorOptions) -> None:
        super().__init__(shape)
        self.widths = [int(width) for width in options.widths.split(",")]
        self.embedding = NoisyEmbedding(shape.vocabulary, options.embedding_size, options.blur, shape.labels)
        self.padding = options.padding
        self.convolutions = nn.ModuleList(
            nn.Conv1d(options.embedding_size, options.filters, width, padding=width - 1 if self.padding else 0)
            for width in self.widths
        )
        size = options.filters * len(self.widths)
        self.highway = Highway(size) if options.highway else nn.Identity()
        self.dropout = Dropout(options.dropout)
        self.output = nn.Linear(size, 1)

    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        pays = sequence.numel() > self.shape.vocabulary
        if not pays or sequence.is_floating_point() or torch.is_grad_enabled():
            return self.read(self.embedding(sequence), mask)
        weight, padding = self.embedding.weight, self.padding
        return self._merge([strongest_by_table(each, weight, sequence, mask, padding) for each in self.convolutions])

    def read(self, embedded: Tensor, mask: Tensor) -> Tensor:
        """Return features (B, F) from embedded tokens (B, T, E) with their mask (B, T)."""
        inputs = hide(embedded, mask).transpose(1, 2)
        if not self.padding:
            inputs = F.pad(inputs, (0, max(0, max(self.widths) - mask.shape[1])))
            mask = F.pad(mask, (0, inputs.shape[-1] - mask.shape[1]))
        strongest = [
            max_over_time(convolution(inputs).transpose(1, 2), windows(mask, width, self.padding))
            for width, convolution in zip(self.widths, self.convolutions, strict=True)
        ]
        return self._merge(strongest)

    def _merge(self, strongest: list[Tensor]) -> Tensor:
        return self.highway(F.leaky_relu(torch.cat(strongest, dim=1), 0.2))

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return self.output(self.dropout(self.features(sequence, mask))).squeeze(-1)


def strongest_by_table(
    convolution: nn.Module, embedding: Tensor, ids: Tensor, mask: Tensor, padding: bool = True
) -> Tensor:
    """Return the maximum of each filter (B, F) over the :func:`windows` of ids (B, T), by table lookup.

    A table holds the contribution of each of the V words at each position of a window, and the output of a filter is
    the sum of its rows. This is faster than a convolution where a batch has more words than the vocabulary.
    """
    assert isinstance(convolution, nn.Conv1d) and convolution.bias is not None
    hidden, width = len(embedding), convolution.kernel_size[0]
    table = torch.einsum("ve,few->wvf", F.pad(embedding, (0, 0, 0, 1)), convolution.weight)
    ids = F.pad(torch.where(mask, ids, hidden), _around(mask, width, padding), value=hidden).unfold(1, width, 1)
    # A window beyond the end must not win the maximum, so it is replaced by the first, which overlaps any sequence.
    ids = torch.where(windows(mask, width, padding).unsqueeze(-1), ids, ids[:, :1])
    rows = ids + torch.arange(width, device=ids.device) * (hidden + 1)
    answers = F.embedding_bag(rows.flatten(0, 1), table.flatten(0, 1), mode="sum").unflatten(0, rows.shape[:2])
    return (answers.amax(dim=1) + convolution.bias).masked_fill(~mask.any(dim=1, keepdim=True), 0)


def windows(mask: Tensor, width: int, padding: bool = True) -> Tensor:
    """Return a mask of the windows that count, from a mask (B, T) of sequences.

    With padding, (B, T + width - 1): the windows that overlap the sequence. Without, (B, max(1, T - width + 1)): the
    windows inside the sequence, and the first one of a sequence that is shorter than the width.
    """
    found = F.pad(mask, _around(mask, width, padding)).unfold(1, width, 1)
    return found.any(dim=-1) if padding else torch.cat([found[:, :1].any(dim=-1), found[:, 1:].all(dim=-1)], dim=1)


def _around(mask: Tensor, width: int, padding: bool) -> tuple[int, int]:
    """Return the number of zeros before and after sequences (B, T)."""
    return (width - 1, width - 1) if padding else (0, max(0, width - mask.shape[1]))


class CausalConvLikelihoodRatio(LikelihoodRatio):
    """The ratio of a causal convolutional language model to the generator."""

    language_model = CausalConvGenerator
