"""Defaults and faults of request bodies."""

import pytest

from ganlm_core.errors import OptionError
from ganlm_core.sampling import Policy
from ganlm_core.serve.schema import check, request_of
from ganlm_core.serve.writing import Request


def test_defaults_are_filled_in() -> None:
    assert request_of(check("sample", {})) == Request(1, "", Policy(), None, "", 16)


def test_given_options_stay() -> None:
    body = {
        "n": 3,
        "prompt": "a",
        "temperature": 0.5,
        "top_k": 2,
        "top_p": 0.9,
        "seed": 7,
        "select": "mh",
        "candidates": 4,
        "label": "good",
    }
    assert request_of(check("sample", body)) == Request(3, "a", Policy(0.5, 2, 0.9), 7, "mh", 4, "good")


def test_an_integer_may_be_written_as_a_float() -> None:
    found = check("completions", {"prompt": "a", "n": 2.0, "max_tokens": 3.0, "seed": 4.0, "temperature": 1.0})
    assert {key: type(found[key]) for key in ("n", "max_tokens", "seed", "temperature")} == {
        "n": int, "max_tokens": int, "seed": int, "temperature": float
    }  # fmt: skip
    assert (found["n"], found["max_tokens"], found["seed"]) == (2, 3, 4)
    assert check("completions", {"prompt": "a", "max_tokens": None})["max_tokens"] is None
    with pytest.raises(OptionError, match=r"n: 2\.5 is not of type 'integer'"):
        check("sample", {"n": 2.5})


@pytest.mark.parametrize(
    "body", [None, [], 3, "text", {"n": True}, {"n": "1"}, {"seed": -1}, {"top_p": 1.5}, {"select": "x"}]
)
def test_another_form_is_refused(body: object) -> None:
    with pytest.raises(OptionError, match="GET /v1/schema shows what is wanted"):
        check("sample", body)
