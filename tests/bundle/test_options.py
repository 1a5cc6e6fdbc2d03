"""Options of selection."""

from ganlm_core.bundle.options import CANDIDATES, METHODS
from ganlm_core.bundle.select import SELECTIONS, metropolis_hastings
from ganlm_core.cli.sample import sample
from ganlm_core.serve.writing import Request


def test_every_method_has_its_selection() -> None:
    assert (*SELECTIONS,) == METHODS and SELECTIONS["mh"] is metropolis_hastings


def test_the_command_and_the_server_draw_as_many_candidates() -> None:
    (option,) = [each for each in sample.params if each.name == "candidates"]
    assert option.default == Request().candidates == CANDIDATES
