"""Batches of encoded sequences, in an order fixed by the seed."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ganlm_core.data.conditions import RowConditions
from ganlm_core.data.permutation import permute
from ganlm_core.protocol import PAD, Batch, with_labels
from ganlm_core.system.devices import send
from ganlm_core.system.seeds import derived_seed

LARGEST = 2**20
"""The permutation of an epoch is held in memory up to this many sequences; for more, it is computed in parts."""

PART = 2**16
"""Places of a permutation that are computed at once."""


@dataclass
class Batches:
    """Batches of encoded sequences (N, T), padded ids of any integer type, in an order fixed by the seed.

    Batch k of the run is a pure function of the seed and k, so the position in the data is one number. Every epoch has
    its own permutation and drops the last incomplete batch. ``drawn`` counts the batches so far, ``tokens_drawn`` their
    tokens without padding. In a distributed run, the ranks take batches in turn; every rank counts all batches.
    ``asked`` are the conditions of the sequences, and ``labels`` is the number of categories. A batch has the label of
    each row in its noise too, so real and generated sequences share their conditions row by row.
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
    asked: RowConditions = field(default_factory=RowConditions)
    labels: int = 0
    _part: tuple[int, int] = field(default=(-1, 0), repr=False)
    _order: Tensor = field(default_factory=lambda: torch.empty(0), repr=False)

    @property
    def position(self) -> tuple[int, int]:
        """The position in the data, which is all that the next batches depend on: ``drawn`` and ``tokens_drawn``."""
        return self.drawn, self.tokens_drawn

    @position.setter
    def position(self, position: tuple[int, int]) -> None:
        self.drawn, self.tokens_drawn = position

    def next(self, step: int, steps: int) -> Batch:
        """Return the next batch for a step of a run, with fresh noise (B, Z) from the global random state.

        ``steps``: the number of planned steps, over which the progress grows from 0 to 1.
        """
        rows = [self._rows(self.drawn + rank) for rank in range(self.processes)]
        every_rank = [self.tokens[each].long() for each in rows]
        masks = [tokens != PAD for tokens in every_rank]
        self.drawn += self.processes
        self.tokens_drawn += sum(int(mask.sum()) for mask in masks)
        tokens, mask, asked = every_rank[self.rank], masks[self.rank], self.asked.at(rows[self.rank])
        labels, given = (None if each is None else send(each, self.device) for each in (asked.labels, asked.given))
        noise = torch.randn(len(tokens), self.noise_size, device=self.device)
        return Batch(
            tokens=send(tokens, self.device),
            mask=send(mask, self.device),
            noise=with_labels(noise, labels, self.labels),
            step=step,
            progress=min(1.0, step / max(1, steps - 1)),
            labels=labels,
            given=given,
            columns=asked.columns,
        )

    def _rows(self, number: int) -> Tensor:
        """Return the row numbers of a batch, by its number in the run."""
        n = len(self.tokens)
        size = min(self.size, n)
        epoch, index = divmod(number, n // size)
        known = n if n <= LARGEST else max(1, PART // size) * size
        part, place = divmod(index * size, known)
        if (epoch, part) != self._part:
            self._part, self._order = (epoch, part), self._permutation(epoch, part * known, known)
        return self._order[place : place + size]

    def _permutation(self, epoch: int, start: int, count: int) -> Tensor:
        """Return ``count`` places of the permutation of an epoch, fewer at its end."""
        n, key = len(self.tokens), f"{self.seed}/{epoch}"
        if n > LARGEST:
            return torch.from_numpy(permute(np.arange(start, min(start + count, n)), n, key))
        return torch.randperm(n, generator=torch.Generator().manual_seed(derived_seed(key, bits=32)))
