"""Resolving layers to a configuration: precedence, every kind of error, and the round trip through TOML."""

import os
import random
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ganlm_core.config import run_config as configuration
from ganlm_core.config.make_config import make_config
from ganlm_core.config.run_config import (
    Layer,
    RunConfig,
    corpus_from,
    data_layer,
    difference,
    override,
    resolve,
)
from ganlm_core.errors import GanlmError, OptionError, UnknownName, UsageError
from ganlm_core.plugins.host import Host


def options(config: RunConfig, section: str) -> dict[str, Any]:
    return config.choices()[section].options.as_dict()


def test_a_generator_brings_its_recipe_and_the_rest_comes_from_the_defaults(host: Host) -> None:
    config = resolve(host, [{"generator": {"tall": {}}}])
    assert config.recipe == "towers"
    assert (config.generator.name, options(config, "generator")) == ("tall", {"height": 5, "shade": "red"})
    assert config.loss.name == "hinge"
    assert (config.training.steps, config.training.batch_size, config.training.noise_size) == (50, 8, 32)
    rest = [section for section in configuration.DEFAULTS if section not in ("generator", "loss")]
    assert {section: config.choices()[section].name for section in rest} == {
        section: configuration.DEFAULTS[section] for section in rest
    }


def test_the_defaults_are_lstm_against_conv_with_the_autoregressive_recipe(host: Host) -> None:
    config = resolve(host, [])
    assert (config.generator.name, config.discriminator.name, config.recipe) == ("lstm", "conv", "autoregressive")


def test_later_layers_win_option_by_option(host: Host) -> None:
    config = resolve(
        host,
        [
            {"recipe": "towers"},
            {"generator": {"tall": {"height": 6}}, "training": {"steps": 60}},
            {"generator": {"tall": {"height": 7}}, "training": {"batch-size": 9}},
        ],
    )
    assert options(config, "generator") == {"height": 7, "shade": "red"}
    assert (config.training.steps, config.training.batch_size) == (60, 9)


def test_another_name_drops_the_options_of_the_old_one(host: Host) -> None:
    layers: list[Layer] = [{"recipe": "towers"}, {"generator": {"wide": {}}}, {"generator": {"tall": {}}}]
    assert options(resolve(host, layers[:2]), "generator") == {"width": 1}
    assert options(resolve(host, layers), "generator") == {"height": 1, "shade": "blue"}


def test_a_star_sets_options_of_the_chosen_name(host: Host) -> None:
    layers: list[Layer] = [
        {"recipe": "towers"},
        {"generator": {"*": {"height": 9}}, "optimizer": {"generator": {"*": {"lr": 0.5}}}},
    ]
    config = resolve(host, layers)
    assert options(config, "generator") == {"height": 9, "shade": "red"}
    assert options(config, "optimizer.generator")["lr"] == 0.5


def test_a_named_recipe_wins_over_the_recipe_of_the_generator(host: Host) -> None:
    config = resolve(host, [{"recipe": "autoregressive"}, {"generator": {"tall": {}}}])
    assert config.recipe == "autoregressive"
    assert options(config, "generator") == {"height": 1, "shade": "blue"}


def test_an_extra_network_gets_its_own_optimizer_section(host: Host) -> None:
    config = resolve(host, [{"optimizer": {"manager": {"sgd": {"momentum": 0.5}}}}])
    assert list(config.optimizers) == ["generator", "discriminator", "generator_warmup", "manager"]
    assert options(config, "optimizer.manager")["momentum"] == 0.5


