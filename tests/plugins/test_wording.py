"""Exceptions of plugins in words."""

import importlib
import json

import pytest

from ganlm_core.errors import DataError, PluginError
from ganlm_core.plugins.wording import blaming, described, place_of
from tests.guests import Install, place


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


class Wordless(Exception):
    def __str__(self) -> str:
        return 3  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("one\ntwo"), "ValueError: one two"),
        (PluginError("as it is"), "as it is"),
        (SystemExit(3), "SystemExit: 3"),
        (GeneratorExit(), "GeneratorExit"),
        (Unspeakable(), "Unspeakable: (its text raises ValueError)"),
        (Wordless(), "Wordless: (its text raises TypeError)"),
        (KeyError("\x1b[2J"), r"KeyError: '\x1b[2J'"),
        (ValueError("\x1b[2J"), r"ValueError: \x1b[2J"),
        (ValueError("x" * 10**6), "ValueError: " + "x" * 497 + "..."),
    ],
)
def test_an_exception_is_told_in_described(error: BaseException, text: str) -> None:
    assert described(error) == text


def test_the_place_of_an_error_is_the_innermost_line_of_a_plugin(install: Install) -> None:
    module = install("import json\n\ndef fail():\n    json.loads('{')\n")
    with pytest.raises(json.JSONDecodeError) as caught:
        importlib.import_module(module).fail()
    assert place_of(caught.value) == place(module, 8)
    assert place_of(ValueError()) == ""


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no\nluck"), "ValueError: no luck"),
        (SystemExit(3), "SystemExit: 3"),
        (Unspeakable(), "Unspeakable: (its text raises ValueError)"),
    ],
)
def test_an_exception_of_a_plugin_blames_it(error: BaseException, text: str) -> None:
    with pytest.raises(PluginError) as caught, blaming("loss 'x' of some-zoo 2.5", "cannot be built"):
        raise error
    assert str(caught.value) == f"loss 'x' of some-zoo 2.5 cannot be built: {text}; --debug shows where"
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error", [DataError("no file"), KeyboardInterrupt(), MemoryError(), RuntimeError("out of memory")]
)
def test_what_is_no_fault_of_a_plugin_does_not_blame_it(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, blaming("loss 'x'"):
        raise error
    assert caught.value is error
