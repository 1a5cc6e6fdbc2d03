import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganlm_core.layers import Dropout, NoiseLinear, NoisyEmbedding, ReadoutGenerator, TokenEmbedding, hide, output_layer
from ganlm_core.protocol import BOS, Discriminator, Generator, Shape
from ganlm_core.sampling import LikelihoodRatio
from ganlm_mlp.options import MLPDiscriminatorOptions, MLPGeneratorOptions, NgramOptions


class MLPGenerator(Generator):
    """Hidden layers turn the noise into a vector per position, and an output layer turns each vector into logits.

    Differs from the paper: layer normalisation, which, unlike batch normalisation, does not mix sequences.
    """

    def __init__(self, shape: Shape, options: MLPGeneratorOptions) -> None:
        super().__init__(shape)
        width = options.hidden_size
        self.hidden = nn.Sequential(NoiseLinear(shape.noise, width), nn.LayerNorm(width), nn.LeakyReLU(0.2))
        for _ in range(options.layers - 1):
            self.hidden.extend([nn.Linear(width, width), nn.LayerNorm(width), nn.LeakyReLU(0.2)])
        self.positions = nn.Sequential(
            nn.Linear(width, shape.length * options.position_size),
            nn.Unflatten(1, (shape.length, options.position_size)),
            nn.LayerNorm(options.position_size),
            nn.LeakyReLU(0.2),
            output_layer(options.position_size, shape.vocabulary),
        )

    def forward(self, noise: Tensor, tokens: Tensor | None = None) -> Tensor:
        states = self.positions[:-1](self.hidden(noise))
        return self.positions[-1](states, self.prior)


NgramState = tuple[Tensor, Tensor]
"""The projected noise (B, 1, H) and the embeddings of the tokens before the next input (B, context - 1, E)."""


class NgramGenerator(ReadoutGenerator):
    """Hidden layers read the concatenated embeddings of the last ``context`` tokens and the noise.

    Differs from the paper: it reads noise, may have several hidden layers, and has no direct connections from the
    embeddings to the logits. At the start the window is filled with ``<bos>``.
    """

    def __init__(self, shape: Shape, options: NgramOptions) -> None:
        super().__init__(shape)
        width = options.hidden_size
        self.context = options.context
        self.noise = NoiseLinear(shape.noise, width)
        self.embedding = TokenEmbedding(shape.vocabulary, options.embedding_size)
        self.dropout = Dropout(options.dropout)
        self.window = nn.Linear(options.context * options.embedding_size, width, bias=False)
        self.hidden = nn.Sequential(nn.Tanh())
        for _ in range(options.layers - 1):
            self.hidden.extend([nn.Linear(width, width), nn.Tanh()])
        self.output = output_layer(width, shape.vocabulary)

    def start(self, noise: Tensor) -> NgramState:
        before = torch.full((noise.shape[0], self.context - 1), BOS, device=noise.device)
        return self.noise(noise).unsqueeze(1), self.embedding(before)

    def read(self, tokens: Tensor, state: NgramState) -> tuple[Tensor, NgramState]:
        noise, before = state
        embedded = torch.cat([before, self.embedding(tokens)], dim=1)
        windows = self.dropout(embedded).unfold(1, self.context, 1).flatten(2)
        states = self.dropout(self.hidden(self.window(windows) + noise))
        return states, (noise, embedded[:, tokens.shape[1] :])


class MLPDiscriminator(Discriminator):
    """Leaky ReLU layers on the concatenated embeddings of all positions, with zeros for padding."""

    rowwise = True

    def __init__(self, shape: Shape, options: MLPDiscriminatorOptions) -> None:
        super().__init__(shape)
        width = options.hidden_size
        self.embedding = NoisyEmbedding(shape.vocabulary, options.embedding_size, options.blur, shape.labels)
        self.hidden = nn.Sequential(nn.Linear(shape.length * options.embedding_size, width), nn.LeakyReLU(0.2))
        for _ in range(options.layers - 1):
            self.hidden.extend([nn.Linear(width, width), nn.LeakyReLU(0.2)])
        self.dropout = Dropout(options.dropout)
        self.output = nn.Linear(width, 1)

    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Return features (B, F). Raises ValueError for a sequence longer than the length of the shape."""
        missing = self.shape.length - mask.shape[1]
        if missing < 0:
            raise ValueError(f"a sequence has {mask.shape[1]} tokens; this network takes {self.shape.length} at most")
        embedded = hide(self.embedding(sequence), mask)
        return self.hidden(F.pad(embedded, (0, 0, 0, missing)).flatten(1))

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return self.output(self.dropout(self.features(sequence, mask))).squeeze(-1)


class NgramLikelihoodRatio(LikelihoodRatio):
    """The ratio of an MLP language model to the generator."""

    language_model = NgramGenerator
