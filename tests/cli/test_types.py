"""Types of values: numbers, lists, names."""

from typing import Any

import click
import pytest

from ganlm_core.cli.types import COUNT, SEED, SHARE, TEMPERATURE, Name, Places, Separated, settings_of
from ganlm_core.errors import UsageError
from tests.command_line import refused
from tests.conftest import Ganlm


@pytest.mark.parametrize(
    ("kind", "word", "value"),
    [
        (SEED, str(2**63 - 1), 2**63 - 1),
        (COUNT, "0", 0),
        (TEMPERATURE, "1e-45", 1e-45),
        (TEMPERATURE, "1e308", 1e308),
        (SHARE, "1", 1.0),
        (Separated(TEMPERATURE), "1.3, 0.7,1.3,", (1.3, 0.7)),
        (Separated(), "a,b", ("a", "b")),
        (Places(), "process_nll_token=9,8.736", ("process_nll_token", (9.0, 8.736))),
    ],
)
def test_values_that_fit(kind: click.ParamType, word: str, value: Any) -> None:
    assert kind.convert(word, None, None) == value


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (SEED, str(2**63)), (SEED, "-1"), (SEED, "1.5"), (COUNT, "99999999999999999999999"),
        (TEMPERATURE, "nan"), (TEMPERATURE, "inf"), (TEMPERATURE, "0"), (SHARE, "0"), (SHARE, "1.01"), (SHARE, "nan"),
        (Separated(TEMPERATURE), "1,nan"), (Separated(TEMPERATURE), "1,0"), (Separated(), ","), (Name("loss"), ""),
        (Places(), "9"), (Places(), "=9"), (Places(), "tv="), (Places(), "tv=nan"), (Places(), "tv=a"),
    ],
)  # fmt: skip
def test_values_that_do_not_fit(kind: click.ParamType, word: str) -> None:
    with pytest.raises(click.BadParameter):
        kind.convert(word, None, None)


def test_an_option_is_not_taken_for_the_name_before_it(ganlm: Ganlm) -> None:
    told = "Invalid value for '--gen': '--disc' is an option; give a value before it"
    assert refused(ganlm, "run", "--gen", "--disc", "conv") == f"{told}; 'ganlm run --help' shows what it takes"


def test_settings_are_options_with_values() -> None:
    assert settings_of(["a-b=1", "c=", "d=x=y"], "--set") == {"a_b": "1", "c": "", "d": "x=y"}
    for word in ("pattern", "=1", ""):
        with pytest.raises(UsageError) as caught:
            settings_of(["a=1", word], "--set")
        assert str(caught.value) == f"--set has '{word}'; write each option as OPTION=VALUE"


@pytest.mark.parametrize(
    "words",
    [
        "eval x --seed 99999999999999999999999", "sample x --seed 9223372036854775808", "sample x --temperature nan",
        "sample x --temperature inf", "sample x --top-p nan", "eval x --temperatures 1,inf", "bench --rounds 0",
        "run --seed 9223372036854775808", "sample x -n 99999999999999999999999", "sample x --candidates 0",
        "run --corpus.seed 99999999999999999999999", "matrix --jobs 0", "run --gen-optimizer.lr nan", "eval x -n -1",
    ],
)  # fmt: skip
def test_every_number_of_the_command_line_is_checked(ganlm: Ganlm, words: str) -> None:
    code, out, err = ganlm(*words.split())
    assert (code, out) == (2, "")
    assert err.startswith("ganlm: error: Invalid value for '-") and err.count("\n") == 1


def test_no_command_has_a_number_of_its_own() -> None:
    """click's own types let NaN through, and integers of any size."""
    from ganlm_core.cli import ganlm
    from ganlm_core.plugins.commands import COMMANDS

    context = click.Context(ganlm)
    for name in COMMANDS:
        command = ganlm.get_command(context, name)
        assert command is not None
        for each in [command, *getattr(command, "commands", {}).values()]:
            for parameter in each.params:
                assert type(parameter.type) not in (
                    type(click.INT), type(click.FLOAT), click.IntRange, click.FloatRange
                ), f"{name} {parameter.name}"  # fmt: skip
