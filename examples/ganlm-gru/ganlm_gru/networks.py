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
    """The noise, through a linear layer, is the state that every layer starts from.

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
        """Noise (B, Z) to the states of all layers, (B, L, H): batch first, as every state is."""
        return self.initial(noise).unflatten(1, (self.gru.num_layers, -1))

    def advance(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Ids (B, T) or relaxed one-hots (B, T, V) to logits (B, T, V) and the states after them (B, L, H)."""
        states, last = self.gru(self.embedding(tokens), state.transpose(0, 1).contiguous())
        return self.output(self.dropout(states), self.prior), last.transpose(0, 1)


class GRUDiscriminator(Discriminator):
    """One layer from left to right. What comes after the end is never seen: the maximum is over the mask.

    cuDNN's GRU has no double backward, so there are no penalties on its gradient.
    """

    twice_differentiable = False

    def __init__(self, shape: Shape, options: GRUDiscriminatorOptions) -> None:
        super().__init__(shape)
        self.embedding = NoisyEmbedding(shape.vocabulary, options.embedding_size, options.blur)
        self.gru = nn.GRU(options.embedding_size, options.hidden_size, batch_first=True)
        self.dropout = nn.Dropout(options.dropout)
        self.output = nn.Linear(options.hidden_size, 1)

    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Ids (B, T) or relaxed one-hots (B, T, V) to (B, H)."""
        states, _ = self.gru(self.embedding(sequence))
        return max_over_time(states, mask)

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Logits (B,); the higher, the more real."""
        return self.output(self.dropout(self.features(sequence, mask))).squeeze(-1)
