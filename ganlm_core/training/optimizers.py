"""Optimisers by name, each with a learning rate that is a pure function of the step."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from ganlm_core.config.options import (
    AdadeltaOptimizer,
    BetaOptimizer,
    DecayingOptimizer,
    LBFGSOptimizer,
    OptimizerOptions,
    RMSpropOptimizer,
    SGDOptimizer,
)
from ganlm_core.config.run_config import Choice

_CLASSES: Mapping[str, type[torch.optim.Optimizer]] = {
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
_FUSED = {"cpu": ("adam", "adamw"), "cuda": ("adam", "adamw", "sgd"), "mps": ("adam", "adamw")}
"""Optimisers that torch 2.4 has as one kernel, by device; on CUDA, other optimisers update all parameters at once."""


@dataclass(frozen=True)
class ScheduledOptimizer:
    """A torch optimiser with its learning rate schedule. Only the optimiser has state.

    The schedule runs over the steps ``first`` to ``last``, counted from 0; it keeps its last rate after them.
    """

    optimizer: torch.optim.Optimizer
    options: OptimizerOptions
    first: int
    last: int

    def set_learning_rate(self, step: int) -> None:
        """Set the rate of a step of the run, counted from 0."""
        passed, steps = min(max(step, self.first), self.last) - self.first, self.last - self.first + 1
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.lr * rate_factor(self.options, passed, steps)

    def slowed(self, factor: float) -> "ScheduledOptimizer":
        """Return this optimiser with its learning rates multiplied by ``factor``."""
        return replace(self, options=replace(self.options, lr=self.options.lr * factor))


def rate_factor(options: OptimizerOptions, step: int, steps: int) -> float:
    """Return the learning rate at ``step`` as a share of ``options.lr``: linear warm-up, then the schedule.

    Cosine: Loshchilov & Hutter 2017, eq. 5, one cycle.
    """
    if step < options.warmup_steps:
        return (step + 1) / options.warmup_steps
    passed = (step - options.warmup_steps) / max(1, steps - options.warmup_steps)
    falling = {"constant": 1.0, "linear": 1 - passed, "cosine": (1 + math.cos(math.pi * passed)) / 2}[options.schedule]
    return options.final_lr + (1 - options.final_lr) * falling if options.schedule != "constant" else 1.0


def build_optimizer(
    choice: Choice, parameters: Iterable[nn.Parameter], first: int = 0, last: int = 0, sharded: bool = False
) -> ScheduledOptimizer:
    """Build the optimiser that ``choice`` names, over the parameters that are trained, for some steps of a run.

    ``sharded``: divide its state among the processes.
    """
    options = choice.options
    assert isinstance(options, OptimizerOptions)
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    arguments = _arguments(options)
    if choice.name in _FUSED.get(trained[0].device.type, ()):
        arguments["fused"] = True
    made = _CLASSES[choice.name]
    if sharded:
        from ganlm_core.training.sharding import Sharded

        return ScheduledOptimizer(Sharded(trained, made, **arguments), options, first, last)
    return ScheduledOptimizer(made(trained, **arguments), options, first, last)


def _arguments(options: OptimizerOptions) -> dict[str, Any]:
    arguments: dict[str, Any] = {"lr": options.lr}
    if isinstance(options, DecayingOptimizer):
        arguments["weight_decay"] = options.weight_decay
    match options:
        case LBFGSOptimizer():
            arguments |= {"max_iter": options.max_iter, "history_size": options.history_size}
        case BetaOptimizer():
            arguments |= {"betas": (options.beta1, options.beta2), "eps": options.eps}
        case AdadeltaOptimizer():
            arguments |= {"rho": options.rho}
        case RMSpropOptimizer():
            arguments |= {"alpha": options.alpha, "momentum": options.momentum}
        case SGDOptimizer():
            arguments |= {"momentum": options.momentum, "nesterov": options.nesterov and options.momentum > 0}
    return arguments
