"""Write: sentences of a model, with the likeliest alternatives of each word."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from time import monotonic
from typing import Any, TypeVar

import torch
from torch import Tensor

from ganlm_core.bundle import stream
from ganlm_core.bundle.model import BATCH, Model
from ganlm_core.bundle.options import CANDIDATES
from ganlm_core.bundle.select import SELECTIONS, Tally
from ganlm_core.errors import UsageError
from ganlm_core.protocol import EOS, mask_of, with_labels
from ganlm_core.sampling import PLAIN, Policy, log_probabilities, sample
from ganlm_core.serve.security import SECONDS
from ganlm_core.system.seeds import derived_seed

ALTERNATIVES = 5
"""Alternatives that are shown for each word."""

LARGEST_SEED = 2**63 - 1

Sentence = TypeVar("Sentence", str, Tensor)


@dataclass(frozen=True)
class Request:
    """The request of a client. Without a ``seed`` the server chooses one."""

    n: int = 1
    prompt: str = ""
    policy: Policy = PLAIN
    seed: int | None = None
    select: str = ""
    candidates: int = CANDIDATES
    label: str = ""

    @property
    def shares(self) -> tuple[Any, ...]:
        """Return the values that requests of one batch must have in common."""
        return self.prompt, self.policy, self.seed, self.select, self.candidates, self.label


def write(model: Model, requests: Sequence[Request]) -> list[list[str]]:
    """Return the sentences of requests that share one draw.

    With a seed, each request gets the first sentences of that seed, as ``ganlm sample`` prints them; without a seed,
    the requests get different sentences of the same batch. Raises UsageError for a prompt or a selection that the
    model does not take, and TimeoutError for a selection that takes more than SECONDS.
    """
    return _shared(requests, lambda seed, n: _sentences(model, requests[0], seed, n))


def draw(model: Model, requests: Sequence[Request]) -> list[list[Tensor]]:
    """Return the sentences of :func:`write` as ids (1, T). The requests must be without a selection."""
    return _shared(requests, lambda seed, n: _ids(model, requests[0], seed, n))


def _shared(requests: Sequence[Request], drawn: Callable[[int, int], list[Sentence]]) -> list[list[Sentence]]:
    """Divide the sentences that are drawn for a seed and a number among the requests."""
    seed = requests[0].seed
    if seed is not None:
        found = drawn(seed, max(request.n for request in requests))
        return [found[: request.n] for request in requests]
    rest = iter(drawn(fresh_seed(), sum(request.n for request in requests)))
    return [list(islice(rest, request.n)) for request in requests]


def fresh_seed() -> int:
    """Return a random seed."""
    return int(torch.empty((), dtype=torch.int64).random_(generator=_entropy()).item()) & LARGEST_SEED


def _entropy() -> torch.Generator:
    rng = torch.Generator()
    rng.seed()
    return rng


def _sentences(model: Model, request: Request, seed: int, n: int) -> list[str]:
    policy, prompt, label = request.policy, request.prompt, request.label
    if not request.select:
        batches = stream.draw(model, seed, policy, prompt, label=label)
    elif policy != PLAIN:
        raise UsageError(
            "the bundle's discriminator is calibrated for temperature 1 and all words; "
            "leave out temperature, top_k and top_p, or select"
        )
    else:
        choose = SELECTIONS[request.select]
        selected = stream.select(model, choose, request.candidates, Tally(), seed, policy, prompt, label=label)
        batches = _in_time(selected)
    return [text for batch in stream.take(batches, n) for text in batch.texts]


def _in_time(batches: Iterable[stream.Drawn]) -> Iterator[stream.Drawn]:
    """Yield the batches of a selection, which may accept almost nothing, for SECONDS: no client waits longer.

    Raises TimeoutError.
    """
    end = monotonic() + SECONDS
    for batch in batches:
        if monotonic() >= end:
            raise TimeoutError
        yield batch


def _ids(model: Model, request: Request, seed: int, n: int) -> list[Tensor]:
    numbers = range(math.ceil(n / BATCH))
    batches = (
        model.batch(each, seed=seed, policy=request.policy, prompt=request.prompt, label=request.label)
        for each in numbers
    )
    return [row for batch in batches for row in batch.split(1)][:n]


@dataclass(frozen=True)
class Word:
    """A word as it was drawn, its ``probability`` under the policy, and the likeliest words in its place."""

    text: str
    probability: float
    alternatives: Sequence[tuple[str, float]]


@torch.no_grad()
def words(model: Model, request: Request) -> list[Word]:
    """Return the words of the first sentence of the request's seed, without the prompt, with their alternatives.

    A generator that writes all positions at once has alternatives too: given the noise, its words are independent.
    """
    assert request.seed is not None
    forced, seed = model.tokenizer.prompt(request.prompt), request.seed
    rng = torch.Generator(model.device).manual_seed(derived_seed(seed, 0))
    noise = torch.randn(BATCH, model.shape.noise, generator=rng, device=model.device)
    noise = with_labels(noise, model.batch_labels(0, seed=seed, label=request.label), model.shape.labels)
    tokens = sample(model.generator, noise, request.policy, rng, forced).tokens[:1]
    logits = model.generator(noise[:1], tokens) if model.generator.autoregressive else model.generator(noise[:1])
    probabilities = log_probabilities(logits[0], request.policy).exp()
    given, length = forced.shape[-1], int(mask_of(tokens).sum())
    return [_word(model, tokens[0, place], probabilities[place]) for place in range(given, length)]


def _word(model: Model, token: Tensor, probabilities: Tensor) -> Word:
    likeliest = probabilities.topk(min(ALTERNATIVES, len(probabilities)))
    pairs = zip(likeliest.indices, likeliest.values.tolist(), strict=True)
    alternatives = [(_text(model, index), probability) for index, probability in pairs if probability > 0]
    return Word(_text(model, token), probabilities[token].item(), alternatives)


def _text(model: Model, token: Tensor) -> str:
    """Return a token as text; the end of the sentence is the empty text."""
    return "" if int(token) == EOS else model.tokenizer.decode(token.reshape(1, 1))[0]
