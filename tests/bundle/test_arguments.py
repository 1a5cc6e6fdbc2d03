"""Arguments of a loaded model in types that a program may have."""

from typing import Any

import numpy as np
import pytest
import torch

from ganlm_core.bundle.arguments import strings, whole
from ganlm_core.errors import OptionError, UsageError
from tests.bundle.test_model import make


@pytest.mark.parametrize("value", [1, True, np.int32(1), torch.tensor(1)])
def test_a_whole_number_may_have_any_type_of_whole_numbers(value: Any) -> None:
    found = whole("seed", value)
    assert (found, type(found)) == (1, int)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (1.0, "seed is 1.0; wanted a whole number"),
        (None, "seed is None; wanted a whole number"),
        ("1", "seed is '1'; wanted a whole number"),
        (0, "seed is 0; wanted 1 or more"),
        (2**70, f"seed is {2**70}; wanted {2**63 - 1} at most"),
    ],
)
def test_other_numbers_are_refused(value: Any, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        whole("seed", value, least=1)
    assert str(caught.value) == message


def test_strings_may_come_in_any_collection() -> None:
    assert strings("texts", (text for text in "ab")) == ["a", "b"]
    assert strings("labels", np.array(["0", "1"])) == ["0", "1"]
    assert strings("labels", [0, 1]) == strings("labels", np.array([0, 1])) == ["0", "1"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("ab", "texts is one string; give a list of strings"),
        (None, "texts is None; give a list of strings"),
        ([1], "texts has 1 among its values; give a list of strings"),
        ([("a", "b")], "texts has ('a', 'b') among its values; give a list of strings"),
        (["a", None], "texts has None among its values; give a list of strings"),
    ],
)
def test_other_values_are_refused(values: Any, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        strings("texts", values)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: model.sample(2.5), "n is 2.5; wanted a whole number"),
        (lambda model: model.sample(2, seed=None), "seed is None; wanted a whole number"),
        (lambda model: model.sample(2, prompt=None), "prompt is None; wanted a string"),
        (lambda model: model.score(["a"], batch_size=-1), "batch_size is -1; wanted 1 or more"),
        (lambda model: model.log_prob(["a"], batch_size=0), "batch_size is 0; wanted 1 or more"),
        (lambda model: model.log_prob(["a"], draws=0), "draws is 0; wanted 1 or more"),
    ],
)
def test_a_model_refuses_them_in_one_line(call: Any, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        call(make())
    assert str(caught.value) == message


def test_the_seeds_of_all_whole_types_are_the_same() -> None:
    model = make()
    assert model.sample(3, seed=1) == model.sample(3, seed=np.int64(1)) == model.sample(3, seed=torch.tensor(1))


def test_labels_for_a_model_without_labels_are_refused() -> None:
    for ask in (make().score, make().log_prob):
        with pytest.raises(UsageError, match="this bundle was trained without labels"):
            ask(["a b"], labels=["x"])
