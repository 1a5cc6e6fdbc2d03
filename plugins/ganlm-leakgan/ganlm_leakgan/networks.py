import torch
from ganlm_conv.networks import ConvDiscriminator
from ganlm_conv.options import ConvDiscriminatorOptions
from ganlm_lstm.networks import LSTMState, recur
from torch import Tensor, nn
from torch.nn import functional as F

from ganlm_core.layers import NoiseLinear, StatefulGenerator, TokenEmbedding, output_layer
from ganlm_core.protocol import Shape
from ganlm_leakgan.options import LeakGeneratorOptions

Reading = tuple[Tensor, Tensor]
"""The last embedded words (B, R, E), and the maximum of each filter so far (B, F). At the start R is 0."""

LeakState = tuple[Reading, Tensor, LSTMState, LSTMState]
"""The reading, the last goals (B, c - 1, F), and the states of the manager and of the worker."""


class PrefixFeatures(nn.Module):
    """Features of the ``conv`` discriminator for every prefix of a sentence, including the empty prefix.

    It holds a copy of the discriminator's layers as buffers. A window that ends inside a prefix has the same output in
    every longer prefix, so the maximum over these windows is carried along. Windows that overlap the end of a prefix
    see zeros there, as if their filters lacked the last taps.
    """

    def __init__(self, shape: Shape, options: ConvDiscriminatorOptions) -> None:
        super().__init__()
        original = ConvDiscriminator(shape, options)
        self.embedding, self.convolutions, self.highway = original.embedding, original.convolutions, original.highway
        self.widths = original.widths
        self.size = original.output.in_features
        _freeze(self)

    def copy_from(self, discriminator: ConvDiscriminator) -> None:
        """Copy the discriminator's weights: this is the leak."""
        weights = discriminator.state_dict()
        self.load_state_dict({name: weights[name] for name in self.state_dict()})

    def start(self, rows: int) -> Reading:
        weight = self.embedding.weight
        return weight.new_zeros(rows, 0, weight.shape[1]), weight.new_full((rows, self.size), -torch.inf)

    def forward(self, tokens: Tensor, state: Reading) -> tuple[Tensor, Reading]:
        """Return features (B, T, F) of the prefix up to each token of ids (B, T) or relaxed one-hots (B, T, V).

        The first token of all is ``<bos>``, no word of the sentence: it gives the features of the empty prefix.
        """
        recent, strongest = state
        reach = max(self.widths)
        outside = torch.zeros(tokens.shape[1], 1, dtype=torch.bool, device=tokens.device)
        outside[:1] = recent.shape[1] == 0
        inputs = F.pad(recent, (0, 0, reach - recent.shape[1], 0))
        inputs = torch.cat([inputs, self.embedding(tokens).masked_fill(outside, 0)], dim=1)
        inside, hanging = self._answers(inputs[:, 1:].unfold(1, reach, 1))
        inside = inside.masked_fill(outside, -torch.inf).cummax(dim=1).values
        inside = torch.maximum(inside, strongest.unsqueeze(1).type_as(inside))
        found = torch.maximum(inside, hanging).masked_fill(outside, 0)
        return self.highway(F.leaky_relu(found, 0.2)), (inputs[:, -reach:], inside[:, -1])

    def _answers(self, ends: Tensor) -> tuple[Tensor, Tensor]:
        """Return two outputs (B, T, F) of the filters on the last words of each prefix (B, T, E, R).

        The first is for the window that ends with the prefix, the second is the maximum over windows beyond its end.
        """
        inside, hanging = [], []
        for convolution in self.convolutions:
            assert isinstance(convolution, nn.Conv1d) and convolution.bias is not None
            weight, width = convolution.weight, convolution.kernel_size[0]
            cut = [F.pad(weight[..., :taps], (ends.shape[-1] - taps, 0)) for taps in range(width, 0, -1)]
            answers = F.linear(ends.flatten(-2), torch.cat(cut).flatten(1), convolution.bias.repeat(width))
            answers = answers.unflatten(-1, (width, -1))
            inside.append(answers[..., 0, :])
            hanging.append(answers.amax(dim=-2))
        return torch.cat(inside, dim=-1), torch.cat(hanging, dim=-1)


