"""The loop of a run, and the processes that follow the first one through it: see :mod:`ganlm_core.distributed`."""

from contextlib import suppress
from typing import Any

from ganlm_core import distributed, trainer
from ganlm_core.checkpoint import pack, unpack
from ganlm_core.config import RunConfig
from ganlm_core.devices import arithmetic
from ganlm_core.errors import NonFinite
from ganlm_core.experiment import Experiment, prepare
from ganlm_core.plugins import Host
from ganlm_core.signals import caught_signals


def loop(experiment: Experiment, step: int, pace: float, after_step: distributed.Told) -> None:
    """Train from a step to the last, on ``pace`` of the learning rates. The first process calls this."""
    if distributed.size() > 1:
        distributed.share(_packed(experiment, step, pace))
    _train(experiment, step, pace, distributed.leading(after_step))


def follow(config: RunConfig, host: Host | None = None) -> None:
    """What the other processes do: the loop, as often as the first one enters it, from the state that it has then.

    They leave signals to the first one. Raises ProcessLost when that has ended with an error, which it tells itself.
    """
    experiment = prepare(config, host)
    with caught_signals(lambda: None):
        while (packed := distributed.share(None)) is not None:
            step, pace = _take_over(experiment, packed)
            distributed.seed_others(config.training.seed, step)
            with suppress(distributed.Ended, NonFinite):  # after which the first one may go back and enter again
                _train(experiment, step, pace, distributed.following)


def _train(experiment: Experiment, step: int, pace: float, after_step: distributed.Told) -> None:
    options = experiment.config.training
    trainer.train(
        experiment.algorithm,
        {name: each.slowed(pace) for name, each in experiment.optimizers.items()},
        experiment.batches,
        start=step,
        steps=options.steps,
        clip=options.clip,
        after_step=after_step,
        average=experiment.average,
        losses=experiment.losses,
        arithmetic=arithmetic(experiment.device, options.precision),
    )


def _packed(experiment: Experiment, step: int, pace: float) -> Any:
    """The state of a run as plain values, its tensors on the CPU."""
    tensors: dict[str, Any] = {}
    state = {
        "step": step,
        "pace": pace,
        "batches": [experiment.batches.drawn, experiment.batches.tokens_drawn],
        "modules": {name: dict(module.state_dict()) for name, module in experiment.modules.items()},
        "optimizers": {name: each.optimizer.state_dict() for name, each in experiment.optimizers.items()},
    }
    return pack(state, "state", tensors), {name: tensor.cpu() for name, tensor in tensors.items()}


def _take_over(experiment: Experiment, packed: Any) -> tuple[int, float]:
    """The other side of :func:`_packed`: the step and the pace."""
    state = unpack(*packed)
    for name, module in experiment.modules.items():
        module.load_state_dict(state["modules"][name])
    for name, each in experiment.optimizers.items():
        each.optimizer.load_state_dict(state["optimizers"][name])
    experiment.batches.drawn, experiment.batches.tokens_drawn = state["batches"]
    return state["step"], state["pace"]
