"""Text to ids and back: words, characters or byte pairs, through one library and one file format.

The file is the ``tokenizer.json`` of Hugging Face *tokenizers*. It adds no ids of its own: ``<eos>`` and the padding
are put on here, by :meth:`Tokenizer.encode`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Self

import numpy as np
import tokenizers
import torch
from numpy.typing import NDArray
from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers, trainers
from torch import Tensor

from ganlm_core.components import AUTO
from ganlm_core.data.options import TOKENIZERS
from ganlm_core.errors import DataError, OptionError, UnknownName, UsageError, WeightsError
from ganlm_core.protocol import BOS, EOS, PAD, SPECIAL_TOKENS, UNK
from ganlm_core.system.files import FETCH_AGAIN, LARGEST_JSON, shown

LONGEST = 64
"""The most tokens in a sequence when its length is taken from the data."""

CHUNK = 10_000
"""Sentences encoded at once: what the library returns takes far more memory than the ids."""

_SETTINGS = (
    "unk_token", "dropout", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback",
    "ignore_merges",
)  # fmt: skip
"""What the models of the library are given besides their vocabulary, as far as they have it."""


class Tokenizer:
    """A map between sentences and ids. The special tokens have the ids of :mod:`ganlm_core.protocol`.

    A special token that stands in the text itself is text: spelled out by characters and byte pairs, and ``<unk>``
    as a word, so that no sentence can end early or pass for padding.
    """

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        self._backend = backend
        backend.encode_special_tokens = True
        backend.no_truncation()
        backend.no_padding()

    @classmethod
    def train(cls, kind: str, texts: Iterable[str], vocabulary: int) -> Self:
        """The ``word``, ``char`` or ``bpe`` tokenizer of ``texts``, with ``vocabulary`` tokens at most.

        Words are what white space separates, characters are Unicode code points; of both, the most frequent are
        kept and ties go by alphabet. Byte pairs are those of Sennrich et al. 2016 over the UTF-8 bytes that occur
        in ``texts``, which gives back every space. Raises UnknownName for another kind, and OptionError where
        ``vocabulary`` has no room for the bytes, or the tokenizer none in a bundle.
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

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What :meth:`to_json` gave. Raises WeightsError for anything else.

        A stranger's normalizer or pattern could take any time, and settings that the library did not expect end in a
        panic in the middle of a sentence: so the parts must be those of one of the kinds here.
        """
        try:
            backend = tokenizers.Tokenizer.from_str(text)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # the library raises nothing narrower, and its panics are no Exceptions
            reason = shown(str(error))
            raise WeightsError(f"not a tokenizer in the Hugging Face format ({reason}); {FETCH_AGAIN}") from None
        if _parts(backend) not in _known_parts():
            raise WeightsError(f"the tokenizer has parts that none of {', '.join(_TRAINERS)} has; {FETCH_AGAIN}")
        ids = [backend.token_to_id(token) for token in SPECIAL_TOKENS]
        if ids != [PAD, BOS, EOS, UNK]:
            names = ", ".join(SPECIAL_TOKENS)
            raise WeightsError(f"the tokenizer has the ids {ids} for {names}; wanted 0, 1, 2, 3; {FETCH_AGAIN}")
        if sorted(backend.get_vocab().values()) != list(range(size := backend.get_vocab_size())):
            raise WeightsError(f"the tokenizer has {size} tokens, but not the ids 0 to {size - 1}; {FETCH_AGAIN}")
        return cls(backend)

    def to_json(self) -> str:
        """The tokenizer as a ``tokenizer.json``; the same tokenizer gives the same text."""
        return self._backend.to_str(pretty=True) + "\n"

    @property
    def vocabulary_size(self) -> int:
        """V, special tokens included."""
        return self._backend.get_vocab_size()

    def encode(self, texts: Sequence[str], length: int) -> tuple[Tensor, int]:
        """Sentences to ids (N, T) with T = ``length``, and how many sentences were cut.

        Each ends with ``<eos>`` and is then padded. One of more than T - 1 tokens keeps its first T, without ``<eos>``.
        """
        tokens = torch.cat([torch.empty(0, length, dtype=torch.int64), *self.chunks(texts, length)])
        return tokens, count_cut(tokens)

    def chunks(self, texts: Sequence[str], length: int) -> Iterator[Tensor]:
        """What :meth:`encode` gives, some sentences at a time, so that the ids of all need not be in memory."""
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
        """The beginning of a sentence as ids (P,), none for an empty one, and without an end.

        Byte pairs merge within it alone: one that ends in the middle of a word goes on with other pairs than those of
        the whole word. Raises UsageError naming what the vocabulary does not have.
        """
        encoding = self._backend.encode(text, add_special_tokens=False)
        pairs = zip(encoding.ids, encoding.offsets, strict=True)
        if unknown := dict.fromkeys(text[start:end] for token, (start, end) in pairs if token <= UNK):
            names = ", ".join(map(repr, unknown))
            raise UsageError(f"the vocabulary has no {names}; take other words for the prompt")
        return torch.tensor(encoding.ids, dtype=torch.int64)

    def decode(self, ids: Tensor) -> list[str]:
        """Ids (N, T) to sentences, each up to its ``<eos>``. ``<unk>`` is shown, other special tokens are not."""
        rows = [row[: row.index(EOS)] if EOS in row else row for row in ids.tolist()]
        shown = [[token for token in row if token not in (PAD, BOS)] for row in rows]
        return self._backend.decode_batch(shown, skip_special_tokens=False)

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each sentence, ``<eos>`` included."""
        return [len(each) + 1 for encodings in self._encodings(texts) for each in encodings]

    def sequence_length(self, texts: Sequence[str], most: int = AUTO) -> int:
        """T for training on ``texts``: ``most``, or for 0 the longest of ``texts`` but 64 at most.

        Raises DataError when every sentence would be cut.
        """
        lengths = self.lengths(texts)
        length = min(max(lengths), LONGEST) if most == AUTO else most
        if min(lengths) > length:
            raise DataError(
                f"every sentence has more than the {length} tokens of a sequence, the shortest has {min(lengths)}"
                " with <eos>; raise --tokenizer.max-length"
            )
        return length

    def _encodings(self, texts: Sequence[str]) -> Iterator[list[tokenizers.Encoding]]:
        for start in range(0, len(texts), CHUNK):
            yield self._backend.encode_batch_fast(list(texts[start : start + CHUNK]), add_special_tokens=False)


