"""Optimisers by name, and their learning rate schedules."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from ganlm_core.config.options import OPTIMIZERS, OptimizerOptions
from ganlm_core.config.run_config import Choice
from ganlm_core.training.optimizers import ScheduledOptimizer, build_optimizer, rate_factor

STEPS = 100
CLASSES = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
    "adamax": torch.optim.Adamax,
    "nadam": torch.optim.NAdam,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
    "lbfgs": torch.optim.LBFGS,
}


def build(name: str, parameters: list[nn.Parameter], **options: Any) -> ScheduledOptimizer:
    return build_optimizer(Choice(name, OPTIMIZERS[name](**options)), parameters, last=STEPS - 1)


def factors(steps: list[int], **options: Any) -> Any:
    return [rate_factor(OptimizerOptions(**options), step, STEPS) for step in steps]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [1, 1, 1, 1]),
        ({"final_lr": 0.5}, [1, 1, 1, 1]),
        ({"schedule": "linear"}, [1, 0.75, 0.5, 0.01]),
        ({"schedule": "linear", "final_lr": 0.2}, [1, 0.8, 0.6, 0.208]),
        ({"schedule": "cosine"}, [1, (1 + 0.5**0.5) / 2, 0.5, 0.000246720]),
        ({"schedule": "cosine", "final_lr": 0.5}, [1, 0.5 + (1 + 0.5**0.5) / 4, 0.75, 0.500123360]),
    ],
)
def test_the_rate_at_the_start_at_a_quarter_in_the_middle_and_at_the_last_step(
    options: dict[str, Any], expected: list[float]
) -> None:
    assert factors([0, 25, 50, STEPS - 1], **options) == pytest.approx(expected)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_the_rate_after_the_last_step_is_the_final_rate(schedule: str) -> None:
    assert factors([STEPS], schedule=schedule, final_lr=0.3) == pytest.approx([0.3])


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_a_warmup_rises_in_equal_steps_and_the_schedule_begins_after_it(schedule: str) -> None:
    options = {"warmup_steps": 4, "schedule": schedule}
    assert factors([0, 1, 2, 3, 4], **options) == [0.25, 0.5, 0.75, 1, 1]
    middle = 4 + (STEPS - 4) // 2
    assert factors([middle], **options) == pytest.approx([1 if schedule == "constant" else 0.5])


def test_a_warmup_longer_than_the_run_only_rises() -> None:
    assert factors([0, STEPS - 1], warmup_steps=2 * STEPS, schedule="cosine") == [0.005, 0.5]


def test_the_rate_of_a_step_is_its_factor_times_the_learning_rate() -> None:
    scheduled = build("sgd", [nn.Parameter(torch.zeros(1))], lr=0.4, schedule="linear")
    scheduled.set_learning_rate(25)
    assert scheduled.optimizer.param_groups[0]["lr"] == pytest.approx(0.3)
    scheduled.set_learning_rate(0)
    assert scheduled.optimizer.param_groups[0]["lr"] == pytest.approx(0.4)


@pytest.mark.parametrize(
    "options", [{"schedule": "linear"}, {"schedule": "cosine", "final_lr": 0.5}, {"warmup_steps": 200}]
)
def test_a_schedule_keeps_its_last_rate_after_its_steps(options: dict[str, Any]) -> None:
    scheduled = build("sgd", [nn.Parameter(torch.zeros(1))], lr=0.4, **options)
    scheduled.set_learning_rate(STEPS - 1)
    last = scheduled.optimizer.param_groups[0]["lr"]
    for step in (STEPS, 5 * STEPS):
        scheduled.set_learning_rate(step)
        assert scheduled.optimizer.param_groups[0]["lr"] == last


def test_a_schedule_runs_over_its_own_steps_of_the_run() -> None:
    scheduled = replace(build("sgd", [nn.Parameter(torch.zeros(1))], lr=0.4, schedule="linear"), first=50, last=89)
    rates = []
    for step in (0, 50, 60, 89, 99):
        scheduled.set_learning_rate(step)
        rates.append(scheduled.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.4, 0.4, 0.3, 0.01, 0.01])


def test_every_optimizer_that_can_be_named_is_tested_here() -> None:
    assert OPTIMIZERS.keys() == CLASSES.keys()


@pytest.mark.parametrize("name", CLASSES)
def test_each_name_is_torchs_optimizer_and_goes_down_a_valley(name: str) -> None:
    """x^2 + 10 y^2 from (3, 2), a value of 49, at the rate of 0.05 that suits all of them but two."""
    point = nn.Parameter(torch.tensor([3.0, 2.0]))
    optimizer = build(name, [point], lr=1.0 if name in ("adadelta", "lbfgs") else 0.05).optimizer
    assert type(optimizer) is CLASSES[name]

    def closure() -> float:
        optimizer.zero_grad()
        value = (torch.tensor([1.0, 10.0]) * point.square()).sum()
        value.backward()
        return value.item()

    values = [optimizer.step(closure) for _ in range(60)]
    assert values[0] == 49
    assert values[-1] < (45 if name in ("adadelta", "adagrad") else 20)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("adam", {"beta1": 0.5, "beta2": 0.9, "eps": 1e-6}, {"betas": (0.5, 0.9), "eps": 1e-6, "fused": True}),
        ("adamw", {"weight_decay": 0.1}, {"weight_decay": 0.1, "fused": True}),
        ("adamax", {"beta2": 0.99}, {"betas": (0.9, 0.99)}),
        ("nadam", {"beta1": 0.8}, {"betas": (0.8, 0.999)}),
        ("adagrad", {"weight_decay": 0.2}, {"weight_decay": 0.2}),
        ("adadelta", {"rho": 0.8}, {"rho": 0.8}),
        ("rmsprop", {"alpha": 0.9, "momentum": 0.3}, {"alpha": 0.9, "momentum": 0.3}),
        ("sgd", {"momentum": 0.8, "nesterov": False}, {"momentum": 0.8, "nesterov": False}),
        ("lbfgs", {"max_iter": 7, "history_size": 3}, {"max_iter": 7, "history_size": 3}),
    ],
)
def test_options_reach_torch(name: str, options: dict[str, Any], expected: dict[str, Any]) -> None:
    (group,) = build(name, [nn.Parameter(torch.zeros(2))], lr=0.125, **options).optimizer.param_groups
    assert {key: group[key] for key in (*expected, "lr")} == expected | {"lr": 0.125}


@pytest.mark.parametrize(("nesterov", "moved"), [(True, 0.1 * (1 + 0.9)), (False, 0.1)])
def test_nesterovs_first_step_looks_ahead(nesterov: bool, moved: float) -> None:
    point = nn.Parameter(torch.zeros(1))
    point.grad = -torch.ones(1)
    build("sgd", [point], lr=0.1, momentum=0.9, nesterov=nesterov).optimizer.step()
    assert point.item() == pytest.approx(moved)


def test_without_momentum_nesterov_is_left_out() -> None:
    """Torch refuses it, and it would change nothing."""
    (group,) = build("sgd", [nn.Parameter(torch.zeros(1))], momentum=0.0, nesterov=True).optimizer.param_groups
    assert group["nesterov"] is False


@pytest.mark.parametrize("evaluations", [1, 3, 6])
def test_lbfgs_evaluates_the_loss_as_often_as_it_says(evaluations: int) -> None:
    point = nn.Parameter(torch.tensor([3.0, 2.0, -1.0]))
    optimizer = build("lbfgs", [point], lr=0.1, max_iter=evaluations).optimizer
    calls = 0

    def closure() -> float:
        nonlocal calls
        calls += 1
        optimizer.zero_grad()
        value = point.pow(4).sum()
        value.backward()
        return value.item()

    optimizer.step(closure)
    assert calls == evaluations


def test_frozen_parameters_are_left_out() -> None:
    frozen, trained = nn.Parameter(torch.zeros(2), requires_grad=False), nn.Parameter(torch.zeros(3))
    (group,) = build("adam", [frozen, trained]).optimizer.param_groups
    assert [parameter.shape for parameter in group["params"]] == [(3,)]


@pytest.mark.parametrize(
    ("device", "fused"), [("cpu", ["adam", "adamw"]), ("cuda", ["adam", "adamw", "sgd"]), ("meta", [])]
)
def test_fused_kernels_are_used_where_torch_has_them(device: str, fused: list[str]) -> None:
    """On tensors that only claim to be on CUDA."""
    with FakeTensorMode():
        built = {name: build(name, [nn.Parameter(torch.zeros(2, device=device))]).optimizer for name in CLASSES}
    assert [name for name, each in built.items() if each.param_groups[0].get("fused")] == fused
