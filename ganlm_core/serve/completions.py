"""OpenAI's ``/v1/completions`` for generators that write word by word: requests in, choices out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from ganlm_core.bundle.model import Model
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.errors import OptionError
from ganlm_core.protocol import EOS, mask_of
from ganlm_core.sampling import Policy
from ganlm_core.serve.models import Served
from ganlm_core.serve.schema import MOST
from ganlm_core.serve.writing import Request, draw

GREEDY = Policy(top_k=1)
"""The policy for a temperature of 0, as in OpenAI's API."""

UNFINISHED = "\ufffd"
"""Shown for the first bytes of a character whose other bytes are in the next tokens."""


@dataclass(frozen=True)
class Choice:
    """A completion: the ``pieces`` of its text, one for each word, and why it ended."""

    pieces: Sequence[str]
    finish_reason: str

    @property
    def text(self) -> str:
        return "".join(self.pieces)


def requests_of(body: Mapping[str, Any]) -> list[Request]:
    """Return a request for each prompt of a checked body. Raises OptionError for more than MOST sentences."""
    prompts, n = _texts(body["prompt"]), body["n"]
    if len(prompts) * n > MOST:
        raise OptionError(
            f"{len(prompts)} prompts with n = {n} are {len(prompts) * n:,} sentences; a request takes {MOST} at most"
        )
    temperature = 1.0 if body["temperature"] is None else body["temperature"]
    policy = Policy(temperature, top_p=body["top_p"] or 1.0) if temperature > 0 else GREEDY
    return [Request(n, prompt, policy, body.get("seed")) for prompt in prompts]


def complete(model: Model, asked: Sequence[tuple[Mapping[str, Any], Request]]) -> list[list[Choice]]:
    """Return the choices of requests that share one draw, each cut as its body says."""
    drawn = draw(model, [request for _, request in asked])
    return [
        [choice_of(model.tokenizer, body, request.prompt, ids) for ids in rows]
        for (body, request), rows in zip(asked, drawn, strict=True)
    ]


def _texts(given: str | Sequence[str] | None) -> Sequence[str]:
    """Return the texts of a part of a request that may be one text, several or none."""
    return [given] if isinstance(given, str) else given or []


def choice_of(tokenizer: Tokenizer, body: Mapping[str, Any], prompt: str, ids: Tensor) -> Choice:
    """Return the choice of a sentence (1, T) that begins with the prompt, cut as the body says."""
    length, given = int(mask_of(ids).sum()), len(tokenizer.prompt(prompt))
    ended = int(ids[0, length - 1]) == EOS
    words = length - ended
    limit = min(words, given + (body.get("max_tokens") or words))
    reason = "stop" if ended and limit == words else "length"
    choice = Choice(_pieces(tokenizer, prompt, ids[:, :limit], given), reason)
    choice = _stopped(choice, _texts(body.get("stop")))
    return replace(choice, pieces=[prompt, *choice.pieces]) if body.get("echo") else choice


def _pieces(tokenizer: Tokenizer, prompt: str, ids: Tensor, given: int) -> list[str]:
    """Return the text that each of the ids after the first ``given`` adds, so that it can follow the prompt.

    A character of several tokens is part of the last of them. A token is decoded with the ones of the piece before it,
    which tell whether a space is between them, and not with all: that would take time quadratic in the length.
    """
    pieces: list[str] = []
    start, told, length = max(given - 1, 0), given, ids.shape[1]
    for end in range(given + 1, length + 1):
        before, text = (tokenizer.decode(ids[:, start:stop])[0] for stop in (told, end))
        piece = "" if text.endswith(UNFINISHED) and end < length else text[len(before) :]
        pieces.append(piece)
        if piece:
            start, told = told, end
    if prompt[-1:].isspace() and not tokenizer.decode(ids[:, :given])[0][-1:].isspace():
        pieces[:1] = [piece.removeprefix(" ") for piece in pieces[:1]]  # the separator of words is no token
    return pieces


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
    words = sum(len(choice.pieces) for choice in found) - (len(found) if body.get("echo") else 0)
    given = sum(len(served.model.tokenizer.prompt(prompt)) for prompt in _texts(body["prompt"]))
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
