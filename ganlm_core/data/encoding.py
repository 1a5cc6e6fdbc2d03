"""Encode the training split once, into the cache if the sentences are there, else into memory; count its words.

If the ids are in the cache, a run holds only one batch of them in memory.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import tokenizers
import torch
from torch import Tensor

from ganlm_core.components import AUTO
from ganlm_core.data.corpus import SAMPLE, Corpus, spaced
from ganlm_core.data.tokenizer import CHUNK, LONGEST, Tokenizer
from ganlm_core.errors import DataError, WriteError
from ganlm_core.protocol import EOS, NEVER, PAD, UNK, Shape, mask_of
from ganlm_core.system.cache import kept
from ganlm_core.system.files import read_text, write_file

FORMAT = 2
"""Part of every key in the cache: increase it when the same sentences get other ids."""

SMOOTHING = 0.1

KEEP = "raise --tokenizer.vocabulary to keep more"
OUTSIDE = (
    "the vocabulary has room for them, and they have the names of special tokens, such as <unk>, or are not among the "
    f"{SAMPLE:,} sentences that it is made of"
)
GROW = "the bundle does not know them: --grow-vocabulary adds them, or start from a bundle with --tokenizer char"
"""Reasons and remedies for words that a new tokenizer does not keep, and for words that a given one does not know."""

UNITS = {"word": "words", "char": "characters", "bpe": "tokens", "smiles": "tokens"}

IDS, TOKENIZER = "ids", "tokenizer.json"


@dataclass(frozen=True)
class Encoded:
    """The training split as ``tokens`` (N, T) of the smallest integer type, and the tokenizer that was trained on it.

    ``notes`` are lines to tell the user.
    """

    tokenizer: Tokenizer
    tokens: Tensor
    notes: tuple[str, ...] = ()


def encode(
    corpus: Corpus, kind: str, vocabulary: int, most: int, given: Tokenizer | None = None, remedy: str = KEEP
) -> Encoded:
    """Train a tokenizer of a ``kind`` with at most ``vocabulary`` tokens on the training split, and encode the split.

    T is ``most``, or for 0 the length of the longest sentence up to LONGEST. The tokenizer is trained on SAMPLE
    sentences at most; with a ``given`` tokenizer, none is trained. A note says how many words became ``<unk>``, and
    the ``remedy``. Raises DataError when every sentence would be cut, and the errors of :meth:`Tokenizer.train`.

    In a corpus of fixed length, T is the number of tokens of every sentence. Raises DataError if they differ.
    """
    found = _encode(corpus, kind, vocabulary, most, given)
    if given is None and found.tokenizer.vocabulary_size < vocabulary:
        remedy = OUTSIDE
    return replace(found, notes=(*found.notes, *_unknown(corpus, kind, found.tokens, remedy)))


def _encode(corpus: Corpus, kind: str, vocabulary: int, most: int, given: Tokenizer | None) -> Encoded:
    notes: tuple[str, ...] = ()
    if corpus.cache is not None:
        key = "/".join(map(str, (FORMAT, tokenizers.__version__, kind, vocabulary, most)))
        key += given.to_json() if given is not None else ""
        key += "/fixed" if corpus.fixed_length else ""
        folder = corpus.cache / f"encoded-{hashlib.sha256(key.encode()).hexdigest()[:32]}"
        try:
            return kept(
                folder,
                lambda place: _write(place, corpus, given or _trained(corpus, kind, vocabulary), most),
                lambda place: _read(place, corpus),
                f"encoding {corpus.name}",
            )
        except WriteError as error:
            notes = (f"{error}; the ids are held in memory instead",)
    tokenizer = given or _trained(corpus, kind, vocabulary)
    wide = torch.cat([*_wide(tokenizer, corpus, most)])
    return Encoded(tokenizer, wide[:, : _length(tokenizer, corpus, wide, most)].contiguous(), notes)


def _unknown(corpus: Corpus, kind: str, tokens: Tensor, remedy: str) -> Iterator[str]:
    """Yield a note on the share of the training split that is not in the vocabulary, if there is any."""
    unknown = sum(int((part == UNK).sum()) for part in tokens.split(CHUNK))
    if unknown:
        total = sum(int((part >= UNK).sum()) for part in tokens.split(CHUNK))
        share = f"{unknown:,} of {total:,} {UNITS[kind]} ({unknown / total:.1%})"
        yield f"{corpus.name}: {share} of the training split are <unk>; {remedy}"


def _write(folder: Path, corpus: Corpus, tokenizer: Tokenizer, most: int) -> None:
    """Write the ids at the greatest length that they may have, then at their length, so that all are encoded once."""
    beside = folder / "wide"
    _dump(beside, _wide(tokenizer, corpus, most))
    wide = _mapped(beside, tokenizer, corpus)
    _dump(folder / IDS, wide[:, : _length(tokenizer, corpus, wide, most)].split(CHUNK))
    beside.unlink()
    write_file(folder / TOKENIZER, tokenizer.to_json().encode())


def _read(folder: Path, corpus: Corpus) -> Encoded:
    tokenizer = Tokenizer.from_json(read_text(folder / TOKENIZER))
    return Encoded(tokenizer, _mapped(folder / IDS, tokenizer, corpus))


def _trained(corpus: Corpus, kind: str, vocabulary: int) -> Tokenizer:
    # One more sentence of all words adds 1 to every count, so that the order of the others stays.
    every = [" ".join(corpus.vocabulary)] if corpus.vocabulary else []
    return Tokenizer.train(kind, chain(spaced(corpus.train, SAMPLE), every), vocabulary)


def _wide(tokenizer: Tokenizer, corpus: Corpus, most: int) -> Iterator[Tensor]:
    longest = _fixed_length(tokenizer, corpus, most) if corpus.fixed_length else most or LONGEST
    for chunk in tokenizer.chunks(corpus.train, longest):
        yield chunk.to(_type(tokenizer))


def _fixed_length(tokenizer: Tokenizer, corpus: Corpus, most: int) -> int:
    """Return the number of tokens of every sentence. Raises DataError if they differ, or are not ``most`` if given."""
    splits = (corpus.train, corpus.validation, corpus.test)
    parts = (texts[start : start + CHUNK] for texts in splits for start in range(0, len(texts), CHUNK))
    lengths = {length - 1 for part in parts for length in tokenizer.lengths(part)}  # without <eos>
    if len(lengths) > 1:
        raise DataError(
            f"{corpus.name}: sentences have {min(lengths)} to {max(lengths)} tokens, and with --corpus.fixed-length "
            "all have the same number; leave it out"
        )
    (length,) = lengths
    if most not in (AUTO, length):
        raise DataError(
            f"{corpus.name}: every sentence has {length} tokens, and --tokenizer.max-length is {most}; make it {length}"
        )
    return length


def _type(tokenizer: Tokenizer) -> torch.dtype:
    return torch.int16 if tokenizer.vocabulary_size <= 2**15 else torch.int32


def _length(tokenizer: Tokenizer, corpus: Corpus, wide: Tensor, most: int) -> int:
    """Return T from ids of the greatest length. Raises DataError if every sentence would be cut."""
    if corpus.fixed_length:
        return wide.shape[1]
    used, ended = torch.zeros(wide.shape[1], dtype=torch.bool), False
    for chunk in wide.split(CHUNK):
        used |= (chunk != PAD).any(dim=0)
        ended = ended or bool((chunk == EOS).any())
    if not ended:
        raise DataError(
            f"{corpus.name}: every sentence has more than the {wide.shape[1]} tokens of a sequence, the shortest has "
            f"{min(tokenizer.lengths(corpus.train))} with <eos>; raise --tokenizer.max-length"
        )
    return int(used.sum()) if most == AUTO else most


def _dump(path: Path, chunks: Iterable[Tensor]) -> None:
    with path.open("wb") as file:
        for chunk in chunks:
            file.write(chunk.contiguous().numpy().data)


def _mapped(path: Path, tokenizer: Tokenizer, corpus: Corpus) -> Tensor:
    """Return ids (N, T) that stay in their file."""
    kind, size = _type(tokenizer), path.stat().st_size
    return torch.from_file(str(path), shared=False, size=size // kind.itemsize, dtype=kind).view(len(corpus.train), -1)


def impossible(corpus: Corpus, tokenizer: Tokenizer) -> list[int]:
    """Return the special ids that no sentence of the corpus has.

    They are ``<eos>`` in a corpus of fixed length, and ``<unk>`` if the tokenizer knows all words of a corpus that
    lists its words.
    """
    words = " ".join(corpus.vocabulary)
    ids, _ = tokenizer.encode([words], tokenizer.lengths([words])[0])
    return [EOS] * corpus.fixed_length + [UNK] * (words != "" and UNK not in ids)


def token_counts(chunks: Iterable[Tensor], shape: Shape, never: Sequence[int] = ()) -> Tensor:
    """Return the count of each word at each position of ids (n, T), as (T, V); padding does not count.

    SMOOTHING is added to every count, so that every word has a probability at the start of training; the ids ``never``
    have none.
    """
    counts = torch.full((shape.length, shape.vocabulary), SMOOTHING, dtype=torch.float64)
    for tokens in chunks:
        counts.scatter_add_(1, tokens.T.long(), mask_of(tokens).T.double())
    counts[:, list(never)] = 0
    return counts


def log_frequencies(counts: Tensor) -> Tensor:
    """Return the log frequencies (..., V) of counts (..., V) in float32; NEVER for a count of 0."""
    return (counts / counts.sum(dim=-1, keepdim=True)).log().clamp(min=NEVER).float()
