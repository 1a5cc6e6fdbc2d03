"""The settings that a plan varies: names of flags, places in a configuration, lists in flags."""

from typing import Any

import pytest

from ganlm_core.errors import GanlmError, OptionError, UnknownName, UsageError
from ganlm_core.plugins.host import default_host
from ganlm_core.sweep.settings import Place, configured, has_ranges, label, parse, place_of, values_of


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("seed", ("training", "training", "seed")),
        ("training.batch_size", ("training", "training", "batch_size")),
        ("gen", ("generator", "", "")),
        ("gen.hidden-size", ("generator", "*", "hidden-size")),
        ("generator.lstm.hidden_size", ("generator", "lstm", "hidden_size")),
        ("gen-optimizer.lr", ("optimizer.generator", "*", "lr")),
        ("optimizer.generator_warmup.weight-decay", ("optimizer.generator_warmup", "*", "weight-decay")),
        ("optimizer.mediator.adam.lr", ("optimizer.mediator", "adam", "lr")),
        ("optimizer.generator.adam.lr", ("optimizer.generator", "adam", "lr")),
        ("recipe", ("recipe", "", "")),
    ],
)
def test_a_setting_has_the_name_of_a_flag_or_a_place(key: str, place: tuple[str, str, str]) -> None:
    assert place_of(key) == Place(*place)


def test_an_unknown_setting_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(UnknownName, match="there is no setting 'sede'; did you mean 'seed'"):
        place_of("sede")


def test_options_hold_for_the_component_that_the_same_run_chooses() -> None:
    """The order of the settings does not matter."""
    config = configured(default_host(), [], {"gen.hidden-size": "16", "gen": "transformer", "steps": 7})
    assert (config.generator.name, config.generator.options.as_dict()["hidden_size"]) == ("transformer", 16)
    assert config.training.steps == 7


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"steps": [1, 2]}, OptionError, r"steps is \[1, 2\]; one value is wanted here"),
        ({"gen": 3}, OptionError, "gen is 3; wanted a name in quotes"),
        ({"gen.hidden-sise": 3}, UnknownName, "did you mean 'hidden-size'"),
        ({"recipe": "mel"}, UnknownName, "did you mean 'mle'"),
    ],
)
def test_wrong_values_are_refused(settings: dict[str, Any], error: type[GanlmError], message: str) -> None:
    with pytest.raises(error, match=message):
        configured(default_host(), [], settings)


def test_flags_become_settings() -> None:
    words = ["--seed", "0..2", "--gen.hidden-size=8,16", "--compile", "--no-prior", "--gen.no-tie"]
    assert parse(words) == {
        "seed": "0..2",
        "gen.hidden-size": "8,16",
        "compile": "true",
        "prior": "false",
        "gen.tie": "false",
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [(["mle"], "'mle' is no flag"), (["--seed", "1", "--seed", "2"], "--seed is there twice; give its values once")],
)
def test_words_that_are_no_settings_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(words)


def test_a_flag_has_several_values() -> None:
    assert values_of("0..3,7") == ["0", "1", "2", "3", "7"]
    assert values_of("mle, seqgan") == ["mle", "seqgan"]
    with pytest.raises(UsageError, match=r"4\.\.1 is no range"):
        values_of("4..1")
    with pytest.raises(UsageError, match=r"^0\.\.10000 has 10,001 values; a range has 10,000 at most$"):
        values_of("0..10000")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0..4", True), ("0..2, 7,0.5,-1", True), ("4..1", True), ("0,1", False), ("0.5", False), ("../a,b", False),
     ("^a{1,3}..$", False), ("0..4,x", False), ("..", False)],
)  # fmt: skip
def test_a_text_has_ranges_if_all_of_it_is_numbers(text: str, expected: bool) -> None:
    assert has_ranges(text) == expected


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("recipe", "seqgan", "seqgan"),
        ("seed", 3, "seed3"),
        ("gen.hidden-size", 64, "hidden-size64"),
        ("data", "/x/my text.txt", "my-text"),
        ("gen", "../x", "x"),
    ],
)
def test_labels_are_names_of_files(key: str, value: Any, expected: str) -> None:
    assert label(key, value) == expected


def test_bundles_to_start_from_are_one_table_in_any_order() -> None:
    one, other = "zoo:lstm-conv.autoregressive-grammar", "zoo:lstm-conv.seqgan-grammar"
    for given in ({"from": one, "from-disc": other}, {"from-disc": other, "from": one}):
        start = configured(default_host(), [], {**given, "grow-vocabulary": "true"}).start
        assert (start.generator, start.discriminator, start.grow_vocabulary) == (one, other, True)
    assert configured(default_host(), [], {"from": ""}) == configured(default_host(), [], {})
    assert label("from", one) == "from-zoo-lstm-conv.autoregressive-grammar"
    assert label("from-gen", "/data/friends/bundle.v2") == "from-gen-bundle.v2" and label("from", "") == "from-nothing"


def test_a_plan_may_vary_rewards_and_their_options() -> None:
    host = default_host()
    config = configured(host, [], {"reward.regex.pattern": "cat", "reward": "length", "reward-weight": "0.2"})
    assert config.rewards["regex"].options.as_dict() == {"weight": 1.0, "pattern": "cat"}
    assert config.rewards.keys() == {"regex", "length"}
    assert config.training.reward_weight == 0.2
