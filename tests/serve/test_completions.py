"""OpenAI's completions: what the choices are, and where they end."""

from typing import Any

import pytest
import torch
from starlette.testclient import TestClient

from ganlm_core.bundle.model import Model
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.serve.completions import Choice, choices
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
    (found,) = choices(tokenizer, {"prompt": prompt, "n": 1, **body}, [tokens])
    return found


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
    import json

    return json.loads(line.removeprefix("data: "))


@pytest.mark.parametrize("prompt", ["the wug", "the dog " * 40])
def test_a_prompt_that_cannot_be_is_refused(ask: Ask, prompt: str) -> None:
    assert ask("completions", 400, prompt=prompt)["error"]["type"] == "invalid_request_error"


def test_a_generator_that_writes_at_once_takes_no_prompt(ask: Ask) -> None:
    assert "writes all positions at once" in ask("completions", 400, prompt="the", model=AT_ONCE)["error"]["message"]
