"""Text to ids and back: words, characters, byte pairs or atoms, through one library and one file format.

The file is the ``tokenizer.json`` of Hugging Face *tokenizers*. The library adds no special ids: ``<eos>`` and padding
are added by :meth:`Tokenizer.encode`.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import chain
from typing import Self

import numpy as np
import tokenizers
import torch
from numpy.typing import NDArray
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor

from ganlm_core.data.options import TOKENIZERS
from ganlm_core.data.text import SMILES, normal, words
from ganlm_core.data.tokenizer_file import Settings, checked
from ganlm_core.errors import DataError, OptionError, UnknownName, Unreadable, UsageError
from ganlm_core.protocol import BOS, EOS, PAD, SPECIAL_TOKENS, UNK
from ganlm_core.system.files import LARGEST_JSON
from ganlm_core.system.printable import shown

LONGEST = 64
"""The greatest sequence length that is taken from the data."""

CHUNK = 10_000
"""Sentences that are encoded at once: the results of the library take far more memory than the ids."""

_SURROGATE = re.compile("[\ud800-\udfff]")

SEPARATOR = r"[\s\x1c-\x1f]+"
"""The separators of words, as a pattern of the library; :func:`ganlm_core.data.text.words` has the same."""


class Tokenizer:
    """A map between sentences and ids. The special tokens have the ids of :mod:`ganlm_core.protocol`.

    A special token in the text itself is text: ``<unk>`` for a word tokenizer, and spelled out by the others. So no
    text can end a sentence early or look like padding.
    """

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        self._backend = backend
        backend.encode_special_tokens = True
        backend.no_truncation()
        backend.no_padding()

    @classmethod
    def train(cls, kind: str, texts: Iterable[str], vocabulary: int) -> Self:
        """Train a ``word``, ``char``, ``bpe`` or ``smiles`` tokenizer on ``texts``, with ``vocabulary`` tokens at most.

        All normalise text to NFC first. Words are separated by white space (:func:`ganlm_core.data.text.words`),
        characters are Unicode code points; the most frequent are kept, ties in alphabetical order. Byte pairs are the
        method of Sennrich et al. 2016 over the UTF-8 bytes of ``texts``, and keep every space. SMILES are divided into
        atoms, bonds, branches and rings. Raises UnknownName for
        another kind, and OptionError if the bytes do not fit into ``vocabulary``, or the tokenizer into a bundle.
        """
        if kind not in TOKENIZERS:
            raise UnknownName("tokenizer", kind, TOKENIZERS, hint=f"there are {', '.join(TOKENIZERS)}")
        tokenizer = cls(_TRAINERS[kind](texts, vocabulary))
        if (size := len(tokenizer.to_json().encode())) > LARGEST_JSON:
            raise OptionError(
                f"the tokenizer has {size:,} bytes, and a bundle takes {LARGEST_JSON:,} at most; "
                "lower --tokenizer.vocabulary, or choose --tokenizer char"
            )
        return tokenizer

    def grown(self, texts: Iterable[str], vocabulary: int) -> Self:
        """Return this tokenizer with the words of ``texts`` that it lacks, the most frequent first, after its own.

        Its own words keep their ids. ``vocabulary`` limits the tokens; for byte pairs, the missing bytes are added and
        the merges stay.
        """
        known = self._backend.get_vocab()
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(self._units(text))
        new = sorted(counts.keys() - known.keys(), key=lambda unit: (-counts[unit], unit))
        content = json.loads(self.to_json())
        added = new[: max(0, vocabulary - len(known))]
        content["model"]["vocab"] |= {unit: len(known) + number for number, unit in enumerate(added)}
        return self.from_json(json.dumps(content))

    def _units(self, text: str) -> Iterable[str]:
        """Return the smallest parts that the vocabulary may have: words, characters or bytes."""
        pieces = [piece for piece, _ in self._backend.pre_tokenizer.pre_tokenize_str(self._normal(text))]
        return chain.from_iterable(pieces) if isinstance(self._backend.model, models.BPE) else pieces

    def _normal(self, text: str) -> str:
        normalizer = self._backend.normalizer
        return text if normalizer is None else str(normalizer.normalize_str(text))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Load what :meth:`to_json` returned. Raises Unreadable for anything else.

        The file may be untrusted, so the library reads only the output of :func:`checked`.
        """
        content = checked(text, _known_settings())
        try:
            return cls(tokenizers.Tokenizer.from_str(content))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # the library raises nothing narrower, and its panics are no Exceptions
            raise Unreadable(f"the tokenizer cannot be loaded ({shown(str(error))})") from None

    def to_json(self) -> str:
        """Return the tokenizer as a ``tokenizer.json``; the same tokenizer gives the same text."""
        return self._backend.to_str(pretty=True) + "\n"

    @property
    def vocabulary_size(self) -> int:
        """V: the number of tokens, special ones included."""
        return self._backend.get_vocab_size()

    @property
    def is_unambiguous(self) -> bool:
        """Whether ids that decode to the same text are the same; byte pairs can spell a text in several ways."""
        return not isinstance(self._backend.model, models.BPE)

    def encode(self, texts: Sequence[str], length: int) -> tuple[Tensor, int]:
        """Return sentences as ids (N, T) with T = ``length``, and the number of sentences that were cut.

        Each sentence ends with ``<eos>`` and is then padded. A sentence of more than T - 1 tokens keeps its first T,
        without ``<eos>``.
        """
        tokens = torch.cat([torch.empty(0, length, dtype=torch.int64), *self.chunks(texts, length)])
        return tokens, count_cut(tokens)

    def chunks(self, texts: Sequence[str], length: int) -> Iterator[Tensor]:
        """Yield the ids of :meth:`encode` for some sentences at a time, so that not all need to be in memory."""
        for encodings in self._encodings(texts):
            lengths = np.array([len(each) for each in encodings])
            ids = np.fromiter(chain.from_iterable(each.ids for each in encodings), np.int64, lengths.sum())
            row, place = np.repeat(np.arange(len(lengths)), lengths), _places(lengths)
            fits, ends = place < length, lengths < length
            tokens = np.full((len(lengths), length), PAD)
            tokens[row[fits], place[fits]] = np.maximum(ids[fits], UNK)
            tokens[ends, lengths[ends]] = EOS
            yield torch.from_numpy(tokens)

    def prompt(self, text: str) -> Tensor:
        """Return the beginning of a sentence as ids (P,), without ``<eos>``; P is 0 for an empty text.

        Byte pairs merge within the prompt only, so a prompt that ends inside a word may not have the first tokens of
        the whole word. Raises UsageError with the words that are not in the vocabulary, and DataError for text that is
        not valid Unicode.
        """
        with _valid_unicode([text]):
            encoding = self._backend.encode(text, add_special_tokens=False)
        pairs = zip(encoding.ids, encoding.offsets, strict=True)
        if unknown := dict.fromkeys(text[start:end] for token, (start, end) in pairs if token <= UNK):
            names = ", ".join(map(repr, unknown))
            raise UsageError(f"the vocabulary has no {names}; take other words for the prompt")
        return torch.tensor(encoding.ids, dtype=torch.int64)

    def decode(self, ids: Tensor) -> list[str]:
        """Return ids (N, T) as sentences, each up to its ``<eos>``. Of the special tokens, only ``<unk>`` is shown."""
        rows = [row[: row.index(EOS)] if EOS in row else row for row in ids.tolist()]
        shown = [[token for token in row if token not in (PAD, BOS)] for row in rows]
        return self._backend.decode_batch(shown, skip_special_tokens=False)

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each sentence, ``<eos>`` included."""
        return [len(each) + 1 for encodings in self._encodings(texts) for each in encodings]

    def _encodings(self, texts: Sequence[str]) -> Iterator[list[tokenizers.Encoding]]:
        for start in range(0, len(texts), CHUNK):
            chunk = list(texts[start : start + CHUNK])
            with _valid_unicode(chunk):
                found = self._backend.encode_batch_fast(chunk, add_special_tokens=False)
            yield found


@contextmanager
def _valid_unicode(texts: Iterable[str]) -> Iterator[None]:
    """Raise DataError where the library calls half a surrogate pair of ``texts`` no ``str``."""
    try:
        yield
    except TypeError:
        if not any(_SURROGATE.search(text) for text in texts):
            raise
        raise DataError("a text is not valid Unicode; give text in UTF-8") from None


def _places(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the place of each token in its sentence; sentences of these lengths (n,) follow each other."""
    return np.arange(lengths.sum()) - np.repeat(lengths.cumsum() - lengths, lengths)


