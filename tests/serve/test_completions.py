"""OpenAI's completions: what the choices are, and where they end."""

import asyncio
import json
from typing import Any

import pytest
import torch
from starlette.testclient import TestClient
from torch import Tensor

from ganlm_core.bundle.model import Model
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.protocol import EOS, PAD
from ganlm_core.serve.completions import Choice, choice_of
from tests.serve.conftest import AT_ONCE, Ask


def texts(answer: Any) -> list[str]:
    return [choice["text"] for choice in answer["choices"]]


@pytest.mark.parametrize("prompt", ["the dog", "the dog "])
def test_a_completion_is_what_follows_the_prompt(ask: Ask, model: Model, prompt: str) -> None:
    answer = ask("completions", prompt=prompt, seed=1, n=2)
    assert [prompt + text for text in texts(answer)] == model.sample(2, seed=1, prompt="the dog")
    assert {choice["finish_reason"] for choice in answer["choices"]} == {"stop"}
    assert answer["object"] == "text_completion"


def test_max_tokens_are_words_after_the_prompt(ask: Ask) -> None:
    whole, cut = (ask("completions", prompt="the dog", seed=1, max_tokens=n) for n in (50, 2))
    assert texts(cut)[0].split() == texts(whole)[0].split()[:2]
    assert cut["choices"][0]["finish_reason"] == "length"
    assert cut["usage"] == {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4}


def test_a_stop_text_and_all_after_it_are_left_out(ask: Ask) -> None:
    (whole,) = texts(ask("completions", prompt="the", seed=2))
    word = whole.split()[1]
    answer = ask("completions", prompt="the", seed=2, stop=[word])
    assert texts(answer) == [whole[: whole.index(word)]] and answer["choices"][0]["finish_reason"] == "stop"


def test_echo_puts_the_prompt_in_front(ask: Ask, model: Model) -> None:
    body = {"prompt": "the dog", "seed": 1}
    found = ask("completions", **body, echo=True)
    assert texts(found) == model.sample(1, seed=1, prompt="the dog")
    assert found["usage"] == ask("completions", **body)["usage"]
    assert texts(ask("completions", **body, echo=True, stop="dog")) == texts(found), "the prompt is not searched"


def test_a_temperature_of_zero_is_greedy(ask: Ask) -> None:
    assert len(set(texts(ask("completions", prompt="the", temperature=0, n=8, top_p=1)))) <= 8
    first, second = (texts(ask("completions", prompt="the dog", temperature=0, seed=3)) for _ in range(2))
    assert first == second


def completed(tokenizer: Tokenizer, prompt: str, rest: str, **body: Any) -> Choice:
    """Return the completion of a prompt by a generator that goes on with the tokens of ``rest``."""
    drawn, _ = tokenizer.encode([rest], 20)
    tokens = torch.cat([tokenizer.prompt(prompt)[None], drawn], dim=1)
    return choice_of(tokenizer, body, prompt, tokens)


ENDS = [
    ("", "the dog runs ."),
    (" ", "the dog runs ."),
    ("the ", "dog runs ."),
    ("the  dog", " runs ."),
    ("the dog \t", "runs ."),
    ("the dog runs .", ""),
    ("the dog runs . ", ""),
]


@pytest.mark.parametrize("kind", ["word", "char", "bpe", "smiles"])
@pytest.mark.parametrize(("prompt", "rest"), ENDS)
def test_a_completion_goes_on_where_the_prompt_ends(kind: str, prompt: str, rest: str) -> None:
    """So the space between them is there once, in the prompt or in the completion."""
    tokenizer = Tokenizer.train(kind, ["the dog runs .\t"] * 4, 60)
    assert completed(tokenizer, prompt, rest).text == rest
    assert completed(tokenizer, prompt, rest, echo=True).text == prompt + rest


