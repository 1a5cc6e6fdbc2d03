import torch
from ganlm_conv.networks import ConvDiscriminator
from torch import Tensor, nn
from torch.nn import functional as F

from ganlm_core.layers import Dropout, NoiseLinear, NoisyEmbedding, ReadoutGenerator, TokenEmbedding, output_layer
from ganlm_core.protocol import Shape
from ganlm_relational.options import MultiEmbeddingOptions, RelationalMemoryOptions


class RelationalMemory(nn.Module):
    """One step of a relational memory core: from M slots (B, M, H) and an input (B, H) to the next slots.

    Santoro et al. 2018, sections 3.1 to 3.3. The slots attend to themselves and to the input, then an MLP follows; both
    are residual and normalised. Gates per unit, computed from the input and the old slots, mix old and new slots.
    Differs: the gates have biases, and queries, keys and values are not normalised, as they are in the authors' code.
    """

    def __init__(self, heads: int, head_size: int) -> None:
        super().__init__()
        size = heads * head_size
        self.heads = heads
        # No biases: a key bias does not change the softmax, and the MLP and the gates have biases.
        self.attention = nn.Linear(size, 3 * size, bias=False)
        self.attended_norm = nn.LayerNorm(size)
        self.mlp = nn.Sequential(nn.Linear(size, size), nn.ReLU(), nn.Linear(size, size))
        self.norm = nn.LayerNorm(size)
        self.input_gates = nn.Linear(size, 2 * size)
        self.slot_gates = nn.Linear(size, 2 * size, bias=False)
        nn.init.zeros_(self.input_gates.bias)
        nn.init.ones_(self.input_gates.bias[:size])

    def forward(self, slots: Tensor, inputs: Tensor) -> Tensor:
        rows = torch.cat([slots, inputs.unsqueeze(1)], dim=1)
        attended = self.attended_norm(slots + self.attend(rows)[:, :-1])
        found = self.norm(attended + self.mlp(attended))
        gates = self.input_gates(inputs).unsqueeze(1) + self.slot_gates(slots.tanh())
        keep, take = gates.sigmoid().chunk(2, dim=-1)
        return keep * slots + take * found.tanh()

    def attend(self, rows: Tensor) -> Tensor:
        """Apply multi-head self-attention without a mask to rows (B, N, H) (Vaswani et al. 2017, section 3.2.2)."""
        heads = self.attention(rows).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return F.scaled_dot_product_attention(*heads.chunk(3, dim=-1)).transpose(1, 2).flatten(2)


class RelationalMemoryGenerator(ReadoutGenerator):
    """A relational memory. Its state is the slots (B, M, H), which start as a linear layer of the noise.

    Differs: the paper has no noise and starts from the identity matrix, with a different row for each slot. Here the
    identity is the initial bias of the linear layer.
    """

    def __init__(self, shape: Shape, options: RelationalMemoryOptions) -> None:
        super().__init__(shape)
        size, slots = options.heads * options.head_size, options.slots
        self.initial = NoiseLinear(shape.noise, slots * size)
        self.initial.bias.data.view(slots, size).zero_().fill_diagonal_(1)
        self.slots = slots
        self.embedding = TokenEmbedding(shape.vocabulary, options.embedding_size)
        self.inputs = nn.Linear(options.embedding_size, size)
        self.memory = RelationalMemory(options.heads, options.head_size)
        self.dropout = Dropout(options.dropout)
        self.output = output_layer(slots * size, shape.vocabulary)

    def start(self, noise: Tensor) -> Tensor:
        return self.initial(noise).unflatten(1, (self.slots, -1))

    def read(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        outputs = []
        for inputs in self.inputs(self.dropout(self.embedding(tokens))).unbind(dim=1):
            state = self.memory(state, inputs)
            outputs.append(state.flatten(1))
        return self.dropout(torch.stack(outputs, dim=1)), state


class MultiEmbeddingDiscriminator(ConvDiscriminator):
    """One text CNN reads several embeddings of the sentence; the features are the mean over the embeddings.

    Differs: the last layer is linear, so the logit is the mean of the S logits of the single embeddings. The paper (Nie
    et al. 2019) averages S losses instead. By Jensen's inequality the loss of the mean logit is at most the mean of the
    losses, and equal where the embeddings agree. As in ``conv``, one layer computes the logit; the paper has a linear
    layer of 100 units before it.
    """

    def __init__(self, shape: Shape, options: MultiEmbeddingOptions) -> None:
        super().__init__(shape, options)
        self.embeddings = options.embeddings
        self.embedding = NoisyEmbedding(
            shape.vocabulary, options.embeddings * options.embedding_size, options.blur, shape.labels
        )

    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        each = self.embedding(sequence).unflatten(-1, (self.embeddings, -1)).movedim(2, 0)
        read = self.read(each.flatten(0, 1), mask.repeat(self.embeddings, 1))
        return read.unflatten(0, (self.embeddings, -1)).mean(dim=0)
