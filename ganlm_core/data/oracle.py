"""The SeqGAN oracle: a random LSTM whose sequences have exact probabilities (Yu et al. 2017, section 4.1).

With x_t the embedding of the word before t, h and c of size H, both zero at the start, and s the logistic function::

    i, f, g, o = split(W_x x_t + W_h h_{t-1} + b)
    c_t = s(f) * c_{t-1} + s(i) * tanh(g)
    h_t = s(o) * tanh(c_t)
    p(word at t | words before) = softmax(W_o h_t + b_o)

As in the authors' code, word 0 comes before the first word, and can also occur later. Every weight, biases included, is
drawn from N(0, 1). Differs: the random generator is different. To compare with results on the authors' oracle,
convert its weights to the file that :meth:`Oracle.load` reads. Words are written ``w0``, ``w1``, ...
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from ganlm_core.data.corpus import Corpus, split
from ganlm_core.data.options import OracleOptions
from ganlm_core.data.text import words
from ganlm_core.errors import DataError
from ganlm_core.system.files import write_file
from ganlm_core.system.seeds import derived_seed

EMBEDDING, HIDDEN = 32, 32
START = 0
VALIDATION = 20
BATCH = 64
"""Sequences at once; at 5,000 words the distributions of this many just fit into the cache of a processor."""


class Oracle:
    """The distribution over sequences of exactly ``length`` words; a :class:`ganlm_core.data.corpus.Process`.

    ``weights`` by name, V words, E embedding, H hidden; the rows of 4H are the gates input, forget, cell, output
    (the i, f, g, o above)::

        embedding (V, E)     input.weight (4H, E)    hidden.weight (4H, H)    bias (4H,)
        output.weight (V, H)    output.bias (V,)
    """

    name = "oracle"

    def __init__(self, weights: Mapping[str, Tensor], length: int) -> None:
        self.weights = dict(weights)
        self.length = length
        self.vocabulary = len(self.weights["embedding"])
        self._ids = {f"w{i}": i for i in range(self.vocabulary)}

    @property
    def words(self) -> list[str]:
        """All words, in the order of their ids."""
        return list(self._ids)

    @classmethod
    def draw(cls, generator: torch.Generator, vocabulary: int, length: int) -> Self:
        """Return an oracle with weights from N(0, 1), drawn in the order of the names above."""
        shapes = _shapes(vocabulary, EMBEDDING, HIDDEN)
        return cls({name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}, length)

    @classmethod
    def load(cls, path: Path, length: int) -> Self:
        """Load an oracle from safetensors. Raises DataError unless the file has the names and shapes above."""
        try:
            weights = safetensors.torch.load_file(path)
        except FileNotFoundError:
            raise DataError(f"there is no file {path}; check --corpus.weights") from None
        except (OSError, safetensors.SafetensorError) as error:
            raise DataError(f"{path} is not a safetensors file ({error}); check --corpus.weights") from None
        if wrong := _differences(weights):
            raise DataError(f"{path} is not an oracle: {', '.join(wrong)}; see ganlm_core.data.oracle for the format")
        return cls({name: tensor.float() for name, tensor in weights.items()}, length)

    def save(self, path: Path) -> None:
        """Write the weights as safetensors, for :meth:`load`. Raises GanlmError if the file cannot be written."""
        write_file(path, safetensors.torch.save(self.weights))

    @torch.no_grad()
    def log_prob(self, texts: Sequence[str]) -> list[float]:
        """Return log-probabilities of sentences in nats, in float64; ``-inf`` without ``length`` known words."""
        rows = {i: ids for i, text in enumerate(texts) if (ids := self._parse(text)) is not None}
        scores = [-math.inf] * len(texts)
        tokens = torch.tensor(list(rows.values()), dtype=torch.int64).reshape(-1, self.length)
        for i, score in zip(rows, self._scores(tokens), strict=True):
            scores[i] = score
        return scores

    @torch.no_grad()
    def sample(self, n: int, seed: int) -> list[str]:
        """Return ``n`` sentences, by inverse transform sampling with uniform numbers from the CPU."""
        uniform = torch.rand(n, self.length, generator=torch.Generator().manual_seed(_short(seed)))
        return [
            " ".join(f"w{i}" for i in row) for chunk in uniform.split(BATCH) for row in self._invert(chunk).tolist()
        ]

    def _parse(self, text: str) -> list[int] | None:
        ids = [self._ids.get(word, -1) for word in words(text)]
        return ids if len(ids) == self.length and -1 not in ids else None

    def _scores(self, tokens: Tensor) -> Iterator[float]:
        lstm = _LSTM({name: tensor.double() for name, tensor in self.weights.items()})
        for chunk in tokens.split(BATCH):
            state, score = lstm.start(len(chunk)), torch.zeros(len(chunk), dtype=torch.float64)
            before = torch.full_like(chunk[:, 0], START)
            for column in chunk.unbind(1):
                logits, state = lstm.step(before, state)
                score += logits.gather(1, column[:, None]).squeeze(1) - logits.logsumexp(dim=1)
                before = column
            yield from score.tolist()

    def _invert(self, uniform: Tensor) -> Tensor:
        """Return the words (B, T) at numbers (B, T) in [0, 1) of each cumulative distribution."""
        lstm = _LSTM(self.weights)
        state, found = lstm.start(len(uniform)), []
        before = torch.full((len(uniform),), START)
        for column in uniform.unbind(1):
            logits, state = lstm.step(before, state)
            cumulative = (logits - logits.amax(dim=1, keepdim=True)).exp_().cumsum_(dim=1)
            before = torch.searchsorted(cumulative, column[:, None] * cumulative[:, -1:], right=True).squeeze(1)
            before = before.clamp(max=self.vocabulary - 1)
            found.append(before)
        return torch.stack(found, dim=1)


class _LSTM:
    """The equations of this module, for a batch of B."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self.weights = weights
        # The contribution of the input to the gates depends on the word only: (V, 4H), computed once.
        self.inputs = weights["embedding"] @ weights["input.weight"].T + weights["bias"]

    def start(self, batch: int) -> tuple[Tensor, Tensor]:
        hidden = self.weights["hidden.weight"]
        return hidden.new_zeros(batch, hidden.shape[1]), hidden.new_zeros(batch, hidden.shape[1])

    def step(self, before: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Read ids (B,) of the last words in the state (h, c), each (B, H); return logits (B, V) and the next state."""
        h, c = state
        i, f, g, o = (self.inputs[before] + h @ self.weights["hidden.weight"].T).chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        return torch.addmm(self.weights["output.bias"], h, self.weights["output.weight"].T), (h, c)


def _shapes(vocabulary: int, embedding: int, hidden: int) -> dict[str, tuple[int, ...]]:
    return {
        "embedding": (vocabulary, embedding),
        "input.weight": (4 * hidden, embedding),
        "hidden.weight": (4 * hidden, hidden),
        "bias": (4 * hidden,),
        "output.weight": (vocabulary, hidden),
        "output.bias": (vocabulary,),
    }


def _differences(weights: Mapping[str, Tensor]) -> list[str]:
    """Return, by tensor, why ``weights`` are not an oracle. Two of the tensors give the sizes V, E and H."""
    names = _shapes(0, 0, 0)
    wrong = [f"{name} is missing" for name in names if name not in weights]
    wrong += [f"{name} is unknown" for name in sorted(weights.keys() - names)]
    wrong += [f"{name} is not finite floats" for name, tensor in weights.items() if not _is_finite(tensor)]
    if wrong:
        return wrong
    sizes = *weights["embedding"].shape[:2], *weights["output.weight"].shape[1:2]
    if len(sizes) < 3:
        return ["embedding and output.weight do not both have two dimensions"]
    return [
        f"{name} is {tuple(weights[name].shape)}, wanted {shape}"
        for name, shape in _shapes(*sizes).items()
        if weights[name].shape != shape
    ]


def _is_finite(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and bool(tensor.isfinite().all())


def _short(seed: int) -> int:
    """Return a seed of 32 bits, which is all that torch reads of one on a CPU: to it, 2**32 + 1 is the same as 1."""
    return seed if seed < 2**32 else derived_seed(seed, bits=32)


def oracle_corpus(options: OracleOptions) -> Corpus:
    """Return sequences of an oracle; the process gives their exact probabilities.

    ``options.size`` sequences are in three splits. With ``test_size``, all of them are the training split, and so many
    fresh ones the test split: the protocol of the literature (Yu et al. 2017; Caccia et al. 2020). The validation split
    then has one fresh sequence for each VALIDATION training sequences.
    """
    if options.weights:
        oracle = Oracle.load(Path(options.weights), options.length)
    else:
        rng = torch.Generator().manual_seed(_short(options.seed))
        oracle = Oracle.draw(rng, options.vocabulary, options.length)
    # Not the seed of the weights: the same random numbers would come again.
    train = oracle.sample(options.size, options.seed + 1)
    if options.test_size:
        validation = oracle.sample(math.ceil(options.size / VALIDATION), options.seed + 2)
        test = oracle.sample(options.test_size, options.seed + 3)
        corpus = Corpus("oracle", train, validation, test, process=oracle)
    else:
        corpus = split("oracle", train, process=oracle)
    return replace(corpus, fixed_length=True, vocabulary=oracle.words) if options.fixed_length else corpus
