"""Text GANs as a good PyTorch programmer writes them in an hour, to compare :mod:`ganlm_core.cli.bench.workloads` with.

The networks are the textbook's. Words are drawn by a search in cumulative probabilities, states are kept instead of
running prefixes again, losses come from logits in one kernel, and Adam is fused. For the transformer, that programmer
takes the library ``transformers``. Letters as in :mod:`ganlm_core.protocol`. All sentences have the same length.
"""

from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ganlm_core.cli.bench.textbook import LSTM, State, TextCNN
from ganlm_core.protocol import BOS, PAD, Generator


def adam(network: torch.nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters(), fused=torch.get_default_device().type != "meta")


def logits_of(generator: LSTM, words: Tensor, state: State | None = None) -> tuple[Tensor, State]:
    """Map ids (B, T) to logits (B, T, V) of the next ids, and the state after them."""
    states, state = generator.lstm(generator.embedding(words), state)
    return generator.output(states), state


def draw(logits: Tensor) -> Tensor:
    """Draw an id (...,) for each row of logits (..., V)."""
    cumulative = logits.softmax(dim=-1).cumsum(dim=-1)
    found = torch.searchsorted(cumulative, torch.rand(*logits.shape[:-1], 1))
    return found.squeeze(-1).clamp(max=logits.shape[-1] - 1)


@torch.no_grad()
def sample(generator: LSTM, rows: int, length: int) -> tuple[Tensor, list[State]]:
    """Draw ids (B, T); return them and the state after each input."""
    return complete(generator, torch.full((rows,), BOS), None, length)


def complete(generator: LSTM, last: Tensor, state: State | None, length: int) -> tuple[Tensor, list[State]]:
    """Draw ``length`` ids (B, length) after the last ids (B,); return them and the state after each input."""
    drawn, states = [], []
    for _ in range(length):
        logits, state = logits_of(generator, last.unsqueeze(1), state)
        last = draw(logits.squeeze(1))
        drawn.append(last)
        states.append(state)
    return torch.stack(drawn, dim=1), states


def likelihood_step(generator: LSTM, optimizer: torch.optim.Optimizer, words: Tensor) -> None:
    """Take a step of maximum likelihood on ids (B, T)."""
    logits, _ = logits_of(generator, F.pad(words[:, :-1], (1, 0), value=BOS))
    optimizer.zero_grad()
    F.cross_entropy(logits.flatten(0, 1), words.flatten()).backward()
    optimizer.step()


def discriminator_step(
    generator: LSTM, discriminator: TextCNN, optimizer: torch.optim.Optimizer, words: Tensor
) -> None:
    """Take a discriminator step on real ids (B, T) and as many newly drawn ones, in one call."""
    generated, _ = sample(generator, *words.shape)
    real = discriminator(torch.cat([words, generated]))
    labels = (torch.arange(len(real)) < len(words)).to(real.dtype)
    optimizer.zero_grad()
    F.binary_cross_entropy(real, labels).backward()
    optimizer.step()


@torch.no_grad()
def rollout_values(generator: LSTM, discriminator: TextCNN, words: Tensor, states: list[State], samples: int) -> Tensor:
    """Return the mean reward (B, T) of ``samples`` completions of each prefix of ids (B, T), from the states kept."""
    rows, length = words.shape
    values = torch.empty(rows, length)
    values[:, -1] = discriminator(words)
    for kept in range(1, length):
        hidden, cell = (part.repeat(1, samples, 1) for part in states[kept - 1])
        repeated = words[:, :kept].repeat(samples, 1)
        drawn, _ = complete(generator, repeated[:, -1], (hidden, cell), length - kept)
        values[:, kept - 1] = discriminator(torch.cat([repeated, drawn], dim=1)).view(samples, rows).mean(dim=0)
    return values


def policy_gradient_step(
    generator: LSTM, discriminator: TextCNN, optimizer: torch.optim.Optimizer, rows: int, length: int, samples: int
) -> None:
    """Take a generator step of SeqGAN (Yu et al. 2017, Alg. 1, lines 5 to 9)."""
    words, states = sample(generator, rows, length)
    values = rollout_values(generator, discriminator, words, states, samples)
    logits, _ = logits_of(generator, F.pad(words[:, :-1], (1, 0), value=BOS))
    costs = F.cross_entropy(logits.flatten(0, 1), words.flatten(), reduction="none")
    optimizer.zero_grad()
    ((costs * values.flatten()).sum() / rows).backward()
    optimizer.step()


@torch.no_grad()
def sample_at_once(generator: Generator, noise: Tensor) -> Tensor:
    """Draw ids (B, T) from logits for all positions at once."""
    return draw(generator(noise))


def has_transformers() -> bool:
    return find_spec("transformers") is not None


def gpt2(vocabulary: int, length: int, size: int, heads: int, layers: int) -> Any:
    """Build GPT-2 of the library ``transformers`` (Radford et al. 2019; Wolf et al. 2020)."""
    from transformers import GPT2Config, GPT2LMHeadModel, logging

    logging.set_verbosity_error()
    config = GPT2Config(
        vocab_size=vocabulary,
        n_positions=length,
        n_embd=size,
        n_head=heads,
        n_layer=layers,
        bos_token_id=BOS,
        eos_token_id=None,
        pad_token_id=PAD,
    )
    return GPT2LMHeadModel(config).eval()


@torch.no_grad()
def sample_from_gpt2(model: Any, rows: int, length: int) -> Tensor:
    """Draw ids (B, T) with the library's ``generate``, which keeps keys and values."""
    start = torch.full((rows, 1), BOS)
    words = model.generate(start, attention_mask=torch.ones_like(start), do_sample=True, top_k=0, max_new_tokens=length)
    return words[:, 1:]