def _freeze(module: nn.Module) -> None:
    """Turn parameters into buffers of the same names: they are saved and not trained."""
    for each in module.modules():
        for name, parameter in list(each.named_parameters(recurse=False)):
            delattr(each, name)
            each.register_buffer(name, parameter.detach())


class Manager(nn.Module):
    """An LSTM over the features of the prefixes. Its output is a goal: a direction in feature space."""

    def __init__(self, shape: Shape, features: int, size: int) -> None:
        super().__init__()
        self.initial = NoiseLinear(shape.noise, 2 * size)
        self.lstm = nn.LSTM(features, size, batch_first=True)
        self.goal = nn.Linear(size, features)

    def start(self, noise: Tensor) -> LSTMState:
        return split(self.initial(noise))

    def forward(self, features: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        """Return goals (B, T, F) of unit length from features (B, T, F), and the new state."""
        states, state = recur(self.lstm, features, state)
        return F.normalize(self.goal(states), dim=-1), state


class Worker(nn.Module):
    """An LSTM over the words. Its output is a matrix O (V, K); the product of O and the goal embedding is the logits.

    O is linear in the state h, so the product is a linear layer on the outer product of h and the goal embedding. O
    itself is never formed.
    """

    def __init__(self, shape: Shape, features: int, options: LeakGeneratorOptions) -> None:
        super().__init__()
        size = options.hidden_size
        self.initial = NoiseLinear(shape.noise, 2 * size)
        self.embedding = TokenEmbedding(shape.vocabulary, options.embedding_size)
        self.lstm = nn.LSTM(options.embedding_size, size, batch_first=True)
        self.goal_embedding = nn.Linear(features, options.goal_size, bias=False)
        self.output = output_layer(size * options.goal_size, shape.vocabulary)

    def start(self, noise: Tensor) -> LSTMState:
        return split(self.initial(noise))

    def forward(self, tokens: Tensor, goals: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        """Return logits (B, T, V) and the state, from ids (B, T) or one-hots (B, T, V) and sums of goals (B, T, F)."""
        states, state = recur(self.lstm, self.embedding(tokens), state)
        products = states.unsqueeze(-1) * self.goal_embedding(goals).unsqueeze(-2)
        return self.output(products.flatten(-2)), state


def split(states: Tensor) -> LSTMState:
    """Split states (B, 2H) into the hidden and the cell state of one layer, each (B, 1, H)."""
    hidden, cell = states.unsqueeze(1).chunk(2, dim=-1)
    return hidden, cell


class LeakGenerator(StatefulGenerator):
    """The manager sets a goal before every word, and the worker writes the word from the last c goals.

    Guo et al. 2018, 'A Hierarchical Structure of G'. Differs: linear layers of the noise give both LSTMs their initial
    states, where the paper has no noise; the goal that is set before a word counts for this word, where the paper's sum
    ends with the previous goal, so that the first word has a goal too; each word has a bias; and the logits have no
    temperature, because sampling has one.
    """

    def __init__(self, shape: Shape, options: LeakGeneratorOptions) -> None:
        super().__init__(shape)
        self.horizon = options.horizon
        self.extractor = PrefixFeatures(shape, options.extractor())
        self.manager = Manager(shape, self.extractor.size, options.hidden_size)
        self.worker = Worker(shape, self.extractor.size, options)

    def start(self, noise: Tensor) -> LeakState:
        goals = noise.new_zeros(noise.shape[0], self.horizon - 1, self.extractor.size)
        return self.extractor.start(noise.shape[0]), goals, self.manager.start(noise), self.worker.start(noise)

    def advance(self, tokens: Tensor, state: LeakState) -> tuple[Tensor, LeakState]:
        reading, before, manager, worker = state
        features, reading = self.extractor(tokens, reading)
        goals, manager = self.manager(features, manager)
        goals = torch.cat([before, goals], dim=1)
        logits, worker = self.worker(tokens, goals.unfold(1, self.horizon, 1).sum(dim=-1), worker)
        return logits + self.prior, (reading, goals[:, tokens.shape[1] :], manager, worker)