def count_cut(tokens: Tensor) -> int:
    """Return how many sentences of ids (N, T) were cut: their last token is neither ``<eos>`` nor padding."""
    last = tokens[:, -1]
    return int(((last != EOS) & (last != PAD)).sum())


def _train_words(texts: Iterable[str], vocabulary: int) -> tokenizers.Tokenizer:
    backend = _frequent(map(words, texts), vocabulary)
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(SEPARATOR), "removed")
    return backend


def _train_characters(texts: Iterable[str], vocabulary: int) -> tokenizers.Tokenizer:
    backend = _frequent(map(normal, texts), vocabulary)
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    backend.decoder = decoders.Fuse()
    return backend


def _train_smiles(texts: Iterable[str], vocabulary: int) -> tokenizers.Tokenizer:
    """Train on molecules as SMILES, one token for each atom, bond, branch and ring (Schwaller et al. 2019, SI)."""
    backend = _frequent((re.findall(SMILES, normal(text)) for text in texts), vocabulary)
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(SMILES), "isolated")
    backend.decoder = decoders.Fuse()
    return backend


def _frequent(sentences: Iterable[Iterable[str]], vocabulary: int) -> tokenizers.Tokenizer:
    counts: Counter[str] = Counter()
    for pieces in sentences:
        counts.update(pieces)
    by_frequency = sorted(counts.keys() - set(SPECIAL_TOKENS), key=lambda piece: (-counts[piece], piece))
    kept = [*SPECIAL_TOKENS, *by_frequency][:vocabulary]
    return _with_special(models.WordLevel({piece: i for i, piece in enumerate(kept)}, unk_token=SPECIAL_TOKENS[UNK]))


