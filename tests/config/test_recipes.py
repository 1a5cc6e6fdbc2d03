"""Recipes: the [about] table, the settings beside the paper's, the measured results, and the method's name."""

from pathlib import Path
from typing import Any

import pytest

from ganlm_core.config.make_config import make_config
from ganlm_core.config.recipes import About, Setting, beside_paper, check_about, choices_of, measured, method_of
from ganlm_core.config.run_config import parse_toml, read_recipe, resolve, settings_of
from ganlm_core.errors import OptionError, UnknownName
from ganlm_core.plugins.host import Host, default_host
from tests.rolling import write_plugin

COMPOSED = {"autoregressive", "one-shot", "discriminator"}
"""Recipes that follow several papers or a part of one, and so have no paper's objective to depart from."""


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    return write_plugin(tmp_path)


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


def test_a_method_of_an_edited_configuration_is_named_or_refused() -> None:
    assert method_of({"loss": {"hinge": {}}}) == "autoregressive with loss hinge"
    assert method_of({"recipe": {"a": []}}).startswith("{'a': []} with algorithm adversarial, ")
    with pytest.raises(OptionError, match=r"^loss is 'hinge'; wanted a table"):
        method_of({"loss": "hinge"})


def about(toml: str) -> dict[str, Any]:
    return parse_toml(f"[about]\n{toml}", "the test")


@pytest.mark.parametrize(
    ("toml", "error", "message"),
    [
        (
            'need = "x"',
            UnknownName,
            "there is no key 'need' in [about]; did you mean 'needs'? the keys are summary, paper, needs, paper_values",
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
            "there is no training option 'step'; did you mean 'steps'? it takes steps, ",
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


def test_published_methods_name_the_papers_value_of_all_that_changes_the_objective() -> None:
    host = default_host()
    assert Setting("algorithm.adversarial.anchor", 0.5, "none") in beside_paper(host, "seqgan")
    for name in host.recipes().keys() - COMPOSED:
        said, chosen = About.of(read_recipe(host, name)).paper_values, choices_of(host, name)
        for setting, value in settings_of(resolve(host, [{"recipe": name}])).items():
            section, option = setting.split(".")[0], setting.split(".")[-1]
            changes = option in ("anchor", "blur", "baseline") or (section, option) == ("penalty", "weight")
            if changes and section in chosen and value not in (0, "none"):
                assert setting in said, f"{name}: add the paper's value of {setting}"


@pytest.mark.parametrize(
    ("here", "paper", "differs"),
    [
        (0.5, None, False),
        (1.0, "1", False),
        (0.0001, "0.0001", False),
        (True, "true", False),
        ("2,3,4,5", "2,3,4,5", False),
        (0.5, "none", True),
        ("leave-one-out", "none", True),
        (2000, "199,000", True),
        (None, "0.01", True),
    ],
)
def test_a_setting_differs_if_the_papers_value_is_another(here: Any, paper: str | None, differs: bool) -> None:
    assert Setting("x", here, paper).differs is differs


@pytest.mark.parametrize(
    "content",
    [
        None,
        "{",
        "[]",
        '{"recipes": {"other": {}}}',
        '{"recipes": 3}',
        '{"recipes": {"rolling": []}}',
        '{"recipes": {"rolling": {"grammar": {}}}}',
    ],
)
def test_measured_is_empty_without_readable_results(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "measured.json").write_text(content)
    assert measured(tmp_path / "rolling.toml") == {}
