"""Filters of streams of sentences: what a user asks for is kept, the rest is dropped and counted."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import compress

from ganlm_core.bundle.stream import Drawn
from ganlm_core.errors import GanlmError


@dataclass
class Filter:
    """Keeps the sentences for which ``keeps`` is true, and counts those that it ``read`` and ``kept``.

    ``name`` is its flag.
    """

    name: str
    keeps: Callable[[list[str]], Sequence[bool]]
    read: int = 0
    kept: int = 0

    def __call__(self, batch: Drawn) -> Drawn:
        kept = self.keeps(batch.texts) if batch.texts else []
        left = replace(batch, texts=[*compress(batch.texts, kept)], after=[*compress(batch.after, kept)])
        self.read += len(batch.texts)
        self.kept += len(left.texts)
        return left

    def __str__(self) -> str:
        return f"{self.name} kept {self.kept:,} of {self.read:,}"


def filtered(batches: Iterable[Drawn], filters: Sequence[Filter], tries: int) -> Iterator[Drawn]:
    """Yield the batches with the sentences that every filter keeps; each filter reads what the one before it kept.

    Raises GanlmError after ``tries`` sentences in a row of which none is kept.
    """
    barren = 0
    for batch in batches:
        for each in filters:
            batch = each(batch)
        barren = 0 if batch.texts else barren + batch.end - batch.start
        if barren >= tries:
            raise GanlmError(
                f"none of the last {barren:,} sentences passed ({'; '.join(map(str, filters))}); "
                "ask for less, raise --temperature, or raise --tries"
            )
        yield batch