def _train_byte_pairs(texts: Iterable[str], vocabulary: int) -> tokenizers.Tokenizer:
    backend = _with_special(models.BPE(unk_token=SPECIAL_TOKENS[UNK]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=list(SPECIAL_TOKENS), show_progress=False)
    )
    if (size := backend.get_vocab_size()) > vocabulary:
        raise OptionError(
            f"tokenizer bpe: vocabulary is {vocabulary}; the special tokens and the bytes of the data take {size}"
        )
    return backend


@cache
def _known_settings() -> tuple[Settings, ...]:
    """Return the settings of each kind of tokenizer file, of this version and of versions without a normal form."""
    word, char, bpe, smiles = (json.loads(train([], len(SPECIAL_TOKENS)).to_str()) for train in _TRAINERS.values())
    plain = {"normalizer": None}
    earlier = word | plain | {"pre_tokenizer": {"type": "WhitespaceSplit"}}, char | plain, bpe | plain
    return word, char, bpe, smiles, *earlier


def _with_special(model: models.Model) -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(model)
    backend.normalizer = normalizers.NFC()
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    return backend


_TRAINERS: dict[str, Callable[[Iterable[str], int], tokenizers.Tokenizer]] = {
    "word": _train_words,
    "char": _train_characters,
    "bpe": _train_byte_pairs,
    "smiles": _train_smiles,
}
