"""The tree of errors, its exit codes, and the suggestions in messages."""

import copy
import inspect
import pickle
import re

import pytest

from ganlm_core import errors
from ganlm_core.errors import GanlmError, UnknownName, Unreadable, did_you_mean, reworded

ARGUMENTS = {"UnknownName": ("loss", "hing", ["hinge"])}
"""Arguments of the constructors that take more than a message."""

CLASSES = {name: each for name, each in vars(errors).items() if inspect.isclass(each) and issubclass(each, GanlmError)}


def drawn() -> dict[str, tuple[int, int]]:
    """Return the depth and the exit code of each class in the tree of the module's docstring."""
    lines = re.findall(r"^([│ ├└─]*)(\w+) +(\d+)  \S", errors.__doc__ or "", flags=re.MULTILINE)
    return {name: (len(indent) // 4, int(code)) for indent, name, code in lines}


def test_the_docstring_draws_every_error_at_its_place_with_its_exit_code() -> None:
    found = {name: (len(each.__mro__) - len(GanlmError.__mro__), each.exit_code) for name, each in CLASSES.items()}
    assert drawn() == found
    assert len(found) > 15


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("hing", "; did you mean 'hinge'?"),
        ("hinge", "; did you mean 'hinge'?"),
        ("HINGE", "; did you mean 'hinge'?"),
        ("r1", "; did you mean 'R1'?"),
        ("quux", ""),
    ],
)
def test_the_nearest_name_is_suggested(name: str, end: str) -> None:
    assert did_you_mean(name, ["hinge", "wasserstein", "R1"]) == end


def test_an_unknown_name_is_told_with_a_suggestion_and_where_the_names_are() -> None:
    messages = [
        str(UnknownName("loss", name, ["hinge"], hint)) for name in ("hing", "x") for hint in ("", "see 'list'")
    ]
    assert messages == [
        "there is no loss 'hing'; did you mean 'hinge'?",
        "there is no loss 'hing'; did you mean 'hinge'? see 'list'",
        "there is no loss 'x'",
        "there is no loss 'x'; see 'list'",
    ]


def test_an_unreadable_file_has_a_fact_and_an_advice() -> None:
    error = Unreadable("x is missing")
    assert (error.fact, str(error)) == ("x is missing", "x is missing; fetch or export it again")
    assert str(Unreadable("x is missing", "start the run anew")) == "x is missing; start the run anew"


def test_a_reworded_error_keeps_its_class_and_its_attributes() -> None:
    for error in (UnknownName("loss", "hing", ["hinge"]), Unreadable("the file is empty"), GanlmError("no")):
        other = reworded(error, f"run one: {error}")
        assert type(other) is type(error)
        assert str(other) == f"run one: {error}"
        assert vars(other) == vars(error)


@pytest.mark.parametrize("name", CLASSES)
def test_an_error_is_the_same_in_another_process_and_as_a_copy(name: str) -> None:
    error = CLASSES[name](*ARGUMENTS.get(name, ("the file is empty",)))
    error.add_note("seen in the second run")
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert (type(other), str(other), vars(other)) == (type(error), str(error), vars(error))
