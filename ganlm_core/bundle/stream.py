"""Endless streams of sentences: all of a model, the selection of its discriminator, or each sentence once.

A batch depends only on the seed and its number, so a stream can start at any batch. It keeps nothing in memory but a
:class:`Seen` filter of fixed size. With :func:`ganlm_core.system.processes.divided` for ``divide``, each of several
processes draws some of the batches, and every process receives all of them.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
import torch
from torch import Tensor

from ganlm_core.bundle.model import BATCH, Model
from ganlm_core.bundle.select import Selected, Selection, Tally
from ganlm_core.data.text import identity
from ganlm_core.errors import GanlmError
from ganlm_core.sampling import PLAIN, Policy
from ganlm_core.system.processes import Divide
from ganlm_core.system.seeds import derived_seed

ERROR = 1e-6
"""Default probability that the filter takes a new sentence for a seen sentence."""
BARREN = 64
"""Batches in a row without a new sentence, after which the generator is assumed to have no more."""


@dataclass(frozen=True)
class Drawn:
    """The remaining sentences of a batch, and how many sentences the seed draws before its start and its end.

    ``after``: how many it has drawn after each sentence, where that is known.
    """

    texts: list[str]
    start: int
    end: int
    after: Sequence[int] = ()


def draw(
    model: Model,
    seed: int,
    policy: Policy = PLAIN,
    prompt: str = "",
    offset: int = 0,
    divide: Divide = map,
    label: str = "",
) -> Iterator[Drawn]:
    """Yield the sentences of :meth:`Model.sample` without end, from number ``offset`` on."""
    first, skip = divmod(offset, BATCH)

    def drawn(index: int) -> Drawn:
        start, end = index * BATCH, (index + 1) * BATCH
        skipped = skip if index == first else 0
        tokens = model.batch(index, seed=seed, policy=policy, prompt=prompt, label=label)[skipped:]
        return Drawn(model.tokenizer.decode(tokens), start, end, range(start + skipped + 1, end + 1))

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
    label: str = "",
) -> Iterator[Drawn]:
    """Yield without end the sentences that the discriminator selects in each group of ``candidates``.

    ``tally`` counts them. The first ``offset`` candidates are skipped, up to the end of their batch. Raises UsageError
    for a model without calibration; the calibration must be for the same policy.
    """
    calibration, size = model.require_calibration(), candidates * max(1, BATCH // candidates)

    def chosen(index: int) -> tuple[Drawn, Tensor, Selected]:
        tokens = model.batch(index, seed=seed, policy=policy, size=size, prompt=prompt, label=label)
        logits = model.logits(tokens, labels=model.batch_labels(index, seed=seed, size=size, label=label))
        log_ratios = calibration.log_ratio(logits).cpu().view(-1, candidates)
        rng = torch.Generator().manual_seed(derived_seed(seed, index, "select"))
        selected = selection(log_ratios, calibration.bound, rng)
        texts = model.tokenizer.decode(tokens[selected.taken.flatten().to(tokens.device)])
        return Drawn(texts, index * size, (index + 1) * size), log_ratios, selected

    for drawn, log_ratios, selected in divide(chosen, count(math.ceil(offset / size))):
        tally.add(log_ratios, selected)
        yield drawn


class Seen:
    """A filter of fixed size for the texts that were seen (Bloom 1970): 3.6 bytes for each of ``capacity`` texts.

    A text that was seen is always recognised. A new text is taken for a seen one with probability ``error`` at most, as
    long as there are no more texts than the capacity.
    """

    def __init__(self, capacity: int, error: float = ERROR) -> None:
        self.hashes = math.ceil(-math.log2(error))
        self.size = math.ceil(max(capacity, 1) * self.hashes / math.log(2))
        self._bits = np.zeros(self.size // 8 + 1, dtype=np.uint8)

    def add(self, texts: Iterable[str]) -> list[str]:
        """Return the new texts of ``texts``, without copies (:func:`identity`), and remember them all."""
        different: dict[str, str] = {}
        for text in texts:
            different.setdefault(identity(text), text)
        places = self._places(list(different))
        known = (self._bits[places >> 3] >> (places & 7).astype(np.uint8) & 1).all(axis=1)
        np.bitwise_or.at(self._bits, places >> 3, np.left_shift(1, places & 7).astype(np.uint8))
        return [text for text, seen in zip(different.values(), known.tolist(), strict=True) if not seen]

    def _places(self, texts: list[str]) -> np.ndarray:
        """Return the bits (N, hashes) of identities, by double hashing (Kirsch & Mitzenmacher 2006)."""
        digests = b"".join(hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts)
        pairs = np.frombuffer(digests, dtype="<u8").reshape(-1, 2, 1)
        places = (pairs[:, 0] + np.arange(self.hashes, dtype=np.uint64) * (pairs[:, 1] | 1)) % self.size
        return places.astype(np.int64)


def unique(batches: Iterable[Drawn], seen: Seen) -> Iterator[Drawn]:
    """Yield the batches without the sentences that were seen.

    Raises GanlmError after BARREN batches in a row that have sentences and no new one.
    """
    barren = 0
    for batch in batches:
        texts = seen.add(batch.texts)
        barren = 0 if texts else barren + bool(batch.texts)
        if barren == BARREN:
            raise GanlmError(
                f"the last {BARREN} batches had no new sentence: the generator seems to have no more; "
                "ask for fewer with -n, or raise --temperature"
            )
        yield replace(batch, texts=texts, after=())


def take(batches: Iterable[Drawn], n: int) -> Iterator[Drawn]:
    """Yield the first ``n`` sentences. A cut batch ends after the last of them, so that the rest is drawn later.

    Where that place is not known, it ends at its start, so that it is drawn again later.
    """
    for batch in batches if n > 0 else ():
        end = batch.end
        if len(batch.texts) > n:
            end = batch.after[n - 1] if batch.after else batch.start
        yield Drawn(batch.texts[:n], batch.start, end, batch.after[:n])
        n -= len(batch.texts)
        if n <= 0:
            return
