"""Arguments in every type that a program may have, converted or refused in one line."""

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganlm_core.errors import OptionError
from ganlm_core.system.arguments import device, instance, label, path, real, string, strings, whole


@pytest.mark.parametrize("value", [1, np.int32(1), torch.tensor(1)])
def test_a_whole_number_may_have_any_type_of_whole_numbers(value: Any) -> None:
    found = whole("seed", value)
    assert (found, type(found)) == (1, int)


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.array(0.5), torch.tensor(0.5), Fraction(1, 2)])
def test_a_number_may_have_any_type_of_numbers(value: Any) -> None:
    found = real("temperature", value)
    assert (found, type(found)) == (0.5, float)


def test_strings_may_come_in_any_collection() -> None:
    assert strings("texts", (text for text in "ab")) == ["a", "b"]
    assert strings("labels", np.array(["0", "1"])) == ["0", "1"]
    assert strings("labels", [0, 1]) == strings("labels", np.array([0, 1])) == ["0", "1"]


def test_a_label_may_be_missing_and_may_be_a_number() -> None:
    assert [label(value) for value in (None, "", "a", 1, np.int64(1))] == ["", "", "a", "1", "1"]


def test_paths_and_devices_have_types_of_their_own() -> None:
    assert path("path", Path("a") / "b") == path("path", f"a{os.sep}b") == str(Path("a/b"))
    assert device(torch.device("cuda:1")) == device("cuda:1") == "cuda:1"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: whole("seed", 1.0), "seed is 1.0; wanted a whole number"),
        (lambda: whole("seed", None), "seed is None; wanted a whole number"),
        (lambda: whole("seed", "1"), "seed is '1'; wanted a whole number"),
        (lambda: whole("seed", True), "seed is True; wanted a whole number"),
        (lambda: whole("seed", 0, least=1), "seed is 0; wanted 1 or more"),
        (lambda: whole("seed", 2**70), f"seed is {2**70}; wanted {2**63 - 1} at most"),
        (lambda: real("top_p", None), "top_p is None; wanted a number"),
        (lambda: real("top_p", "1"), "top_p is '1'; wanted a number"),
        (lambda: real("top_p", True), "top_p is True; wanted a number"),
        (lambda: real("top_p", np.array([0.5])), "top_p is array([0.5]); wanted a number"),
        (lambda: real("top_p", 10**400), "top_p is 100000000000000000...0000000000000000000; wanted a number"),
        (lambda: string("prompt", None), "prompt is None; wanted a string"),
        (lambda: strings("texts", "ab"), "texts is one string; give a list of strings"),
        (lambda: strings("texts", None), "texts is None; give a list of strings"),  # type: ignore[arg-type]
        (lambda: strings("texts", [1]), "texts has 1 among its values; give a list of strings"),
        (lambda: strings("texts", [("a", "b")]), "texts has ('a', 'b') among its values; give a list of strings"),
        (lambda: strings("texts", ["a", None]), "texts has None among its values; give a list of strings"),
        (lambda: label(["a", "b"]), "label is ['a', 'b']; wanted the name of one label"),
        (lambda: path("path", None), "path is None; wanted a path"),
        (lambda: path("path", b"x"), "path is b'x'; wanted a path"),
        (lambda: path("path", ""), "path is empty; wanted a path"),
        (
            lambda: path("path", "a\0b"),
            r"path is 'a\x00b'; no file can have this name",
        ),
        (lambda: path("path", "\ud800"), r"path is '\ud800'; no file can have this name"),
        (lambda: device(None), "device is None; wanted auto, cpu, cuda, cuda:N or mps"),
        (lambda: instance("policy", 0.5, dict, "a dict"), "policy is 0.5; wanted a dict"),
    ],
)
def test_other_values_are_refused(call: Any, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        call()
    assert str(caught.value) == message
