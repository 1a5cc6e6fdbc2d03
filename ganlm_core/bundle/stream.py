"""Endless sentences of a model: as they are drawn, those that its discriminator selects, each one once.

A batch depends on the seed and its number alone, so that a stream can go on from any of them, and nothing is remembered
but a :class:`Seen` filter of fixed size. With :func:`ganlm_core.system.processes.divided` for ``divide``, each of
several processes draws some of the batches, and all have all of them.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
import torch
from torch import Tensor

from ganlm_core.bundle.model import BATCH, Model, batch_seed
from ganlm_core.bundle.select import Selected, Selection, Tally
from ganlm_core.errors import GanlmError
from ganlm_core.sampling import PLAIN, Policy
from ganlm_core.system.processes import Divide

ERROR = 1e-6
BARREN = 64
"""Batches without a new sentence after which a generator is taken to have no more."""


@dataclass(frozen=True)
class Drawn:
    """The sentences of a batch that are left, and how many the seed has drawn up to its start and its end."""

    texts: list[str]
    start: int
    end: int


def draw(
    model: Model, seed: int, policy: Policy = PLAIN, prompt: str = "", offset: int = 0, divide: Divide = map
) -> Iterator[Drawn]:
    """The sentences of :meth:`Model.sample` without end, but for the first ``offset``."""
    first, skip = divmod(offset, BATCH)

    def drawn(index: int) -> Drawn:
        tokens = model.batch(index, seed, policy, BATCH, prompt)[skip if index == first else 0 :]
        return Drawn(model.tokenizer.decode(tokens), index * BATCH, (index + 1) * BATCH)

    yield from divide(drawn, count(first))


def select(
    model: Model,
    selection: Selection,
    candidates: int,
    tally: Tally,
    seed: int,
    policy: Policy = PLAIN,
    prompt: str = "",
    offset: int = 0,
    divide: Divide = map,
) -> Iterator[Drawn]:
    """Of each ``candidates`` sentences those that the discriminator selects, without end; ``tally`` counts.

    The first ``offset`` candidates are left out, and those of the batch in which they end. Raises UsageError for a
    model whose discriminator is not calibrated, which it must be for the same policy.
    """
    calibration, size = model.calibrated(), candidates * max(1, BATCH // candidates)

    def chosen(index: int) -> tuple[Drawn, Tensor, Selected]:
        tokens = model.batch(index, seed, policy, size, prompt)
        log_ratios = calibration.log_ratio(model.logits(tokens)).cpu().view(-1, candidates)
        rng = torch.Generator().manual_seed(batch_seed(seed, index, "select"))
        selected = selection(log_ratios, calibration.bound, rng)
        texts = model.tokenizer.decode(tokens[selected.taken.flatten().to(tokens.device)])
        return Drawn(texts, index * size, (index + 1) * size), log_ratios, selected

    for drawn, log_ratios, selected in divide(chosen, count(math.ceil(offset / size))):
        tally.add(log_ratios, selected)
        yield drawn


class Seen:
    """Texts that were seen, in a filter of fixed size (Bloom 1970): 3.6 bytes for each of ``capacity`` texts.

    A text that was seen is always known again. One that was not is taken for seen with probability ``error`` at most,
    as long as there are no more texts than the capacity.
    """

    def __init__(self, capacity: int, error: float = ERROR) -> None:
        self.hashes = math.ceil(-math.log2(error))
        self.size = math.ceil(max(capacity, 1) * self.hashes / math.log(2))
        self._bits = np.zeros(self.size // 8 + 1, dtype=np.uint8)

    def add(self, texts: Iterable[str]) -> list[str]:
        """Those of ``texts`` that were not seen, each once; all of them are seen from now on."""
        different = list(dict.fromkeys(texts))
        places = self._places(different)
        known = (self._bits[places >> 3] >> (places & 7).astype(np.uint8) & 1).all(axis=1)
        np.bitwise_or.at(self._bits, places >> 3, np.left_shift(1, places & 7).astype(np.uint8))
        return [text for text, seen in zip(different, known.tolist(), strict=True) if not seen]

    def _places(self, texts: list[str]) -> np.ndarray:
        """The bits (N, hashes) of texts, by double hashing (Kirsch & Mitzenmacher 2006)."""
        digests = b"".join(hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts)
        pairs = np.frombuffer(digests, dtype="<u8").reshape(-1, 2, 1)
        places = (pairs[:, 0] + np.arange(self.hashes, dtype=np.uint64) * (pairs[:, 1] | 1)) % self.size
        return places.astype(np.int64)


def unique(batches: Iterable[Drawn], seen: Seen) -> Iterator[Drawn]:
    """The sentences that were not seen. Raises GanlmError when batch after batch has none."""
    barren = 0
    for batch in batches:
        texts = seen.add(batch.texts)
        barren = 0 if texts else barren + 1
        if barren == BARREN:
            raise GanlmError(
                f"the last {BARREN} batches had no new sentence, so the generator seems to have no more; "
                "ask for fewer with -n, or raise --temperature"
            )
        yield replace(batch, texts=texts)


def take(batches: Iterable[Drawn], n: int) -> Iterator[Drawn]:
    """The first ``n`` sentences. Of a batch that is cut, the end is its start: whoever goes on draws it again."""
    for batch in batches if n > 0 else ():
        cut = len(batch.texts) > n
        yield Drawn(batch.texts[:n], batch.start, batch.start if cut else batch.end)
        n -= len(batch.texts)
        if n <= 0:
            return