WRONG: dict[str, tuple[dict[str, Any], type[GanlmError], str]] = {
    "section": (
        {"genrator": {}},
        UnknownName,
        "there is no configuration section 'genrator'; did you mean 'generator'? the sections are ",
    ),
    "component": (
        {"generator": {"lsmt": {}}},
        UnknownName,
        "there is no generator 'lsmt'; did you mean 'lstm'? 'ganlm list generator' shows them",
    ),
    "tokenizer": (
        {"tokenizer": {"chars": {}}},
        UnknownName,
        "there is no tokenizer 'chars'; did you mean 'char'? 'ganlm list tokenizer' shows them",
    ),
    "optimiser": (
        {"optimizer": {"generator": {"adm": {}}}},
        UnknownName,
        "there is no optimizer 'adm'; did you mean 'adam'? 'ganlm list optimizer' shows them",
    ),
    "recipe": (
        {"recipe": "tower"},
        UnknownName,
        "there is no recipe 'tower'; did you mean 'towers'? 'ganlm recipes list' shows them; --config takes a file",
    ),
    "option": (
        {"generator": {"tall": {"hight": 2}}},
        UnknownName,
        "there is no generator 'tall' option 'hight'; did you mean 'height'? it takes height, shade",
    ),
    "option of another": (
        {"generator": {"tall": {"width": 2}}},
        UsageError,
        "width is not an option of generator 'tall'; it belongs to 'wide': choose it with --gen wide",
    ),
    "optimiser option of another": (
        {"optimizer": {"discriminator": {"adam": {"nesterov": True}}}},
        UsageError,
        "nesterov is not an option of discriminator optimizer 'adam'; it belongs to 'sgd': "
        "choose it with --disc-optimizer sgd",
    ),
    "training option": (
        {"training": {"step": 2}},
        UnknownName,
        "there is no training option 'step'; did you mean 'steps'? it takes steps, ",
    ),
    "value": (
        {"generator": {"tall": {"height": 0}}},
        OptionError,
        "generator 'tall': height is 0; 0 is not in the range x>=1",
    ),
    "two names": (
        {"generator": {"tall": {}, "wide": {}}},
        UsageError,
        "[generator] chooses 'tall' and 'wide'; keep one of them",
    ),
    "empty name": (
        {"generator": {"": {"height": 3}}},
        UsageError,
        "[generator.\"\"] has an empty name; 'ganlm list generator' shows the names",
    ),
    "no table": (
        {"generator": "tall"},
        OptionError,
        "generator is 'tall'; wanted a table, such as [generator.lstm], [optimizer.generator.adam] or [training]",
    ),
    "options without a name": (
        {"generator": {"height": 3}},
        OptionError,
        "generator.height is 3; wanted a table, such as ",
    ),
}


