"""docs/methods.md and the numbers beside the recipes agree."""

import shlex

from ganlm_core.config.recipes import measured
from ganlm_core.config.run_config import read_layer
from ganlm_core.plugins.host import Host
from tests.scripts import benchmark

methods = benchmark("methods")
RECIPES = Host.discover(no_plugins=True).recipes()


def test_every_method_is_measured_on_both_corpora_or_on_its_own() -> None:
    for name, path in RECIPES.items():
        if name not in methods.GENERIC:
            assert measured(path).keys() == ({*read_layer(path).get("corpus", {})} or {*methods.CORPORA}), name


def test_the_page_is_written_from_the_numbers_beside_the_recipes() -> None:
    assert methods.PAGE.read_text() == methods.page({name: path for name, path in RECIPES.items() if measured(path)})


def test_the_page_shows_the_commands_that_were_run() -> None:
    for name, path in RECIPES.items():
        for corpus, entry in measured(path).items():
            words = shlex.split(entry["command"])
            assert words[:2] == ["ganlm", "run"] and words[words.index("--recipe") + 1] == name
            assert words[words.index("--data") + 1] == corpus
