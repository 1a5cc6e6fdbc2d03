"""Text GANs as tutorials and public toolkits write them, for comparison with :mod:`ganlm_core.cli.bench.workloads`.

They are plain on purpose but not slower than necessary: only what the usual formulation of a method computes twice is
computed twice. Letters as in :mod:`ganlm_core.protocol`. All sentences have the same length.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganlm_core.protocol import BOS, AutoregressiveGenerator, Discriminator, Generator

State = tuple[Tensor, Tensor]
"""The hidden and the cell state of an LSTM."""


class LSTM(nn.Module):
    """SeqGAN's generator (Yu et al. 2017, section 3.3)."""

    def __init__(self, vocabulary: int, embedding_size: int, hidden_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding_size)
        self.lstm = nn.LSTM(embedding_size, hidden_size, batch_first=True)
        self.output = nn.Linear(hidden_size, vocabulary)

    def forward(
        self, words: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Map ids (B, T) to log-probabilities (B, T, V) of the next ids, and the state after them."""
        states, state = self.lstm(self.embedding(words), state)
        return self.output(states).log_softmax(dim=-1), state


@torch.no_grad()
def sample(generator: LSTM, rows: int, length: int, prefix: Tensor | None = None) -> Tensor:
    """Draw ids (B, T) one by one. They start with ``prefix`` (B, P), which is run again."""
    words, drawn, state = torch.full((rows, 1), BOS), [], None
    for position in range(length):
        log_probs, state = generator(words, state)
        if prefix is not None and position < prefix.shape[1]:
            words = prefix[:, position : position + 1]
        else:
            words = torch.multinomial(log_probs.squeeze(1).exp(), 1)
        drawn.append(words)
    return torch.cat(drawn, dim=1)


class TextCNN(nn.Module):
    """SeqGAN's discriminator (Yu et al. 2017, section 3.4, after Kim 2014), with its highway layer."""

    def __init__(self, vocabulary: int, embedding_size: int, widths: list[int], filters: int) -> None:
        super().__init__()
        size = filters * len(widths)
        self.embedding = nn.Embedding(vocabulary, embedding_size)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(embedding_size, filters, width, padding=width - 1) for width in widths
        )
        self.transform, self.gate = nn.Linear(size, size), nn.Linear(size, size)
        self.output = nn.Linear(size, 1)

    def forward(self, words: Tensor) -> Tensor:
        """Map ids (B, T) to the probability of being real (B,)."""
        embedded = self.embedding(words).transpose(1, 2)
        features = torch.cat([F.relu(each(embedded)).amax(dim=-1) for each in self.convolutions], dim=1)
        gate = self.gate(features).sigmoid()
        features = gate * F.relu(self.transform(features)) + (1 - gate) * features
        return self.output(features).squeeze(-1).sigmoid()


@torch.no_grad()
def rollout_values(generator: LSTM, discriminator: TextCNN, words: Tensor, samples: int) -> Tensor:
    """Return the mean reward (B, T) of ``samples`` completions of each prefix of ids (B, T) (Yu et al. 2017, eq. 4)."""
    rows, length = words.shape
    values = torch.zeros(rows, length)
    for _ in range(samples):
        for kept in range(1, length):
            completed = sample(generator, rows, length, words[:, :kept])
            values[:, kept - 1] += discriminator(completed) / samples
    values[:, -1] = discriminator(words)
    return values


def policy_gradient_step(
    generator: LSTM, discriminator: TextCNN, optimizer: torch.optim.Optimizer, rows: int, length: int, samples: int
) -> None:
    """Take one generator step (Yu et al. 2017, Alg. 1, lines 5 to 9)."""
    words = sample(generator, rows, length)
    values = rollout_values(generator, discriminator, words, samples)
    log_probs, _ = generator(F.pad(words[:, :-1], (1, 0), value=BOS))
    chosen = (log_probs * F.one_hot(words, log_probs.shape[-1])).sum(dim=-1)
    optimizer.zero_grad()
    (-(chosen * values).sum(dim=1).mean()).backward()
    optimizer.step()


