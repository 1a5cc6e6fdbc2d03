import torch
from torch import Tensor, nn

from ganlm_core.layers import Dropout, NoiseLinear, NoisyEmbedding, ReadoutGenerator, TokenEmbedding, hide, output_layer
from ganlm_core.protocol import Discriminator, Shape
from ganlm_core.sampling import LikelihoodRatio
from ganlm_transformer.options import TransformerDiscriminatorOptions, TransformerOptions

Cache = tuple[Tensor, Tensor]
"""Keys and values of a block, each (B, heads, S, H / heads), with room for S positions."""

TransformerState = tuple[Tensor, int, list[Cache]]
"""The projected noise (B, 1, H), the number of positions so far, and the cache of each block."""


class Attention(nn.Module):
    """Scaled dot-product attention (Vaswani et al. 2017, eq. 1), unfused: fused kernels have no double backward."""

    def __init__(self, options: TransformerOptions) -> None:
        super().__init__()
        self.heads = options.heads
        # No biases: a key bias does not change the softmax, and a value bias only adds to the output layer's bias.
        self.inputs = nn.Linear(options.hidden_size, 3 * options.hidden_size, bias=False)
        self.output = nn.Linear(options.hidden_size, options.hidden_size)

    def forward(
        self, states: Tensor, visible: Tensor, cache: Cache | None = None, past: int = 0
    ) -> tuple[Tensor, Cache]:
        """Return new states (B, T, H), and the cache with these positions after its first ``past`` positions.

        ``visible``, boolean, broadcasts to (B, heads, T, past + T): the positions, cached first, that each may see.
        """
        heads = self.inputs(states).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        queries, keys, values = heads.chunk(3, dim=-1)
        if cache is not None:
            cache = _appended(cache[0], past, keys), _appended(cache[1], past, values)
            keys, values = (each[:, :, : past + states.shape[1]] for each in cache)
        scores = queries @ keys.transpose(-1, -2) * keys.shape[-1] ** -0.5
        # The lowest finite number instead of -inf, so that a row that sees nothing is not NaN.
        weights = scores.masked_fill(~visible, torch.finfo(scores.dtype).min).softmax(dim=-1)
        mixed = (weights @ values).transpose(1, 2).flatten(2)
        return self.output(mixed), cache or (keys, values)


def _appended(cache: Tensor, past: int, new: Tensor) -> Tensor:
    """Append new keys or values after ``past`` positions, in place unless a gradient is needed or the cache is full."""
    total = past + new.shape[2]
    if torch.is_grad_enabled() or total > cache.shape[2]:
        return torch.cat([cache[:, :, :past], new], dim=2)
    cache[:, :, past:total] = new
    return cache


class Block(nn.Module):
    """A pre-norm residual block: attention, then a feed-forward layer."""

    def __init__(self, options: TransformerOptions) -> None:
        super().__init__()
        size = options.hidden_size
        self.norm = nn.LayerNorm(size)
        self.attention = Attention(options)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(size), nn.Linear(size, 4 * size), nn.GELU(), nn.Linear(4 * size, size)
        )
        self.dropout = Dropout(options.dropout)

    def forward(
        self, states: Tensor, visible: Tensor, cache: Cache | None = None, past: int = 0
    ) -> tuple[Tensor, Cache]:
        found, cache = self.attention(self.norm(states), visible, cache, past)
        states = states + self.dropout(found)
        return states + self.dropout(self.feed_forward(states)), cache


class TransformerGenerator(ReadoutGenerator):
    """A causal transformer. A linear layer of the noise is added to the embedding at every position."""

    def __init__(self, shape: Shape, options: TransformerOptions) -> None:
        super().__init__(shape)
        size = options.hidden_size
        self.heads = options.heads
        self.noise = NoiseLinear(shape.noise, size)
        self.embedding = TokenEmbedding(shape.vocabulary, size)
        self.positions = nn.Parameter(torch.randn(shape.length, size))
        self.dropout = Dropout(options.dropout)
        self.blocks = nn.ModuleList(Block(options) for _ in range(options.layers))
        self.norm = nn.LayerNorm(size)
        self.output = output_layer(size, shape.vocabulary)

    def start(self, noise: Tensor) -> TransformerState:
        """Return the initial state. Without gradients, caches have the full length and steps write into them."""
        projected = self.noise(noise).unsqueeze(1)
        room = 0 if torch.is_grad_enabled() else self.shape.length
        sizes = noise.shape[0], self.heads, room, projected.shape[-1] // self.heads
        return projected, 0, [(projected.new_zeros(sizes), projected.new_zeros(sizes)) for _ in self.blocks]

    def read(self, tokens: Tensor, state: TransformerState) -> tuple[Tensor, TransformerState]:
        noise, past, caches = state
        total = past + tokens.shape[1]
        visible = torch.ones(tokens.shape[1], total, dtype=torch.bool, device=tokens.device).tril(past)
        states = self.dropout(self.embedding(tokens) + self.positions[past:total] + noise)
        grown = []
        for block, cache in zip(self.blocks, caches, strict=True):
            states, cache = block(states, visible, cache, past)
            grown.append(cache)
        return self.norm(states), (noise, total, grown)


class TransformerDiscriminator(Discriminator):
    """A transformer encoder. The features are the mean of the last states over the mask."""

    rowwise = True

    def __init__(self, shape: Shape, options: TransformerDiscriminatorOptions) -> None:
        super().__init__(shape)
        size = options.hidden_size
        self.embedding = NoisyEmbedding(shape.vocabulary, size, options.blur, shape.labels)
        self.positions = nn.Parameter(torch.randn(shape.length, size))
        self.dropout = Dropout(options.dropout)
        self.blocks = nn.ModuleList(Block(options) for _ in range(options.layers))
        self.norm = nn.LayerNorm(size)
        self.output = nn.Linear(size, 1)

    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        states = self.dropout(self.embedding(sequence) + self.positions[: mask.shape[1]])
        for block in self.blocks:
            states, _ = block(states, mask[:, None, None])
        return hide(self.norm(states), mask).sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=1)

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return self.output(self.features(sequence, mask)).squeeze(-1)


class TransformerLikelihoodRatio(LikelihoodRatio):
    """The ratio of a transformer language model to the generator."""

    language_model = TransformerGenerator