@pytest.mark.parametrize(("layer", "error", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_layer_is_refused(host: Host, layer: dict[str, Any], error: type[GanlmError], message: str) -> None:
    with pytest.raises(error) as caught:
        resolve(host, [layer])
    assert type(caught.value) is error
    assert str(caught.value).startswith(message)


def test_a_recipe_that_is_not_toml_is_named(host: Host) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(host, [{"recipe": "bad"}])
    assert str(caught.value).startswith(f"{host.recipes()['bad']} is not valid TOML (Expected ']'")


def test_the_toml_round_trip_is_equal_and_gives_the_same_text(host: Host) -> None:
    config = make_config("tall", "mlp", host=host, generator_options={"shade": 'a "quoted" name'})
    text = config.to_toml()
    again = RunConfig.from_toml(host, text)
    assert again == config
    assert again.to_toml() == text
    assert resolve(host, [tomllib.loads(text)]) == config


def test_a_resolved_file_does_not_need_its_recipe(host: Host) -> None:
    text = make_config("tall", host=host).to_toml().replace('"towers"', '"lost"')
    assert RunConfig.from_toml(host, text).recipe == "lost"


def test_a_resolved_file_names_every_option(host: Host) -> None:
    config = make_config(host=host)
    tables = tomllib.loads(config.to_toml())
    assert set(tables) == {"recipe", "training", "optimizer", *configuration.KIND_SECTIONS, "tokenizer"}
    assert tables["generator"]["lstm"].keys() == {option.name for option in config.generator.options.fields()}
    assert tables["penalty"] == {"none": {}}


def test_differences_are_named_one_by_one(host: Host) -> None:
    old = make_config("tall", host=host)
    new = override(
        host,
        old,
        [
            {
                "generator": {"tall": {"height": 8}},
                "loss": {"wasserstein": {}},
                "optimizer": {"critic": {"adam": {}}},
                "training": {"steps": 7},
            }
        ],
    )
    assert difference(old, new) == [
        "loss: hinge -> wasserstein",
        "optimizer.critic: nothing -> adam",
        "generator.tall.height: 5 -> 8",
        "training.steps: 50 -> 7",
    ]
    assert difference(old, old) == []


def test_data_is_a_corpus_a_file_or_standard_input(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sentences").touch()
    assert data_layer(host, "oracle") == {"corpus": {"oracle": {}}}
    for path in ("sentences", "-", "missing/sentences", "missing.txt"):
        assert data_layer(host, path) == {"corpus": {"file": {"path": path}}}
    with pytest.raises(UnknownName) as caught:
        data_layer(host, "gramar")
    assert str(caught.value) == (
        "there is no corpus 'gramar'; did you mean 'grammar'? "
        "the corpora are file, grammar, molecules, oracle, passwords, and there is no such file"
    )
    (tmp_path / "oracle").touch()
    (tmp_path / "file").mkdir()
    with pytest.raises(UsageError) as both:
        data_layer(host, "oracle")
    message = "'oracle' is a corpus and a file here; --data ./oracle reads the file, or rename it"
    assert str(both.value) == message
    assert data_layer(host, "./oracle") == {"corpus": {"file": {"path": "./oracle"}}}
    assert data_layer(host, "file") == {"corpus": {"file": {}}}


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda path: None, "is missing; give a TOML file"),
        (lambda path: path.mkdir(), "is not a plain file; give a TOML file"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "is not UTF-8 text; give a TOML file"),
        (os.mkfifo, "is not a plain file; give a TOML file"),
        (lambda path: path.write_text("#" * (2**20 + 1)), "has 1048577 bytes, more than the 1048576 allowed; give a"),
        (lambda path: path.write_text("steps 3"), "is not valid TOML (Expected '=' after a key"),
        (
            lambda path: path.write_text("a=" + "[" * 100_000),
            "is not valid TOML (line 1 nests deeper than the 8 levels",
        ),
        (lambda path: path.write_text("a=" + "{b=" * 5000), "is not valid TOML (line 1 nests deeper than the 8 levels"),
        (
            lambda path: path.write_text("a" + ".a" * 20_000 + "=1"),
            "is not valid TOML (line 1 has a key of 20001 parts",
        ),
        (
            lambda path: path.write_text("[" + "a." * 20_000 + "a]"),
            "is not valid TOML (line 1 has a key of 20001 parts",
        ),
        (lambda path: path.write_text("a=" + "9" * 5001), "is not valid TOML (Exceeds the limit"),
    ],
)
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, prepare: Callable[[Path], Any], message: str) -> None:
    path = tmp_path / "mine.toml"
    prepare(path)
    with pytest.raises(UsageError) as caught:
        configuration.read_layer(path)
    assert str(caught.value).startswith(f"{path} {message}")


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xef\xbb\xbf[training]\nsteps = 7\n")
    assert configuration.read_layer(path) == {"training": {"steps": 7}}


def test_a_long_value_is_cut_in_the_message(host: Host) -> None:
    with pytest.raises(OptionError) as caught:
        resolve(host, [{"generator": "x" * 100_000}])
    assert len(str(caught.value)) < 300


def test_a_recipe_that_is_no_name_is_refused(host: Host) -> None:
    for read in (lambda layer: resolve(host, [layer]), lambda layer: override(host, make_config(host=host), [layer])):
        with pytest.raises(OptionError, match=r"^recipe is \['towers'\]; wanted the name of a recipe in quotes$"):
            read({"recipe": ["towers"]})
        with pytest.raises(OptionError, match=r"^recipe is ''; wanted the name of a recipe in quotes$"):
            read({"recipe": ""})


def test_damaged_configurations_are_read_or_refused_and_nothing_else(host: Host) -> None:
    """300 files with random bytes changed, removed and repeated: no error but a GanlmError."""
    rng, text = random.Random(0), make_config("tall", host=host).to_toml()
    refused = 0
    for _ in range(300):
        damaged = list(text)
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(damaged))
            damaged[place : place + rng.randint(0, 5)] = rng.choice(
                ["", "[", "]", "=", ".", "\x00", "'", "1e999", "nan"]
            )
        try:
            RunConfig.from_toml(host, "".join(damaged))
        except GanlmError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 1000
    assert refused > 100


def test_a_corpus_is_built_by_its_name_or_file(host: Host, tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("review,kind\n" + "".join(f"text {number},{'ab'[number % 2]}\n" for number in range(200)))
    reading = {"column": "review", "label": "kind"}
    assert corpus_from(host, str(file), **reading).labels == ("a", "b")
    assert corpus_from(host, "grammar", column="review", label="number").labels == ("plural", "singular")
    assert corpus_from(host, "grammar", label="").labels == corpus_from(host, "passwords", **reading).labels == ()
