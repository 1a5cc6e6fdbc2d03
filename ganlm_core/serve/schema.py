"""The JSON schemas of the requests, which are checked against them and served at ``/v1/schema``."""

from typing import Any

import jsonschema  # type: ignore[import-untyped]

from ganlm_core.bundle.options import CANDIDATES, METHODS
from ganlm_core.errors import OptionError
from ganlm_core.sampling import Policy
from ganlm_core.serve.writing import LARGEST_SEED, Request

MOST = 256
"""Sentences in one request."""

LONGEST = 10_000
"""Characters of a text."""


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "additionalProperties": False, "properties": properties}


TEXT = {"type": "string", "maxLength": LONGEST}
MODEL = {"type": "string", "default": "", "description": "name of the model; the first model if it is empty"}
SEED = {"type": "integer", "minimum": 0, "maximum": LARGEST_SEED}
POLICY = {
    "temperature": {"type": "number", "exclusiveMinimum": 0, "maximum": 100, "default": 1},
    "top_k": {"type": "integer", "minimum": 0, "default": 0, "description": "draw from the k likeliest words; 0: all"},
    "top_p": {"type": "number", "exclusiveMinimum": 0, "maximum": 1, "default": 1},
}

SCHEMAS: dict[str, dict[str, Any]] = {
    "sample": _object(
        [],
        model=MODEL,
        n={"type": "integer", "minimum": 1, "maximum": MOST, "default": 1, "description": "sentences"},
        prompt={**TEXT, "default": "", "description": "text that every sentence begins with"},
        label={**TEXT, "default": "", "description": "label of the sentences; without it, drawn by frequency"},
        **POLICY,
        seed={**SEED, "description": "gives the same sentences as ganlm sample --seed; without it, sentences are new"},
        select={
            "enum": ["", *METHODS],
            "default": "",
            "description": "selection by the discriminator, at temperature 1",
        },
        candidates={"type": "integer", "minimum": 1, "maximum": MOST, "default": CANDIDATES},
        words={"type": "boolean", "default": False, "description": "also the words of the first sentence"},
        stream={"type": "boolean", "default": False, "description": "words one by one, as server-sent events"},
    ),
    "score": _object(
        ["texts"],
        model=MODEL,
        texts={"type": "array", "items": TEXT, "minItems": 1, "maxItems": MOST},
        words={"type": "boolean", "default": False, "description": "also the words, each with its weight and rank"},
    ),
    "duel": _object(["seed"], model=MODEL, seed=SEED),
    "answer": _object(
        ["seed", "number", "real"],
        model=MODEL,
        seed=SEED,
        number={"type": "integer", "minimum": 0, "description": "number of the sentence in the duel, from 0"},
        real={"type": "boolean", "description": "whether the person takes it for real"},
    ),
    "completions": _object(
        ["prompt"],
        model=MODEL,
        prompt={"anyOf": [TEXT, {"type": "array", "items": TEXT, "minItems": 1, "maxItems": 16}]},
        n={"type": "integer", "minimum": 1, "maximum": MOST, "default": 1},
        max_tokens={"type": ["integer", "null"], "minimum": 1, "description": "words after the prompt, at most"},
        temperature={"type": ["number", "null"], "minimum": 0, "maximum": 100, "default": 1},
        top_p={"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1, "default": 1},
        seed={"type": ["integer", "null"], "minimum": 0, "maximum": LARGEST_SEED},
        stream={"type": ["boolean", "null"], "default": False},
        stop={"anyOf": [{"type": "null"}, TEXT, {"type": "array", "items": TEXT, "maxItems": 4}]},
        echo={"type": ["boolean", "null"], "default": False},
        user={"type": "string", "maxLength": LONGEST},
    ),
}
"""By the name of the endpoint. ``completions`` is the part of OpenAI's request that a generator can honour."""


def check(name: str, body: Any) -> dict[str, Any]:
    """Return the body of a request with defaults filled in, and 3.0 as 3 where an integer is wanted.

    Raises OptionError with the first fault and its place.
    """
    schema = SCHEMAS[name]
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(body))
    if error is not None:
        place = ".".join(map(str, error.absolute_path)) or "the body"
        raise OptionError(f"{place}: {error.message[:200]}; GET /v1/schema shows what is wanted")
    properties = schema["properties"]
    defaults = {key: value["default"] for key, value in properties.items() if "default" in value}
    return {
        **defaults,
        **{key: int(value) if _is_whole(properties[key], value) else value for key, value in body.items()},
    }


def _is_whole(schema: dict[str, Any], value: Any) -> bool:
    """Return whether a value is a float where the schema wants an integer: for JSON, 3.0 is one."""
    return isinstance(value, float) and "integer" in schema.get("type", ())


def request_of(body: dict[str, Any]) -> Request:
    """Return a checked ``sample`` body as a request."""
    policy = Policy(body["temperature"], body["top_k"], body["top_p"])
    asked = (body[name] for name in ("select", "candidates", "label"))
    return Request(body["n"], body["prompt"], policy, body.get("seed"), *asked)
