from ganlm_core.layers import (
    NoiseLinear,
    NoisyEmbedding,
    StatefulGenerator,
    TokenEmbedding,
    max_over_time,
    output_layer,
)
from ganlm_core.protocol import Discriminator, Shape
from torch import Tensor, nn

from ganlm_gru.options import GRUDiscriminatorOptions, GRUGeneratorOptions


class GRUGenerator(StatefulGenerator):
    """A GRU. A linear layer turns the noise into the initial state of every layer.

    Shapes: B sequences, T positions, V words in the vocabulary, Z noise, H hidden, L layers.
    """

    def __init__(self, shape: Shape, options: GRUGeneratorOptions) -> None:
        super().__init__(shape)
        size, layers = options.hidden_size, options.layers
        self.initial = NoiseLinear(shape.noise, layers * size)
        self.embedding = TokenEmbedding(shape.vocabulary, options.embedding_size)
        between = options.dropout if layers > 1 else 0.0
        self.gru = nn.GRU(options.embedding_size, size, layers, dropout=between, batch_first=True)
        self.dropout = nn.Dropout(options.dropout)
        self.output = output_layer(size, shape.vocabulary)

    def start(self, noise: Tensor) -> Tensor:
        """Return the initial states of all layers (B, L, H) from noise (B, Z). Every state is batch first."""
        return self.initial(noise).unflatten(1, (self.gru.num_layers, -1))

    def advance(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (B, T, V) and the next states (B, L, H) from ids (B, T) or relaxed one-hots (B, T, V)."""
        states, last = self.gru(self.embedding(tokens), state.transpose(0, 1).contiguous())
        return self.output(self.dropout(states), self.prior), last.transpose(0, 1)


class GRUDiscriminator(Discriminator):
    """One layer from left to right. The maximum is over the mask, so padding has no effect.

    cuDNN's GRU has no double backward, so gradient penalties are not possible.
    """

    twice_differentiable = False

    def __init__(self, shape: Shape, options: GRUDiscriminatorOptions) -> None:
        super().__init__(shape)
        self.embedding = NoisyEmbedding(shape.vocabulary, options.embedding_size, options.blur)
        self.gru = nn.GRU(options.embedding_size, options.hidden_size, batch_first=True)
        self.dropout = nn.Dropout(options.dropout)
        self.output = nn.Linear(options.hidden_size, 1)

    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Return features (B, H) from ids (B, T) or relaxed one-hots (B, T, V)."""
        states, _ = self.gru(self.embedding(sequence))
        return max_over_time(states, mask)

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Return logits (B,); a higher logit means more real."""
        return self.output(self.dropout(self.features(sequence, mask))).squeeze(-1)
