"""Options of training and optimisers: the names of torch.optim's arguments, and the range of each value."""

import inspect

import pytest
import torch

from ganlm_core.config.options import OPTIMIZERS, OptimizerOptions, TrainingOptions
from ganlm_core.errors import OptionError

SCHEDULE = {option.name for option in OptimizerOptions.fields()} - {"lr"}
"""Options of the learning rate schedule, which torch.optim does not have."""

IN_TORCH = {name.lower(): value for name, value in vars(torch.optim).items() if inspect.isclass(value)}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_options_of_an_optimizer_are_arguments_of_its_torch_class(name: str) -> None:
    accepted = set(inspect.signature(IN_TORCH[name]).parameters)
    if "betas" in accepted:
        accepted |= {"beta1", "beta2"}
    assert {option.name for option in OPTIMIZERS[name].fields()} - SCHEDULE <= accepted


@pytest.mark.parametrize(
    ("setting", "value"),
    [("steps", 0), ("seed", -1), ("seed", 2**63), ("ema", 1.5), ("keep", "first"), ("clip", float("nan"))],
)
def test_training_refuses_a_value_out_of_range(setting: str, value: object) -> None:
    with pytest.raises(OptionError, match=f"^training: {setting} is {value!r}"):
        TrainingOptions.of({setting: value}, "training")


def test_adam_divides_by_more_than_zero() -> None:
    """A parameter whose gradient is always 0 would become 0 / 0."""
    with pytest.raises(OptionError, match=r"^adam: eps is 0"):
        OPTIMIZERS["adam"].of({"eps": 0}, "adam")


def test_each_training_option_has_one_line_of_help() -> None:
    for option in TrainingOptions.fields():
        assert option.help and "\n" not in option.help and not option.help.endswith("."), option.name
