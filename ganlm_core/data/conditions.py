"""Conditions as ids: the number of each label, and how many first tokens of each sequence are its prompt."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ganlm_core.data.corpus import Corpus
from ganlm_core.data.tokenizer import CHUNK, Tokenizer
from ganlm_core.errors import DataError
from ganlm_core.protocol import EOS, PAD, first_tokens


@dataclass(frozen=True)
class RowConditions:
    """The conditions of N sequences: the numbers of their ``labels`` (N,), and ``given`` (N,), the tokens of a prompt.

    Each is None if the corpus has none. ``columns`` are the further columns, with a value for each sequence.
    """

    labels: Tensor | None = None
    given: Tensor | None = None
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def at(self, rows: Tensor) -> "RowConditions":
        """Return the conditions of some rows (B,)."""
        columns = {name: [values[row] for row in rows.tolist()] for name, values in self.columns.items()}
        labels, given = (each if each is None else each[rows] for each in (self.labels, self.given))
        return RowConditions(labels, given, columns)

    def prompts(self, tokens: Tensor) -> Tensor | None:
        """Return the prompts (N, P) of ids (N, T), padded; None if there are none."""
        if self.given is None:
            return None
        longest = int(self.given.max())
        return tokens[:, :longest].masked_fill(~first_tokens(self.given, longest), PAD)


def asked(corpus: Corpus, split: str, tokenizer: Tokenizer, tokens: Tensor) -> RowConditions:
    """Return what the sentences of a split are asked for; ``tokens`` (N, T) are their ids.

    Raises DataError for prompts that leave nothing to write.
    """
    columns = corpus.beside(split)
    return RowConditions(
        labels=torch.tensor(list(map(corpus.labels.index, columns.labels))) if columns.labels else None,
        given=torch.cat([*_given(corpus, split, tokenizer, tokens)]) if columns.prompts else None,
        columns=columns.others,
    )


def _given(corpus: Corpus, split: str, tokenizer: Tokenizer, tokens: Tensor) -> Iterator[Tensor]:
    """Yield the number of tokens that a prompt and its sentence share at their beginning, for some rows at a time."""
    columns, length, long = corpus.beside(split), tokens.shape[1], 0
    for prompts, whole in zip(tokenizer.chunks(columns.prompts, length), tokens.split(CHUNK), strict=True):
        long += int((prompts != EOS).all(dim=1).sum())
        same = (prompts == whole) & (prompts != EOS) & (prompts != PAD)
        yield same.long().cumprod(dim=1).sum(dim=1)
    if long:
        raise DataError(
            f"{corpus.name}: {long:,} of {len(columns.prompts):,} prompts of the {split} split have {length} tokens or "
            f"more, and a sequence has {length}, so nothing is left to write; shorten them, or raise "
            "--tokenizer.max-length"
        )


def notes(corpus: Corpus, found: RowConditions) -> Iterator[str]:
    """Yield lines about the conditions of the training split. Raises DataError if no prompt ends where a token ends."""
    columns = corpus.beside("train")
    if found.labels is not None:
        shares = torch.bincount(found.labels, minlength=len(corpus.labels)) / len(found.labels)
        told = ", ".join(f"{name} {share:.0%}" for name, share in zip(corpus.labels, shares.tolist(), strict=True))
        yield f"{corpus.name}: {len(corpus.labels)} labels: {told if len(corpus.labels) <= 10 else 'too many to list'}"
    if found.given is None:
        return
    blank = sum(not prompt.strip() for prompt in columns.prompts)
    without = int((found.given == 0).sum())
    if without == len(found.given):
        raise DataError(
            f"{corpus.name}: every prompt ends inside a word that its completion continues, so no token is given; "
            "begin completions with a space"
        )
    if without > blank:
        yield (
            f"{corpus.name}: {without - blank:,} of {len(found.given):,} prompts end inside their first token, so "
            "nothing is given in these rows; begin completions with a space"
        )