def test_a_prompt_may_end_inside_a_token_of_the_whole_text() -> None:
    tokenizer = Tokenizer.train("bpe", ["the dog runs ."] * 4, 60)
    assert tokenizer.lengths(["the do", "the dog"]) == [3, 3]
    assert completed(tokenizer, "the do", "g").text == "g"
    assert completed(tokenizer, "the do", "g runs .", max_tokens=2).pieces == ["g", " runs"]


def test_a_character_of_several_tokens_is_a_piece_of_the_last_of_them() -> None:
    tokenizer = Tokenizer.train("bpe", ["café"], 9)
    assert completed(tokenizer, "caf", "éc").pieces == ["", "é", "c"]


@pytest.mark.parametrize("kind", ["word", "char", "bpe"])
def test_the_pieces_of_any_tokens_are_the_text_of_all_of_them(kind: str) -> None:
    """Also with special tokens inside a sentence, and with bytes that are no characters."""
    tokenizer = Tokenizer.train(kind, ["the café runs 漢字 ."] * 4, 60)
    rng = torch.Generator().manual_seed(0)
    allowed = torch.tensor([token for token in range(tokenizer.vocabulary_size) if token not in (PAD, EOS)])
    for _ in range(50):
        ids = allowed[torch.randint(len(allowed), (1, 12), generator=rng)]
        assert choice_of(tokenizer, {}, "", ids).text == tokenizer.decode(ids)[0]


def test_the_time_of_a_choice_is_linear_in_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer, decode, decoded = Tokenizer.train("word", ["a"], 5), Tokenizer.decode, []

    def counted(self: Tokenizer, ids: Tensor) -> list[str]:
        decoded.append(ids.numel())
        return decode(self, ids)

    monkeypatch.setattr(Tokenizer, "decode", counted)
    assert completed(tokenizer, "", "a " * 20).pieces[:2] == ["a", " a"]
    assert sum(decoded) <= 3 * 20


def test_choices_are_made_beside_the_event_loop(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a large request does not stop the others."""
    decode = Tokenizer.decode

    def beside(self: Tokenizer, ids: Tensor) -> list[str]:
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        return decode(self, ids)

    monkeypatch.setattr(Tokenizer, "decode", beside)
    assert texts(ask("completions", prompt="the dog", seed=1))


def test_prompts_that_ask_for_too_many_sentences_together_are_refused(ask: Ask) -> None:
    told = "16 prompts with n = 17 are 272 sentences; a request takes 256 at most"
    assert ask("completions", 400, prompt=["the"] * 16, n=17)["error"]["message"] == told
    assert len(texts(ask("completions", prompt=["the"] * 16, n=16))) == 256


def test_several_prompts_are_answered_in_order(ask: Ask, model: Model) -> None:
    found = texts(ask("completions", prompt=["the dog", "a cat"], seed=1))
    assert found == [model.sample(1, seed=1, prompt=prompt)[0][len(prompt) :] for prompt in ("the dog", "a cat")]


def test_a_stream_is_the_same_text_word_by_word(client: TestClient, ask: Ask) -> None:
    body = {"prompt": "the dog", "seed": 1, "stream": True}
    lines = client.post("/v1/completions", json=body).text.split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    chunks = [client_json(line) for line in lines[:-2]]
    assert ["".join(text for chunk in chunks for text in texts(chunk))] == texts(
        ask("completions", prompt="the dog", seed=1)
    )
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks][-2:] == [None, "stop"]


def client_json(line: str) -> Any:
    return json.loads(line.removeprefix("data: "))


@pytest.mark.parametrize("prompt", ["the wug", "the dog " * 40])
def test_a_prompt_that_cannot_be_is_refused(ask: Ask, prompt: str) -> None:
    assert ask("completions", 400, prompt=prompt)["error"]["type"] == "invalid_request_error"


def test_a_generator_that_writes_at_once_takes_no_prompt(ask: Ask) -> None:
    assert "writes all positions at once" in ask("completions", 400, prompt="the", model=AT_ONCE)["error"]["message"]
