"""Arguments of a loaded model: every method converts them, or refuses them in one line."""

import inspect
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch

from ganlm_core.bundle.arguments import ids
from ganlm_core.bundle.calibration import Calibration
from ganlm_core.bundle.model import Model
from ganlm_core.errors import DataError, GanlmError, OptionError, UsageError
from tests.bundle.test_model import make

CALIBRATION = Calibration(1.0, 0.0, 1.0, 10, 10)

CALLS: dict[str, dict[str, Any]] = {
    "sample": {"n": 2},
    "batch": {"index": 0, "seed": 0},
    "batch_labels": {"index": 0, "seed": 0},
    "log_prob": {"texts": ["a"]},
    "score": {"texts": ["a"]},
    "logits": {"tokens": torch.tensor([[4, 2, 0]])},
    "probability": {"texts": ["a"]},
    "explain": {"text": "a"},
    "calibrated": {"texts": ["a", "b"] * 5},
}
"""A call of every method that takes arguments, which succeeds."""

WORDS = [None, 3, 1.5, b"x", ["a"], {}, "\ud800"]
NUMBERS = [None, "a", 1.5, True, -1, 2**70, [1], np.array([1.0]), np.array([1, 2])]
REALS = [None, "1", -1.0, 0, True, float("nan"), [1.0], np.array([0.5])]
TEXTS = [None, 3, "a", b"x", [None], [1], [b"x"], [["a"]], ["\ud800"]]
IDS = [None, [[4, 2, 0]], 3, torch.ones(1, 3), torch.ones(1, 3, dtype=torch.bool), torch.tensor([4, 2, 0]),
       torch.tensor([[4, 2]]), torch.empty(0, 3, dtype=torch.int64), torch.tensor([[4, 2, 6]]),
       torch.tensor([[-1, 2, 0]])]  # fmt: skip

ODD: dict[str, list[Any]] = {
    **dict.fromkeys(("n", "index", "seed", "size", "batch_size", "draws", "top_k"), NUMBERS),
    **dict.fromkeys(("temperature", "top_p"), REALS),
    "texts": TEXTS,
    "text": WORDS,
    "prompt": WORDS,
    "label": [["a", "b"], 1.5, b"x", {}, "unknown"],
    "policy": [None, 0.5, "a", {}],
    "tokens": IDS,
}
"""Values that an argument of this name cannot have. ``labels`` are names or numbers, by the method."""

LABELS = [3, "a", [None], [1.5], ["a", "b"], ["unknown"]]


@lru_cache
def model() -> Model:
    return make(calibration=CALIBRATION)


def test_the_table_has_every_method_that_takes_arguments() -> None:
    public = {name: each for name, each in vars(Model).items() if inspect.isfunction(each) and name[0] != "_"}
    assert CALLS.keys() == {name for name, each in public.items() if len(inspect.signature(each).parameters) > 1}


@pytest.mark.parametrize("method", CALLS)
def test_a_method_takes_its_first_argument_alone_by_place(method: str) -> None:
    _, first, *others = inspect.signature(getattr(Model, method)).parameters.values()
    assert first.name == next(iter(CALLS[method])) and first.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert {each.kind for each in others} <= {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("method", CALLS)
def test_every_method_refuses_every_odd_value(method: str) -> None:
    call = getattr(model(), method)
    call(**CALLS[method])
    for name in list(inspect.signature(call).parameters):
        for value in ODD[name] if name != "labels" else LABELS:
            with pytest.raises(GanlmError) as caught:
                call(**CALLS[method] | {name: value})
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: model.sample(2, temperature=None), "temperature is None; wanted a number"),
        (lambda model: model.sample(2, top_k=1.5), "top_k is 1.5; wanted a whole number"),
        (lambda model: model.sample(0, label=["a", "b"]), "label is ['a', 'b']; wanted the name of one label"),
        (lambda model: model.batch(0, seed=None), "seed is None; wanted a whole number"),
        (
            lambda model: model.batch(0, seed=0, policy=None),
            "policy is None; wanted a Policy, such as Policy(temperature=0.8)",
        ),
        (
            lambda model: model.calibrated(["a"], policy=0.5),
            "policy is 0.5; wanted a Policy, such as Policy(temperature=0.8)",
        ),
        (lambda model: model.explain(["a"]), "text is ['a']; wanted a string"),
        (lambda model: model.score(["a"], batch_size=-1), "batch_size is -1; wanted 1 or more"),
    ],
)
def test_a_model_refuses_them_in_one_line(call: Any, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        call(model())
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([[1]], "tokens is of type list; wanted a tensor of whole numbers (B, 3)"),
        (torch.ones(1, 3), "tokens is of type torch.float32; wanted a tensor of whole numbers (B, 3)"),
        (torch.tensor([[4, 2]]), "tokens has the shape (1, 2); wanted a tensor of whole numbers (B, 3)"),
        (torch.tensor([[4, 9, 0]]), "tokens has numbers from 0 to 9; wanted 0 to 5"),
    ],
)
def test_tensors_of_another_type_or_size_are_refused(value: Any, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        ids("tokens", value, (3,), 6)
    assert str(caught.value) == message


def test_ids_may_be_small_integers() -> None:
    assert ids("labels", torch.tensor([1, 0], dtype=torch.int32), (), 2).equal(torch.tensor([1, 0]))


def test_the_seeds_of_all_whole_types_are_the_same() -> None:
    first = model().sample(3, seed=1)
    assert first == model().sample(np.int64(3), seed=np.int64(1), temperature=np.float32(1), top_k=np.int64(0))
    assert first == model().sample(torch.tensor(3), seed=torch.tensor(1), label=None)


def test_texts_may_come_from_a_generator() -> None:
    texts = ["a", "b a"] * 5
    calibrations = [model().calibrated(given).calibration for given in (texts, (text for text in texts))]
    assert calibrations[0] == calibrations[1] is not None
    assert model().score(text for text in texts) == model().score(texts)


def test_half_a_surrogate_pair_is_no_text() -> None:
    with pytest.raises(DataError) as caught:
        model().explain("\ud800")
    assert str(caught.value) == "a text is not valid Unicode; give text in UTF-8"


def test_labels_for_a_model_without_labels_are_refused() -> None:
    for ask in (model().score, model().log_prob):
        with pytest.raises(UsageError, match="this bundle was trained without labels"):
            ask(["a b"], labels=["x"])
    with pytest.raises(UsageError) as caught:
        model().logits(torch.tensor([[4, 2, 0]]), labels=torch.tensor([0]))
    assert str(caught.value) == "this bundle was trained without labels; leave labels out"
