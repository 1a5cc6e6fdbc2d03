"""OpenAI's ``/v1/completions`` for generators that write word by word: requests in, choices out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ganlm_core.bundle.model import Model
from ganlm_core.data.text import identity
from ganlm_core.protocol import EOS, mask_of
from ganlm_core.sampling import Policy
from ganlm_core.serve.models import Served
from ganlm_core.serve.writing import Request

GREEDY = Policy(top_k=1)
"""The policy for a temperature of 0, as in OpenAI's API."""


@dataclass(frozen=True)
class Choice:
    """A completion: the ``pieces`` of its text, one for each word, and why it ended."""

    pieces: Sequence[str]
    finish_reason: str

    @property
    def text(self) -> str:
        return "".join(self.pieces)


def requests_of(body: Mapping[str, Any]) -> list[Request]:
    """Return a request for each prompt of a checked body."""
    prompts = [body["prompt"]] if isinstance(body["prompt"], str) else body["prompt"]
    temperature = 1.0 if body["temperature"] is None else body["temperature"]
    policy = Policy(temperature, top_p=body["top_p"] or 1.0) if temperature > 0 else GREEDY
    return [Request(body["n"], prompt, policy, body.get("seed")) for prompt in prompts]


def choices(model: Model, body: Mapping[str, Any], texts: Sequence[str]) -> list[Choice]:
    """Return the choices of all prompts in order: ``n`` texts each, cut as the request says."""
    prompts = [body["prompt"]] if isinstance(body["prompt"], str) else body["prompt"]
    owners = [prompt for prompt in prompts for _ in range(body["n"])]
    stops = [body["stop"]] if isinstance(body.get("stop"), str) else body.get("stop") or []
    return [_choice(model, body, prompt, text, stops) for prompt, text in zip(owners, texts, strict=True)]


def _choice(model: Model, body: Mapping[str, Any], prompt: str, text: str, stops: Sequence[str]) -> Choice:
    tokens, _ = model.tokenizer.encode([text], model.shape.length)
    length, given = int(mask_of(tokens).sum()), model.tokenizer.prompt(prompt).shape[-1]
    ended = int(tokens[0, length - 1]) == EOS
    words = length - ended
    limit = min(words, given + (body.get("max_tokens") or words))
    prefixes = [identity(prompt), *(model.tokenizer.decode(tokens[:, :end])[0] for end in range(given + 1, limit + 1))]
    pieces = [prefix[len(before) :] for before, prefix in pairwise(prefixes)]
    if body.get("echo"):
        pieces = [prefixes[0], *pieces]
    reason = "stop" if ended and limit == words else "length"
    return _stopped(Choice(pieces, reason), stops)


def _stopped(choice: Choice, stops: Sequence[str]) -> Choice:
    """Cut a choice before the first of the stop texts."""
    places = [place for stop in stops if stop and (place := choice.text.find(stop)) >= 0]
    if not places:
        return choice
    left, pieces = min(places), []
    for piece in choice.pieces:
        pieces.append(piece[:left])
        left -= len(pieces[-1])
    return Choice([piece for piece in pieces if piece], "stop")


def answer(served: Served, found: Sequence[Choice], body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the whole answer."""
    words = sum(len(choice.pieces) for choice in found)
    prompts = [body["prompt"]] if isinstance(body["prompt"], str) else body["prompt"]
    given = sum(served.model.tokenizer.prompt(prompt).shape[-1] for prompt in prompts)
    return {
        **_head(served.name),
        "choices": [_as_json(number, choice.text, choice.finish_reason) for number, choice in enumerate(found)],
        "usage": {"prompt_tokens": given, "completion_tokens": words, "total_tokens": given + words},
    }


def chunks(name: str, found: Sequence[Choice]) -> Iterator[dict[str, Any]]:
    """Return the answer word by word, one choice after the other."""
    for number, choice in enumerate(found):
        for piece in choice.pieces:
            yield {**_head(name), "choices": [_as_json(number, piece, None)]}
        yield {**_head(name), "choices": [_as_json(number, "", choice.finish_reason)]}


def _head(name: str) -> dict[str, Any]:
    return {"id": "cmpl-ganlm", "object": "text_completion", "created": 0, "model": name}


def _as_json(number: int, text: str, reason: str | None) -> dict[str, Any]:
    return {"index": number, "text": text, "finish_reason": reason, "logprobs": None}


def model_entry(served: Served) -> dict[str, Any]:
    """Return a model in the form of OpenAI's list of models, with its abilities under ``ganlm``."""
    return {"id": served.name, "object": "model", "created": 0, "owned_by": "ganlm", "ganlm": served.describe()}
