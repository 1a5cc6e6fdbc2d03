import torch
from torch import Tensor, nn

from ganlm_core.layers import (
    Dropout,
    NoiseLinear,
    NoisyEmbedding,
    PerLabelGenerator,
    ReadoutGenerator,
    TokenEmbedding,
    max_over_time,
    output_layer,
)
from ganlm_core.protocol import Discriminator, Shape
from ganlm_core.sampling import LikelihoodRatio
from ganlm_lstm.options import LSTMDiscriminatorOptions, LSTMGeneratorOptions

LSTMState = tuple[Tensor, Tensor]
"""Hidden and cell states of all layers, each (B, L, H)."""


def recur(lstm: nn.LSTM, states: Tensor, start: LSTMState, twice: bool = False) -> tuple[Tensor, LSTMState]:
    """Run the LSTM on inputs (B, T, I) from the state ``start``; return states (B, T, H) and the last state.

    ``twice``: the result must be twice differentiable. cuDNN's LSTM is not; PyTorch's own kernels are, on CUDA and on
    CPU. These need one dtype throughout, and oneDNN has bf16 on some CPUs only, so without cuDNN autocast is off.
    """
    if states.is_cuda and not twice:
        return _run(lstm, states, start)
    dtype = next(lstm.parameters()).dtype
    with torch.autocast(states.device.type, enabled=False), torch.backends.cudnn.flags(enabled=False):
        return _run(lstm, states.to(dtype), (start[0].to(dtype), start[1].to(dtype)))


def cells(lstm: nn.LSTM, states: Tensor, start: LSTMState) -> tuple[Tensor, LSTMState]:
    """Run :func:`recur` for one position, inputs (B, I) to states (B, H), without dropout, in a third of the time."""
    hiddens, memories = [], []
    for layer, (hidden, memory) in enumerate(zip(start[0].unbind(1), start[1].unbind(1), strict=True)):
        states, memory = torch.lstm_cell(states, (hidden, memory), *lstm.all_weights[layer])
        hiddens.append(states)
        memories.append(memory)
    return states, (torch.stack(hiddens, dim=1), torch.stack(memories, dim=1))


def _run(lstm: nn.LSTM, states: Tensor, start: LSTMState) -> tuple[Tensor, LSTMState]:
    output, (hidden, cell) = lstm(states, (_swap(start[0]), _swap(start[1])))
    return output, (_swap(hidden), _swap(cell))


def _swap(states: Tensor) -> Tensor:
    """Transpose (B, L, H) to (L, B, H), the layout of ``nn.LSTM``, and back."""
    return states.transpose(0, 1).contiguous()


class LSTMGenerator(ReadoutGenerator):
    """An LSTM. A linear layer turns the noise into the initial state of every layer."""

    def __init__(self, shape: Shape, options: LSTMGeneratorOptions) -> None:
        super().__init__(shape)
        size = options.hidden_size
        self.initial = NoiseLinear(shape.noise, options.layers * 2 * size)
        self.embedding = TokenEmbedding(shape.vocabulary, options.embedding_size)
        between = options.dropout if options.layers > 1 else 0.0
        self.lstm = nn.LSTM(options.embedding_size, size, options.layers, dropout=between, batch_first=True)
        self.dropout = Dropout(options.dropout)
        self.tied = options.tie
        self.output = output_layer(size, options.embedding_size if options.tie else shape.vocabulary)

    def start(self, noise: Tensor) -> LSTMState:
        hidden, cell = self.initial(noise).unflatten(1, (self.lstm.num_layers, -1)).chunk(2, dim=-1)
        return hidden, cell

    def read_next(self, tokens: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        learns = torch.is_grad_enabled() or (self.dropout.training and self.dropout.p > 0)
        if learns:
            return super().read_next(tokens, state)
        states, state = cells(self.lstm, self.embedding(tokens), state)
        return self.projected(states), state

    def read(self, tokens: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        states, state = recur(self.lstm, self.dropout(self.embedding(tokens)), state)
        return self.projected(self.dropout(states)), state

    def projected(self, states: Tensor) -> Tensor:
        """Map states (..., H) to the size of the embeddings if these are the weight of the readout."""
        return self.output(states) if self.tied else states

    def readout(self) -> tuple[Tensor, Tensor]:
        return (self.embedding.weight, self.prior) if self.tied else super().readout()

    def logits(self, states: Tensor) -> Tensor:
        return states @ self.embedding.weight.T + self.prior if self.tied else super().logits(states)


class LSTMPerLabelGenerator(PerLabelGenerator):
    """An LSTM for each label, each with its own weights."""

    def __init__(self, shape: Shape, options: LSTMGeneratorOptions) -> None:
        super().__init__(shape, lambda inner: LSTMGenerator(inner, options))


class LSTMDiscriminator(Discriminator):
    """The features are the maximum over time of the states; per position, each state gives its own logit.

    The two directions are separate stacks. The backward stack reads each sequence from its own end. A gather reverses
    the sequence, so that the stack reads no padding first and the lengths stay on the device.
    """

    rowwise = True

    def __init__(self, shape: Shape, options: LSTMDiscriminatorOptions) -> None:
        super().__init__(shape)
        size, inputs, layers = options.hidden_size, options.embedding_size, options.layers
        both = options.direction == "bidirectional"
        self.per_position = options.per_position
        self.embedding = NoisyEmbedding(shape.vocabulary, inputs, options.blur, shape.labels)
        self.onward = nn.LSTM(inputs, size, layers, batch_first=True)
        self.homeward = nn.LSTM(inputs, size, layers, batch_first=True) if both else None
        self.dropout = Dropout(options.dropout)
        self.output = nn.Linear(2 * size if both else size, 1)

    def states(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Return states (B, T, H), or (B, T, 2H) if bidirectional."""
        embedded, twice = self.embedding(sequence), sequence.requires_grad
        zeros = embedded.new_zeros(len(embedded), self.onward.num_layers, self.onward.hidden_size)
        states, _ = recur(self.onward, embedded, (zeros, zeros), twice)
        if self.homeward is None:
            return states
        reversed_states, _ = recur(self.homeward, reverse(embedded, mask), (zeros, zeros), twice)
        return torch.cat([states, reverse(reversed_states, mask)], dim=-1)

    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return max_over_time(self.states(sequence, mask), mask)

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        states = self.states(sequence, mask) if self.per_position else self.features(sequence, mask)
        return self.output(self.dropout(states)).squeeze(-1)


def reverse(states: Tensor, mask: Tensor) -> Tensor:
    """Reverse the order of the unmasked positions of states (B, T, H). Padding stays where it is."""
    position = torch.arange(mask.shape[1], device=mask.device)
    mirrored = mask.sum(dim=1, keepdim=True) - 1 - position
    index = torch.where(mask, mirrored, position)
    return states.gather(1, index.unsqueeze(-1).expand_as(states))


class LSTMLikelihoodRatio(LikelihoodRatio):
    """The ratio of an LSTM language model to the generator."""

    language_model = LSTMGenerator
