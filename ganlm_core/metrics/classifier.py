"""A classifier of texts by their labels, for label accuracy on text without an exact process."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ganlm_core.data.corpus import Corpus, spread
from ganlm_core.metrics.hashed_ngrams import bag, summed
from ganlm_core.metrics.ngrams import Split

MOST = 20_000
"""Training sentences of the classifier. Larger training splits are subsampled evenly to this size."""

BUCKETS = 2**16
EPOCHS, BATCH, RATE = 4, 64, 0.02
START, END = "\x02", "\x03"


class Classifier:
    """A linear classifier of bags of hashed n-grams, as fastText (Joulin et al. 2017, section 2) without its layer.

    N-grams have 1 and 2 words, or 1 to 4 characters. It is multinomial logistic regression from weights of zero, so its
    result depends on the text alone.
    """

    def __init__(self, texts: Sequence[str], labels: Sequence[str], split: Split, orders: int) -> None:
        self.names = sorted(set(labels))
        self._split, self._orders = split, orders
        self._weights = torch.zeros(BUCKETS, len(self.names), requires_grad=True)
        self._fit(texts, torch.tensor([self.names.index(label) for label in labels]))

    @classmethod
    def of(cls, corpus: Corpus, split: Split, unit: str) -> "Classifier":
        """Train on the training split of a corpus with labels."""
        texts, labels = (spread(each, MOST) for each in (corpus.train, corpus.beside("train").labels))
        return cls(texts, labels, split, 2 if unit == "word" else 4)

    @torch.no_grad()
    def __call__(self, texts: Sequence[str]) -> list[str]:
        """Return the likeliest label of each text."""
        found = self._logits([self._bag(text) for text in texts]).argmax(dim=1)
        return [self.names[label] for label in found.tolist()]

    def _fit(self, texts: Sequence[str], labels: Tensor) -> None:
        bags, rng = [self._bag(text) for text in texts], torch.Generator().manual_seed(0)
        optimizer = torch.optim.SparseAdam([self._weights], lr=RATE)
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(bags), generator=rng).split(BATCH):
                optimizer.zero_grad()
                F.cross_entropy(self._logits([bags[row] for row in rows.tolist()]), labels[rows]).backward()
                optimizer.step()

    def _logits(self, bags: Sequence[list[int]]) -> Tensor:
        return summed(bags, self._weights, sparse=True)

    def _bag(self, text: str) -> list[int]:
        return bag([START, *self._split(text), END], self._orders, BUCKETS)
