"""The sentences of a duel."""

import pytest

from ganlm_core.bundle.model import Model
from ganlm_core.errors import UsageError
from ganlm_core.serve.duel import questions
from ganlm_core.serve.models import Library
from tests.serve.conftest import WORDS


def test_half_are_real_and_no_generated_one_is(model: Model, library: Library) -> None:
    test = library.models[WORDS].test
    found = questions(model, test, seed=9)
    assert [sum(question.real for question in found), len(found)] == [10, 20]
    assert all((question.text in set(test)) == question.real for question in found)
    assert questions(model, test, seed=9) == found != questions(model, test, seed=10)


def test_without_real_text_there_is_no_duel(model: Model) -> None:
    with pytest.raises(UsageError) as caught:
        questions(model, ["one"], 0)
    assert str(caught.value) == (
        "a duel wants 10 real sentences, and there are 1: the text of this bundle is not here; name it with --data"
    )
