"""A case: its names in messages and test ids, and the building of its component."""

import pytest
import torch

from ganlm_core.components import ComponentSpec, Options, option
from ganlm_core.testing import Case
from ganlm_core.testing.case import Failed
from ganlm_core.testing.references import SHAPE, Bag


class Sizes(Options):
    size: int = option(4, "size", min=1)


class Sized(Bag):
    def __init__(self, shape: object, options: Sizes) -> None:
        super().__init__(SHAPE)
        self.size = options.size
        if options.size == 13:
            raise TypeError("13 is unlucky")


SPEC = ComponentSpec("discriminator", "sized", f"{__name__}:Sized", Sizes, "?")


def test_a_case_is_named_by_its_component_and_its_changes() -> None:
    assert str(Case(SPEC)) == "discriminator 'sized'"
    assert (str(Case(SPEC, {"size": 2})), Case(SPEC, {"size": 2}).id) == (
        "discriminator 'sized' with size=2",
        "discriminator-sized-size=2",
    )


def test_build_takes_the_options_of_the_case_and_seeds_torch() -> None:
    case = Case(SPEC, {"size": 2})
    one, again = (case.build(shape=SHAPE, seed=3) for _ in range(2))
    assert one.size == 2
    assert torch.equal(one.places, again.places)
    assert not torch.equal(one.places, case.build(shape=SHAPE, seed=4).places)


def test_wrong_arguments_are_a_failure_and_a_type_error_inside_is_not() -> None:
    with pytest.raises(Failed, match=r"^discriminator 'sized' does not accept the arguments form= and options= \("):
        Case(SPEC).build(form=SHAPE)
    with pytest.raises(TypeError, match=r"^13 is unlucky$"):
        Case(SPEC, {"size": 13}).build(shape=SHAPE)


def test_expect_raises_the_advice_after_the_name() -> None:
    Case(SPEC).expect(True, "is wrong")
    with pytest.raises(Failed, match=r"^discriminator 'sized' is wrong; change it$"):
        Case(SPEC).expect(False, "is wrong; change it")
