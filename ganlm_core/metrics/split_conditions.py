"""The conditions of the sentences that a judge draws and scores: those of the test split, row by row.

Sentence i of a generator is asked for the label and the prompt of test sentence i, from the first again after the last.
So generated sentences have the conditions of the real ones that they are compared with.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ganlm_core.data.conditions import RowConditions, asked
from ganlm_core.data.corpus import Corpus, spread
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.protocol import Generator, Shape, mask_of, with_labels, without_prompt


@dataclass(frozen=True)
class SplitConditions:
    """The conditions of a test split: ``rows`` are those of its sentences, ``prompts`` (N, P) the ids of their prompts.

    Both are empty for a corpus without conditions. ``names`` are the labels in the order of their numbers, ``shares``
    (K,) their shares of the training split. ``inputs`` is the number of labels beside the noise: 0 for a generator that
    takes none, whose sentences have the labels by chance.
    """

    texts: Sequence[str]
    rows: RowConditions
    prompts: Tensor | None
    names: Sequence[str]
    shares: Tensor
    inputs: int

    @classmethod
    def of(cls, corpus: Corpus, tokenizer: Tokenizer, shape: Shape) -> "SplitConditions":
        """Return the conditions of the test split of a corpus."""
        if not (corpus.test and corpus.beside("test").ask):
            return cls((), RowConditions(), None, (), torch.empty(0), 0)
        tokens, _ = tokenizer.encode(corpus.test, shape.length)
        rows = asked(corpus, "test", tokenizer, tokens)
        counts = Counter(corpus.beside("train").labels)
        shares = torch.tensor([counts[name] / counts.total() for name in corpus.labels])
        return cls(corpus.test, rows, rows.prompts(tokens), corpus.labels, shares, shape.labels)

    def noise(self, noise: Tensor, first: int) -> Tensor:
        """Return noise (B, Z) followed by the labels of the sentences from number ``first`` on."""
        if self.rows.labels is None or self.inputs == 0:
            return noise
        return with_labels(noise, self.rows.labels[self._places(first, len(noise))], self.inputs)

    def prompt(self, first: int, n: int) -> Tensor | None:
        """Return the prompts (n, P) of the sentences from number ``first`` on."""
        return None if self.prompts is None else self.prompts[self._places(first, n)]

    def labels(self, n: int) -> list[str]:
        """Return the names of the labels of the first ``n`` sentences; empty without labels."""
        if self.rows.labels is None:
            return []
        return [self.names[label] for label in self.rows.labels[self._places(0, n)].tolist()]

    def of_texts(self, texts: Sequence[str]) -> RowConditions:
        """Return the conditions of the test split, of an evenly spaced part of it, or of other sentences of it.

        Other sentences that occur several times there get their conditions in turn. Raises KeyError for sentences that
        are not there.
        """
        if self.rows.labels is None and self.rows.given is None:
            return RowConditions()
        spaced = spread(range(len(self.texts)), len(texts))
        if list(texts) == [self.texts[row] for row in spaced]:
            return self.rows.at(torch.tensor(spaced))
        known: dict[str, list[int]] = {}
        for row, text in enumerate(self.texts):
            known.setdefault(text, []).append(row)
        turns: dict[str, int] = defaultdict(int)
        places = []
        for text in texts:
            places.append(known[text][turns[text] % len(known[text])])
            turns[text] += 1
        return self.rows.at(torch.tensor(places))

    def _places(self, first: int, n: int) -> Tensor:
        return (first + torch.arange(n)) % len(self.texts)


def scored(tokens: Tensor, given: Tensor | None) -> Tensor:
    """Return the mask (B, T) of the ids (B, T) that a generator has to write, without the ``given`` (B,) prompt."""
    return without_prompt(mask_of(tokens), given)


def random_size(generator: Generator) -> int:
    """Return the size Z of the random part of a generator's noise, without the labels."""
    return generator.shape.noise - generator.shape.labels