def likelihood_step(generator: LSTM, optimizer: torch.optim.Optimizer, words: Tensor) -> None:
    """Take a step of maximum likelihood on ids (B, T)."""
    log_probs, _ = generator(F.pad(words[:, :-1], (1, 0), value=BOS))
    optimizer.zero_grad()
    F.nll_loss(log_probs.flatten(0, 1), words.flatten()).backward()
    optimizer.step()


def discriminator_step(
    generator: LSTM, discriminator: TextCNN, optimizer: torch.optim.Optimizer, words: Tensor
) -> None:
    """Take a discriminator step on real ids (B, T) and as many newly drawn ones."""
    real, generated = discriminator(words), discriminator(sample(generator, *words.shape))
    optimizer.zero_grad()
    loss = F.binary_cross_entropy(real, torch.ones_like(real))
    (loss + F.binary_cross_entropy(generated, torch.zeros_like(generated))).backward()
    optimizer.step()


def gumbel_sample(generator: AutoregressiveGenerator, noise: Tensor, temperature: float) -> Tensor:
    """Draw relaxed one-hots (B, T, V); the drawn words are fed back, as in RelGAN (Nie et al. 2019, section 2.3)."""
    words, state, relaxed = torch.full((len(noise),), BOS), generator.start(noise), []
    for _ in range(generator.shape.length):
        logits, state = generator.step(words, state)
        scores = logits - (-(torch.rand(logits.shape) + 1e-10).log() + 1e-10).log()
        relaxed.append((scores / temperature).softmax(dim=-1))
        words = scores.argmax(dim=-1)
    return torch.stack(relaxed, dim=1)


def relativistic_iteration(
    generator: AutoregressiveGenerator,
    discriminator: Discriminator,
    optimizers: dict[str, torch.optim.Optimizer],
    words: Tensor,
    noise: Tensor,
) -> None:
    """Take RelGAN's generator step, then its discriminator step; the discriminator reads one-hots (B, T, V)."""
    mask = torch.ones_like(words, dtype=torch.bool)
    for name, sign in (("generator", 1), ("discriminator", -1)):
        real = F.one_hot(words, generator.shape.vocabulary).float()
        difference = discriminator(real, mask) - discriminator(gumbel_sample(generator, noise, 1.0), mask)
        optimizers[name].zero_grad()
        F.softplus(sign * difference).mean().backward()
        optimizers[name].step()


class Transformer(nn.Module):
    """A language model of pre-norm blocks with learned positions."""

    def __init__(self, vocabulary: int, length: int, size: int, heads: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, size)
        self.positions = nn.Parameter(torch.randn(length, size))
        block = nn.TransformerEncoderLayer(size, heads, 4 * size, 0.0, F.gelu, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(block, layers, nn.LayerNorm(size), enable_nested_tensor=False)
        self.output = nn.Linear(size, vocabulary)

    def forward(self, words: Tensor) -> Tensor:
        """Map ids (B, T) to the probabilities (B, V) of the next id."""
        length = words.shape[1]
        states = self.embedding(words) + self.positions[:length]
        states = self.blocks(states, nn.Transformer.generate_square_subsequent_mask(length), is_causal=True)
        return self.output(states[:, -1]).softmax(dim=-1)


@torch.no_grad()
def sample_without_cache(model: Transformer, rows: int, length: int) -> Tensor:
    """Draw ids (B, T); all words so far are run again for each."""
    words = torch.full((rows, 1), BOS)
    for _ in range(length):
        words = torch.cat([words, torch.multinomial(model(words), 1)], dim=1)
    return words[:, 1:]


@torch.no_grad()
def sample_at_once(generator: Generator, noise: Tensor) -> Tensor:
    """Draw ids (B, T) from logits for all positions at once."""
    probabilities = generator(noise).softmax(dim=-1)
    return torch.multinomial(probabilities.flatten(0, 1), 1).view(probabilities.shape[:2])
