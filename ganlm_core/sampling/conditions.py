"""Conditions of a run, its labels and prompts, in what networks read already: no architecture needs code for them.

A label is one-hot beside the noise of the generator (:func:`ganlm_core.protocol.with_labels`), and a token before the
sequence of the discriminator, as in Mirza & Osindero 2014, section 3.2. A prompt is the beginning of the sequence: the
generator gives its tokens the probability 1, so they are drawn without chance, and their log-probability and its
gradient are zero. The two networks of this file do that for the batch of the current phase.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganlm_core.protocol import (
    NEVER,
    PAD,
    AutoregressiveGenerator,
    Discriminator,
    Generator,
    Shape,
    State,
    current_batch,
    first_tokens,
)


def labelled(sequence: Tensor, mask: Tensor, labels: Tensor, shape: Shape) -> tuple[Tensor, Tensor]:
    """Return ids (N, T) or one-hots (N, T, V) and their mask with the token of a label in front, the word V + label.

    Row i has the label of row i % B of ``labels`` (B,). ``shape`` has the V and the number of labels.
    """
    words = (shape.vocabulary + labels).repeat(_times(len(sequence), len(labels))).unsqueeze(1)
    if sequence.is_floating_point():
        words = F.one_hot(words, shape.vocabulary + shape.labels).to(sequence.dtype)
        sequence = F.pad(sequence, (0, shape.labels))
    return torch.cat([words, sequence], dim=1), F.pad(mask, (1, 0), value=True)


def read_labelled(
    network: Discriminator, sequence: Tensor, mask: Tensor, labels: Tensor | None, shape: Shape
) -> Tensor:
    """Return the logits of a discriminator that reads the label of each row first: (B,), or (B, T) without the label's.

    Without ``labels`` it reads the sequences alone.
    """
    if labels is None:
        return network(sequence, mask)
    logits: Tensor = network(*labelled(sequence, mask, labels, shape))
    return logits if logits.dim() == 1 else logits[:, 1:]


def _times(rows: int, batch: int) -> int:
    if rows % batch:
        raise ValueError(f"got {rows} sequences for a batch of {batch} conditions; give a multiple of {batch}")
    return rows // batch


class ConditionalDiscriminator(Discriminator):
    """A discriminator that reads the label of each row before the sequence, and gives no verdict on a prompt.

    ``network`` is built for ``shape.of("discriminator")``. Logits per position have no label's logit, and are zero,
    without a gradient, where the sequence is given.
    """

    def __init__(self, network: Discriminator, shape: Shape) -> None:
        super().__init__(shape)
        self.network = network
        self.per_position = network.per_position
        self.summed = network.summed
        self.twice_differentiable = network.twice_differentiable  # type: ignore[misc]
        self.rowwise = network.rowwise  # type: ignore[misc]

    def per_sequence(self, logits: Tensor, mask: Tensor) -> Tensor:
        return self.network.per_sequence(logits, mask)

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        batch = current_batch("the discriminator")
        logits, given = read_labelled(self.network, sequence, mask, batch.labels, self.shape), batch.given
        if logits.dim() == 1 or given is None:
            return logits
        return logits.masked_fill(first_tokens(given, mask.shape[1]).repeat(len(mask) // len(given), 1), 0.0)

    def compare_with(self, generator: Generator) -> None:
        self.network.compare_with(generator)

    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        labels = current_batch("the discriminator").labels
        if labels is None:
            return self.network.features(sequence, mask)
        return self.network.features(*labelled(sequence, mask, labels, self.shape))


class PromptedGenerator(AutoregressiveGenerator):
    """A generator whose sequences begin with the given tokens of their rows, with probability 1.

    Sampling, relaxation, rollouts and likelihoods need no code for prompts: they are of this distribution.
    """

    def __init__(self, network: AutoregressiveGenerator) -> None:
        nn.Module.__init__(self)  # without a prior of its own
        self.shape = network.shape
        self.network = network

    @property
    def prior(self) -> Tensor:  # type: ignore[override]
        return self.network.prior

    def start(self, noise: Tensor) -> State:
        return self.network.start(noise), self._prompt(len(noise)), 0

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        inner, prompt, position = state
        logits, inner = self.network.step(tokens, inner)
        return force(logits, prompt[:, position]), (inner, prompt, position + 1)

    def forward(self, noise: Tensor, tokens: Tensor | None = None) -> Tensor:
        logits: Tensor = self.network(noise, tokens)
        return force(logits, self._prompt(len(noise))[:, : logits.shape[1]])

    def _prompt(self, rows: int) -> Tensor:
        """Return the given ids of each row, followed by padding: (rows, T)."""
        batch = current_batch("the generator")
        if batch.given is None:
            raise ValueError("the batch of a run with prompts says how many tokens are given")
        kept = first_tokens(batch.given, batch.tokens.shape[1])
        return batch.tokens.masked_fill(~kept, PAD).repeat(_times(rows, len(batch.given)), 1)


def force(logits: Tensor, ids: Tensor) -> Tensor:
    """Return logits (..., V) that leave only the word of ids (...,), or are unchanged where the id is padding."""
    forced = torch.full_like(logits, NEVER).scatter(-1, ids.unsqueeze(-1), 0.0)
    return torch.where((ids != PAD).unsqueeze(-1), forced, logits)


def unconditional(network: nn.Module) -> nn.Module:
    """Return the network itself: what a :class:`ConditionalDiscriminator` or a :class:`PromptedGenerator` wraps."""
    return network.network if isinstance(network, ConditionalDiscriminator | PromptedGenerator) else network
