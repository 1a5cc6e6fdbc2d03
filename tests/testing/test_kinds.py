"""Building components for the checks: the arguments of each kind, and the parts of an algorithm."""

from pathlib import Path

import pytest

from ganlm_core.algorithms.adversarial import Adversarial
from ganlm_core.plugins.host import Host
from ganlm_core.testing import Case, build
from ganlm_core.testing.case import Failed
from ganlm_core.testing.kinds import STEPS, fitting_parts
from ganlm_core.testing.references import SHAPE
from tests.mutants import mutant

HOST = Host.discover(no_plugins=True)

BAD_RECIPE = """
from pathlib import Path
from ganlm_core.hookspecs import hookimpl

@hookimpl
def ganlm_recipes():
    return [Path(__file__).with_name("aaa.toml")]
"""


def test_broken_recipes_of_other_plugins_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "aaa.toml").write_text("[training")
    (tmp_path / "bad.py").write_text(BAD_RECIPE)
    host = Host.discover([tmp_path / "bad.py"], no_plugins=True)
    assert next(iter(host.recipes())) == "aaa"
    assert isinstance(build(Case(host.spec("algorithm", "adversarial"), {}, host)), Adversarial)


def test_an_algorithm_gets_the_networks_of_a_recipe_that_chooses_it() -> None:
    parts = fitting_parts(Case(HOST.spec("algorithm", "leakgan"), {}, HOST))
    assert type(parts.generator).__name__ == "LeakGenerator"
    assert (parts.generator.shape, parts.steps) == (SHAPE, STEPS)


def test_a_component_of_another_kind_is_refused() -> None:
    with pytest.raises(Failed, match=r"must be a ganlm_core.protocol.Generator; derive it from that$"):
        build(Case(mutant("generator", "ganlm_core.testing.references:Bag"), {}, HOST))
