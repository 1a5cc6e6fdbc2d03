"""``make_config``: a configuration from Python, with arguments of every type."""

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch

from ganlm_core.config.make_config import make_config
from ganlm_core.config.options import TrainingOptions
from ganlm_core.config.run_config import DEFAULTS, WARMUPS, resolve
from ganlm_core.errors import OptionError, UnknownName, UsageError
from ganlm_core.plugins.host import Host, default_host
from tests.config.test_run_config import options


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"data": ["a b"]}, "data is ['a b']; wanted the name of a corpus, or a file"),
        ({"generator": 5}, "generator is 5; wanted a name"),
        ({"loss": ["hinge"]}, "loss is ['hinge']; wanted a name"),
        ({"generator_options": None}, "generator_options is None; wanted a dict of options by their names"),
        ({"generator_options": {1: 2}}, "generator_options is {1: 2}; wanted a dict of options by their names"),
        ({"reward": "regex"}, "reward is 'regex'; wanted a dict of rewards by their names"),
        ({"reward": {3: {}}}, "reward is {3: {}}; wanted a dict of rewards by their names"),
        ({"reward": {"regex": None}}, "reward 'regex' is None; wanted a dict of options by their names"),
        ({"host": "x"}, "host is 'x'; wanted a Host, such as Host.discover()"),
        ({"device": 3}, "device is 3; wanted auto, cpu, cuda, cuda:N or mps"),
        ({"data": "a\0b"}, r"data is 'a\x00b'; no file can have this name"),
    ],
)
def test_a_setting_of_another_type_is_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(OptionError) as caught:
        make_config(**settings)
    assert str(caught.value) == told


def test_make_config_takes_names_options_and_training_settings(host: Host) -> None:
    config = make_config(
        "lstm",
        "mlp",
        data="oracle",
        host=host,
        steps=7,
        prior=False,
        loss="hinge",
        corpus_options={"length": 5},
        generator_options={"hidden_size": 12},
        discriminator_optimizer="sgd",
        discriminator_optimizer_options={"lr": 0.25},
    )
    assert (config.generator.name, config.discriminator.name, config.loss.name) == ("lstm", "mlp", "hinge")
    assert options(config, "generator")["hidden_size"] == 12
    assert (config.corpus.name, options(config, "corpus")["length"]) == ("oracle", 5)
    assert config.optimizers["discriminator"].name == "sgd"
    assert options(config, "optimizer.discriminator")["lr"] == 0.25
    assert (config.training.steps, config.training.prior) == (7, False)


def test_make_config_takes_the_optimiser_of_the_warm_up(host: Host) -> None:
    config = make_config("lstm", generator_warmup_optimizer_options={"lr": 0.25}, host=host)
    assert config.optimizers["generator_warmup"].options.as_dict()["lr"] == 0.25


def test_make_config_takes_everything_else_from_the_recipe(host: Host) -> None:
    assert make_config(recipe="towers", host=host).generator.name == "tall"
    for recipe in default_host().recipes():
        assert make_config(recipe=recipe) == resolve(default_host(), [{"recipe": recipe}])


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"corpus": "grammar", "data": "lab.csv"}, "data is 'lab.csv' and corpus is 'grammar'; give one of them"),
        (
            {"data": "lab.csv", "corpus_options": {"path": "other.csv"}},
            "data is 'lab.csv' and the path in corpus_options is 'other.csv'; give one of them",
        ),
    ],
)
def test_make_config_takes_one_text(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_config(**settings)
    assert str(caught.value) == told


def test_make_config_finds_a_file_from_any_working_folder(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("names.txt").write_text("the dog sleeps .\n" * 20)
    config = make_config(data=Path("names.txt"), host=host)
    monkeypatch.chdir("/")
    assert options(config, "corpus")["path"] == str(tmp_path / "names.txt")
    assert options(make_config(data="-", host=host), "corpus")["path"] == "-"


def test_make_config_takes_a_device_of_torch(host: Host) -> None:
    assert make_config(device=torch.device("cpu"), host=host).training.device == "cpu"


def test_the_help_of_make_config_names_every_setting() -> None:
    told = inspect.getdoc(make_config) or ""
    for option in TrainingOptions.fields():
        assert f"\n{option.name} = {option.default!r}: {option.help}" in told
    for section in (*DEFAULTS, *WARMUPS):
        keyword = "_".join(reversed(section.split(".")))
        assert keyword in inspect.signature(make_config).parameters or f"``{keyword}``" in told


def test_make_config_suggests_the_nearest_setting(host: Host) -> None:
    with pytest.raises(UnknownName) as caught:
        make_config(host=host, generator_option={})
    assert str(caught.value) == (
        "there is no setting 'generator_option'; did you mean 'generator_options'? "
        "help(ganlm_core.make_config) shows them"
    )
