"""Recipes: the [about] table, the settings beside the paper's, the measured results, and the method's name."""

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest

from ganlm_core.config.recipes import About, Setting, beside_paper, check_about, choices_of, measured, method_of
from ganlm_core.config.run_config import make_config, parse_toml
from ganlm_core.errors import OptionError, UnknownName
from ganlm_core.plugins.host import Host, default_host
from tests.conftest import Ganlm

RECIPE = """
[about]
summary = "rolls out"
paper = "Yu et al. 2017, Alg. 1"
needs = "an autoregressive generator, rollouts"

[about.paper_values]
"training.batch_size" = "64"
"estimator.rollout.samples" = "16"
"training.clip" = "none"
"optimizer.generator.sgd.lr" = "0.01"
"discriminator" = "a CNN with highway layers"

[algorithm.adversarial]

[estimator.rollout]
samples = 4

[optimizer.generator.adam]
schedule = "cosine"

[training]
batch_size = 32
prior = false
"""
PLUGIN = """
from pathlib import Path
from ganlm_core.hookspecs import hookimpl

@hookimpl
def ganlm_recipes():
    yield Path(__file__).with_name("rolling.toml")
"""
MEASURED: dict[str, Any] = {
    "columns": ["grammatical"],
    "recipes": {
        "rolling": {
            "grammar": {
                "before": {"valid": 0.5, "zebra": 3.0},
                "after": {"valid": 0.625, "test_nll": 1.8},
                "seed": 7,
                "cpu_seconds": 123.4,
                "command": "ganlm run --recipe rolling --seed 7",
            }
        }
    },
}


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """A plugin with the recipe above."""
    (tmp_path / "rolling.toml").write_text(RECIPE)
    path = tmp_path / "rolling.py"
    path.write_text(PLUGIN)
    return path


@pytest.fixture
def host(plugin: Path) -> Host:
    return Host.discover([plugin], no_plugins=True)


def test_choices_of_gives_only_the_sections_that_the_recipe_sets(host: Host) -> None:
    assert choices_of(host, "rolling") == {
        "algorithm": "adversarial",
        "estimator": "rollout",
        "optimizer.generator": "adam",
    }


def test_beside_paper_lists_the_settings_of_recipe_and_paper_in_the_order_of_a_configuration(host: Host) -> None:
    assert beside_paper(host, "rolling") == [
        Setting("estimator.rollout.samples", 4, "16"),
        Setting("optimizer.generator.adam.schedule", "cosine", None),
        Setting("training.batch_size", 32, "64"),
        Setting("training.clip", 5.0, "none"),
        Setting("training.prior", False, None),
        Setting("discriminator", "conv", "a CNN with highway layers"),
        Setting("optimizer.generator.sgd.lr", None, "0.01"),
    ]


@pytest.mark.parametrize(
    ("settings", "method"),
    [
        ({}, "rolling"),
        ({"generator": "mlp", "loss": "non-saturating", "estimator": "rollout", "steps": 7}, "rolling"),
        ({"loss": "hinge"}, "rolling with loss hinge"),
        ({"estimator": "gumbel", "penalty": "r1"}, "rolling with penalty r1, estimator gumbel"),
        ({"algorithm": "mle", "loss": "hinge"}, "rolling with algorithm mle, loss hinge"),
    ],
)
def test_a_method_is_named_by_its_recipe_and_what_differs_from_it(
    host: Host, settings: dict[str, Any], method: str
) -> None:
    config = make_config(recipe="rolling", host=host, **settings)
    assert method_of(config, host) == method
    assert method_of(config.to_dict(), host) == method


def test_a_method_whose_recipe_is_missing_or_broken_names_all_of_its_choices(host: Host, plugin: Path) -> None:
    config = make_config(recipe="rolling", host=host)
    method = "rolling with algorithm adversarial, loss non-saturating, penalty none, estimator rollout"
    assert method_of(config) == method
    plugin.with_suffix(".toml").write_text("[")
    assert method_of(config, host) == method


def about(toml: str) -> dict[str, Any]:
    return parse_toml(f"[about]\n{toml}", "the test")


@pytest.mark.parametrize(
    ("toml", "error", "message"),
    [
        (
            'need = "x"',
            UnknownName,
            "there is no key of [about] 'need'; did you mean 'needs'? the keys are summary, paper, needs, paper_values",
        ),
        ("paper = 2017", OptionError, "about.paper is 2017; wanted text in quotes"),
        (
            'paper_values = "many"',
            OptionError,
            "about.paper_values is 'many'; wanted a table of settings and the paper's values",
        ),
        (
            'paper_values."training.steps" = 9',
            OptionError,
            'about.paper_values."training.steps" is 9; wanted text in quotes',
        ),
        (
            'paper_values.training.steps = "9"',
            OptionError,
            "about.paper_values.\"training\" is {'steps': '9'}; wanted text in quotes",
        ),
        (
            'paper_values."training.step" = "9"',
            UnknownName,
            "there is no training option 'step'; did you mean 'steps'? it takes steps, batch-size, ",
        ),
        (
            'paper_values."estimator.rollouts.samples" = "9"',
            UnknownName,
            "there is no estimator 'rollouts'; did you mean 'rollout'? 'ganlm list estimator' shows them",
        ),
        (
            'paper_values."estimator.rollout.sample" = "9"',
            UnknownName,
            "there is no estimator 'rollout' option 'sample'; did you mean 'samples'? "
            "it takes samples, baseline, decay, rank, chunk",
        ),
        *(
            (
                f'paper_values."{setting}" = "9"',
                OptionError,
                f"about.paper_values has '{setting}'; wanted a section, such as discriminator, or an option by its "
                "place, such as training.batch_size or estimator.rollout.samples",
            )
            for setting in ("batch_size", "estimator.samples", "estimators.rollout.samples", "", ".", "optimizer")
        ),
    ],
)
def test_validate_refuses_a_wrong_about_table(toml: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        check_about(default_host(), about(toml))
    assert str(caught.value).startswith(message)


def test_about_that_is_not_a_table_is_refused() -> None:
    with pytest.raises(OptionError) as caught:
        About.of({"about": "me"})
    assert str(caught.value) == "about is 'me'; wanted a table with any of summary, paper, needs, paper_values"


def test_the_built_in_recipes_fill_in_every_key_of_about() -> None:
    host = default_host()
    for path in host.recipes().values():
        said = About.of(parse_toml(path.read_text(), str(path)))
        assert said.summary and said.paper and said.needs and said.paper_values, path
        check_about(host, parse_toml(path.read_text(), str(path)))


@pytest.mark.parametrize("content", [None, "{", "[]", '{"recipes": {"other": {}}}', '{"recipes": 3}'])
def test_measured_is_empty_without_readable_results(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "measured.json").write_text(content)
    assert measured(tmp_path / "rolling.toml") == {}


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
        """
    )
    assert out == start
    plugin.with_name("measured.json").write_text(json.dumps(MEASURED))
    assert ganlm("show", "rolling", "--plugin", plugin)[1] == start + textwrap.dedent(
        """
        measured on  training  valid  held-out NLL  zebra
        grammar      before    50.0%  -             3.00
        grammar      after     62.5%  1.80          -
        ganlm run --recipe rolling --seed 7  # seed 7, 123 CPU seconds
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
    assert "  there is no key of [about] 'need'; did you mean 'needs'?" in broken
    code, out, _ = ganlm("recipes", "validate", "--plugin", plugin)
    assert code == 2
    assert "\nrolling: there is no key of [about] 'need'; did you mean 'needs'? the keys are " in out