def _places(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The place of each token in its sentence, of sentences of these lengths (n,) one after the other."""
    return np.arange(lengths.sum()) - np.repeat(lengths.cumsum() - lengths, lengths)


def count_cut(tokens: Tensor) -> int:
    """The sentences among ids (N, T) that were cut: whose last token is neither an end nor padding."""
    last = tokens[:, -1]
    return int(((last != EOS) & (last != PAD)).sum())


def _train_words(texts: Iterable[str], vocabulary: int) -> tokenizers.Tokenizer:
    backend = _frequent((text.split() for text in texts), vocabulary)
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return backend


def _train_characters(texts: Iterable[str], vocabulary: int) -> tokenizers.Tokenizer:
    backend = _frequent(texts, vocabulary)
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
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


def _parts(backend: tokenizers.Tokenizer) -> list[str]:
    """All that a tokenizer does to a text, but for its vocabulary and its merges."""
    model = backend.model
    settings = [getattr(model, name, None) for name in _SETTINGS]
    return [
        type(model).__name__,
        *map(repr, [*settings, backend.normalizer, backend.pre_tokenizer, backend.post_processor, backend.decoder]),
    ]


@cache
def _known_parts() -> list[list[str]]:
    return [_parts(train([], len(SPECIAL_TOKENS))) for train in _TRAINERS.values()]


def _with_special(model: models.Model) -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(model)
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    return backend


_TRAINERS: dict[str, Callable[[Iterable[str], int], tokenizers.Tokenizer]] = {
    "word": _train_words,
    "char": _train_characters,
    "bpe": _train_byte_pairs,
}
