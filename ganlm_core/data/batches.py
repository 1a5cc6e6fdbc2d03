"""Batches of encoded sequences, in an order fixed by the seed."""

import hashlib
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ganlm_core.data.permutation import permute
from ganlm_core.protocol import PAD, Batch
from ganlm_core.system.devices import send

LARGEST = 2**20
"""The most sequences of which an epoch's permutation is drawn, and held in memory; of more, it is computed."""

PART = 2**16
"""Places of a computed permutation at a time."""


@dataclass
class Batches:
    """Batches of encoded sequences (N, T), padded ids of any integer type, in an order fixed by the seed.

    Batch k of the whole run is a pure function of the seed and k, so the position in the data is one number:
    every epoch is a permutation of its own, and a last part that is smaller than a batch is left for another epoch.
    ``drawn`` counts the batches so far, ``tokens_drawn`` their tokens without the padding. Of several processes, each
    takes the next batch in turn, by its ``rank``; all of them count all batches.
    """

    tokens: Tensor
    size: int
    seed: int
    noise_size: int
    device: torch.device
    rank: int = 0
    processes: int = 1
    drawn: int = 0
    tokens_drawn: int = 0
    _part: tuple[int, int] = field(default=(-1, 0), repr=False)
    _order: Tensor = field(default_factory=lambda: torch.empty(0), repr=False)

    def next(self, step: int, steps: int) -> Batch:
        """The next batch with fresh noise (B, Z) from the global random state, for the given step of the run."""
        everybody = [self.tokens[self._rows(self.drawn + rank)].long() for rank in range(self.processes)]
        masks = [tokens != PAD for tokens in everybody]
        self.drawn += self.processes
        self.tokens_drawn += sum(int(mask.sum()) for mask in masks)
        tokens, mask = everybody[self.rank], masks[self.rank]
        return Batch(
            tokens=send(tokens, self.device),
            mask=send(mask, self.device),
            noise=torch.randn(len(tokens), self.noise_size, device=self.device),
            step=step,
            progress=step / max(1, steps - 1),
        )

    def _rows(self, number: int) -> Tensor:
        """The rows of a batch of the whole run."""
        n = len(self.tokens)
        size = min(self.size, n)
        epoch, index = divmod(number, n // size)
        known = n if n <= LARGEST else max(1, PART // size) * size
        part, place = divmod(index * size, known)
        if (epoch, part) != self._part:
            self._part, self._order = (epoch, part), self._permutation(epoch, part * known, known)
        return self._order[place : place + size]

    def _permutation(self, epoch: int, start: int, count: int) -> Tensor:
        """``count`` places of an epoch's permutation, fewer at its end."""
        n, key = len(self.tokens), f"{self.seed}/{epoch}"
        if n > LARGEST:
            return torch.from_numpy(permute(np.arange(start, min(start + count, n)), n, key))
        # Hashed, because torch's generator on the CPU looks at no more than 32 bits of a seed.
        digest = hashlib.sha256(key.encode()).digest()
        return torch.randperm(n, generator=torch.Generator().manual_seed(int.from_bytes(digest[:4], "big")))
