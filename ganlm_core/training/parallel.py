"""The loop of a run on several ranks: see :mod:`ganlm_core.system.processes`.

The other ranks do what rank 0 asks: train from its state, sample or score with its generator, end.
"""

import copy
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from ganlm_core.config.run_config import RunConfig
from ganlm_core.errors import NonFinite
from ganlm_core.metrics.judge import Judge
from ganlm_core.metrics.metric import Likelihood, Subject
from ganlm_core.plugins.host import Host
from ganlm_core.protocol import Discriminator, Generator
from ganlm_core.sampling import PLAIN
from ganlm_core.system import processes
from ganlm_core.system.devices import keep_memory, random_states, restore_random_states
from ganlm_core.system.seeds import derived_seed
from ganlm_core.system.signals import caught_signals
from ganlm_core.training.checkpoint import pack, unpack
from ganlm_core.training.loop import Metrics
from ganlm_core.training.setup import Setup, is_sharded, prepare

AfterStep = Callable[[int, Metrics], None]
"""The function that the loop calls after each step, with the step and its metrics."""


class _Ended(Exception):
    """Raised on the other ranks after the last step of rank 0, to leave the loop."""


def lead(setup: Setup, step: int, pace: float, after_step: AfterStep) -> AfterStep:
    """On rank 0: let the other ranks train too from ``step``, with all learning rates multiplied by ``pace``.

    Return the function that the loop calls after each step: ``after_step``, which then tells the other ranks whether
    training continues.
    """

    def tell(step: int, metrics: Metrics) -> None:
        try:
            after_step(step, metrics)
        except BaseException:
            processes.broadcast(False)
            raise
        processes.broadcast(True)

    if processes.size() == 1:
        return after_step
    processes.broadcast((_train_along, _packed(setup, step, pace)))
    return tell


def written(setup: Setup, generator: Generator, n: int, discriminator: Discriminator | None = None) -> Subject:
    """Draw ``n`` sentences on all ranks: those of :meth:`Judge.written`. Rank 0 calls this."""
    if processes.size() == 1:
        return setup.judge.written(generator, n, discriminator)

    def ask(work: Callable[..., Any], argument: Any) -> Any:
        weights = {name: tensor.cpu() for name, tensor in generator.state_dict().items()}
        processes.broadcast((_help, work, weights, argument))
        return work(setup.judge, generator, argument)

    likelihood = cache(partial(ask, _score)) if generator.autoregressive else None
    subject = setup.judge.subject(ask(_draw, n), generator, discriminator=discriminator)
    return replace(subject, likelihood=likelihood)


def collect(setup: Setup) -> None:
    """Bring the state of sharded optimisers to rank 0, which calls this before it reads it. Raises ProcessLost."""
    if is_sharded(setup.config):
        processes.broadcast((_collect,))
        _collect(setup)


def _collect(setup: Setup) -> None:
    for each in setup.trainer.optimizers.values():
        each.optimizer.collect()  # type: ignore[attr-defined]


def release_ranks() -> None:
    """Let the other ranks end. Rank 0 calls this when it no longer needs them."""
    processes.broadcast(None)


def follow(config: RunConfig, host: Host | None = None) -> None:
    """On the other ranks: do what rank 0 asks, until it lets them go.

    They leave signals to rank 0. Raises ProcessLost when rank 0 has ended with an error, which it reports itself.
    """
    keep_memory()
    setup = prepare(config, host)
    with caught_signals(lambda: None):
        while (asked := processes.broadcast(None)) is not None:
            _answer(setup, asked)


def _answer(setup: Setup, asked: Any) -> None:
    work, *arguments = asked
    work(setup, *arguments)


def _train_along(setup: Setup, packed: Any) -> None:
    """Run the loop from the state that rank 0 has when it enters it, for as long as rank 0 runs it."""
    first, pace = _take_over(setup, packed)

    def after_step(step: int, metrics: Metrics) -> None:
        while not isinstance(asked := processes.broadcast(None), bool):
            _answer(setup, asked)
        if not asked:
            raise _Ended
        _seed_rank(setup, step)

    _seed_rank(setup, first)
    with suppress(_Ended, NonFinite):  # rank 0 may then go back and enter the loop again
        setup.trainer.slowed(pace).train(first, after_step, setup.config.training.steps)


def _seed_rank(setup: Setup, step: int) -> None:
    """Seed this rank for the numbers of a step. Rank 0 needs no seed: it draws the numbers of a single process."""
    torch.manual_seed(derived_seed(setup.config.training.seed, step, processes.rank(), bits=32))


def _help(setup: Setup, work: Callable[..., Any], weights: dict[str, Tensor], argument: Any) -> None:
    """Do ``work`` with the weights of a generator of rank 0, which may be others than those in training."""
    generator = copy.deepcopy(setup.generator)
    generator.load_state_dict(weights)
    work(setup.judge, generator, argument)


def _draw(judge: Judge, generator: Generator, n: int) -> list[str]:
    """Draw ``n`` sentences. All ranks do this."""
    return judge.draw(generator, n, PLAIN, processes.divided)


def _score(judge: Judge, generator: Generator, held_out: tuple[str, ...]) -> Likelihood:
    """Return the likelihood of sentences. All ranks do this."""
    return judge.likelihoods(generator, held_out, [PLAIN], processes.divided)[0]


def _packed(setup: Setup, step: int, pace: float) -> Any:
    """Return the state of a run as plain values and tensors on the CPU."""
    collect(setup)
    tensors: dict[str, Any] = {}
    state = {
        "step": step,
        "pace": pace,
        "batches": setup.trainer.batches.position,
        "modules": {name: dict(module.state_dict()) for name, module in setup.modules.items()},
        "optimizers": {name: optimizer.state_dict() for name, optimizer in setup.optimizers.items()},
    }
    return pack(state, "state", tensors), {name: tensor.cpu() for name, tensor in tensors.items()}


def _take_over(setup: Setup, packed: Any) -> tuple[int, float]:
    """Load a state from :func:`_packed`; return its step and pace."""
    state = unpack(*packed)
    for name, module in setup.modules.items():
        module.load_state_dict(state["modules"][name])
    for name, optimizer in setup.optimizers.items():
        optimizer.load_state_dict(state["optimizers"][name])
    setup.trainer.batches.position = state["batches"]
    return state["step"], state["pace"]


@dataclass(frozen=True)
class StepState:
    """A point between two steps, to which a run can go back from within the first phase of the next step.

    ``versions`` count the in-place changes of every parameter and buffer. Fused optimisers change them without
    counting; the number of batches drawn tells that a phase has passed.
    """

    random: dict[str, Tensor]
    position: tuple[int, int]
    versions: list[int]

    @classmethod
    def of(cls, setup: Setup) -> "StepState":
        return cls(random_states(), setup.trainer.batches.position, _versions(setup))

    def go_back(self, setup: Setup) -> bool:
        """Go back if possible, and return whether it was possible.

        It is impossible in a later phase, if parameters moved within the first phase, as with L-BFGS, and if the lost
        process had a part of the state of the optimisers.
        """
        batches = setup.trainer.batches
        moved = batches.drawn > self.position[0] + batches.processes or _versions(setup) != self.versions
        if moved or is_sharded(setup.config):
            return False
        restore_random_states(self.random)
        batches.position = self.position
        return True


def _versions(setup: Setup) -> list[int]:
    modules = setup.modules.values()
    return [each._version for module in modules for each in chain(module.parameters(), module.buffers())]
