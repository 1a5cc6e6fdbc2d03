"""Recipes on the command line: ``ganlm show`` and ``ganlm recipes``."""

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ganlm
from tests.rolling import write_plugin

MEASURED: dict[str, Any] = {
    "columns": ["grammatical"],
    "recipes": {
        "rolling": {
            "grammar": {
                "command": "ganlm run --recipe rolling",
                "seeds": {
                    "7": {
                        "before": {"valid": 0.5, "zebra": 3.0},
                        "after": {"valid": 0.625, "test_nll": 1.8},
                        "cpu_seconds": 123.4,
                    },
                    "8": {"after": {"valid": 0.375, "test_nll": 2.0}, "cpu_seconds": 125.4},
                },
            }
        }
    },
}


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    return write_plugin(tmp_path)


def test_show_prints_choices_settings_and_results_of_a_recipe(ganlm: Ganlm, plugin: Path) -> None:
    code, out, err = ganlm("show", "rolling", "--plugin", plugin)
    assert (code, err) == (0, "")
    path = plugin.with_suffix(".toml")
    start = textwrap.dedent(
        f"""\
        recipe rolling ({path})
        rolls out
        Yu et al. 2017, Alg. 1
        needs an autoregressive generator, rollouts

        section              choice
        algorithm            adversarial
        estimator            rollout
        optimizer.generator  adam

        setting                            here    paper
        estimator.rollout.samples          4       16
        optimizer.generator.adam.schedule  cosine  -
        training.batch_size                32      64
        training.clip                      5.0     none
        training.prior                     false   -
        discriminator                      conv    a CNN with highway layers
        optimizer.generator.sgd.lr         -       0.01
        A dash under 'paper': the recipe names no value of the paper. Under 'here': this recipe has no such setting.
        """
    )
    assert out == start
    plugin.with_name("measured.json").write_text(json.dumps(MEASURED))
    assert ganlm("show", "rolling", "--plugin", plugin)[1] == start + textwrap.dedent(
        """
        measured on  training  valid     held-out NLL  zebra
        grammar      before    50.0%     -             3.00
        grammar      after     50 ± 18%  1.90 ± 0.14   -
        ganlm run --recipe rolling  # seed 7, 8; 124 ± 1 CPU seconds
        """
    )
    (entry,) = json.loads(ganlm("show", "rolling", "--json", "--plugin", plugin)[1])
    assert (entry["kind"], entry["needs"]) == ("recipe", "an autoregressive generator, rollouts")
    assert entry["settings"][0] == {"name": "estimator.rollout.samples", "here": 4, "paper": "16"}
    assert entry["measured"] == MEASURED["recipes"]["rolling"]


def test_recipes_list_shows_the_needs_and_why_a_recipe_is_broken(ganlm: Ganlm, plugin: Path) -> None:
    plugin.with_suffix(".toml").write_text("[about]\nneed = ''\n")
    code, out, _ = ganlm("recipes", "list", "--plugin", plugin)
    header, *rows = out.splitlines()
    assert (code, header.split()) == (0, ["name", "summary", "paper", "needs"])
    assert rows[0].endswith("  an autoregressive generator")
    (broken,) = (row for row in rows if row.startswith("rolling "))
    assert "  there is no key 'need' in [about]; did you mean 'needs'?" in broken
    code, out, _ = ganlm("recipes", "validate", "--plugin", plugin)
    assert code == 2
    assert "\nrolling: there is no key 'need' in [about]; did you mean 'needs'? the keys are " in out
