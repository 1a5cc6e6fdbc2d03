"""THE LOOP. It knows phases and nothing else: no method, no architecture, no file.

:meth:`Trainer.train` is the whole of training. For each step, the algorithm lists its phases; each phase gets a fresh
batch and makes one optimiser step of one network. Every change of a parameter happens in this file.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ganlm_core.data.batches import Batches
from ganlm_core.errors import NonFinite, OutOfMemory
from ganlm_core.protocol import Algorithm, Batch, Generator, Phase
from ganlm_core.system import processes
from ganlm_core.system.devices import asynchronous
from ganlm_core.training.compilation import as_it_is
from ganlm_core.training.optimizers import ScheduledOptimizer

Metrics = dict[str, Tensor]


@dataclass(frozen=True)
class Average:
    """The generator's exponential moving average over steps, of decay ``decay``: what is evaluated and saved."""

    model: AveragedModel

    @staticmethod
    def of(generator: Generator, decay: float) -> "Average":
        averaging = get_ema_multi_avg_fn(decay)
        return Average(AveragedModel(generator, multi_avg_fn=averaging, use_buffers=True))

    @torch.no_grad()
    def update(self, generator: nn.Module) -> None:
        """As the model's own, which copies its count of steps to the device and waits for that."""
        averaging = self.model.multi_avg_fn
        assert averaging is not None
        means, values = ([*each.parameters(), *each.buffers()] for each in (self.generator, generator))
        if self.model.n_averaged == 0:
            torch._foreach_copy_(means, values)
        else:
            averaging(means, values, self.model.n_averaged)
        self.model.n_averaged += 1

    @property
    def generator(self) -> Generator:
        return self.model.module  # type: ignore[return-value]


@dataclass
class Losses:
    """The losses, and the norms of their gradients, that nobody has looked at yet.

    On the CPU each is looked at as it comes. On a device that computes meanwhile, to look is to wait, so they are kept
    until somebody waits anyway: whoever logs, evaluates or saves looks first.
    """

    _unseen: list[tuple[Phase, int, Tensor, Tensor]] = field(default_factory=list, repr=False)

    def add(self, phase: Phase, step: int, loss: Tensor, norm: Tensor) -> None:
        """What a phase found in a step, counted from 0. Raises as :meth:`look`, on the CPU."""
        self._unseen.append((phase, step, loss.detach(), norm))
        if not asynchronous(loss.device):
            self.look()
        elif processes.rank() > 0:  # the numbers are those of all processes, and the first one looks at them
            self._unseen.clear()

    def look(self) -> None:
        """Raises NonFinite for the first of them that is not finite."""
        unseen, self._unseen = self._unseen, []
        if not unseen:
            return
        finite = torch.stack([loss + norm for _, _, loss, norm in unseen]).isfinite().tolist()
        for (phase, step, loss, norm), fine in zip(unseen, finite, strict=True):
            if not fine:
                raise NonFinite(
                    f"step {step + 1}: the loss of phase {phase.name} is {loss.item()} and its gradient's norm "
                    f"{norm.item()}; lower the learning rate of the {phase.network} or its --clip, or add a penalty"
                )


@dataclass(frozen=True)
class Trainer:
    """Trains the networks of an algorithm.

    ``clip``: largest gradient norm of a network, 0 for no clipping. ``average``: updated after each step that trains
    the generator. ``compiled``: returns a phase in the form in which it is computed. ``arithmetic``: the context in
    which losses are computed, such as autocast.
    """

    algorithm: Algorithm
    optimizers: Mapping[str, ScheduledOptimizer]
    batches: Batches
    steps: int
    clip: float = 0.0
    average: Average | None = None
    losses: Losses = field(default_factory=Losses)
    compiled: Callable[[Phase], Phase] = as_it_is
    arithmetic: AbstractContextManager[object] = field(default_factory=nullcontext)

    def slowed(self, pace: float) -> "Trainer":
        """The same trainer with all learning rates multiplied by ``pace``."""
        return replace(self, optimizers={name: each.slowed(pace) for name, each in self.optimizers.items()})

    def train(self, start: int, after_step: Callable[[int, Metrics], None]) -> None:
        """Train from step ``start`` to the last; call ``after_step(steps done, metrics of the step)`` after each.

        Raises OutOfMemory and, on the CPU, NonFinite before the optimiser uses the gradient, and whatever
        ``after_step`` raises; on other devices ``after_step`` has to call :meth:`Losses.look`. L-BFGS takes several
        gradients in a step, and may have moved by the earlier ones.
        """
        for step in range(start, self.steps):
            metrics: Metrics = {}
            phases = [self.compiled(phase) for phase in self.algorithm.phases(step)]
            for phase in phases:
                scheduled = self.optimizers[phase.network]
                scheduled.set_learning_rate(step, self.steps)
                batch = self.batches.next(step, self.steps)
                moved = self.algorithm.networks[phase.network] if phase.part is None else phase.part
                try:
                    self._make_step(phase, batch, moved, scheduled.optimizer)
                except torch.OutOfMemoryError as error:
                    raise OutOfMemory(
                        f"step {step + 1}, phase {phase.name}: {batch.tokens.device} has no memory left "
                        f"for batches of {len(batch.tokens)} sequences; lower --batch-size"
                    ) from error
                metrics |= batch.metrics
            if self.average is not None and any(phase.network == "generator" for phase in phases):
                self.average.update(self.algorithm.networks["generator"])
            after_step(step + 1, metrics)

    def _make_step(self, phase: Phase, batch: Batch, moved: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Make one optimiser step. The gradient goes into ``moved`` only; L-BFGS computes it several times."""
        parameters = [parameter for parameter in moved.parameters() if parameter.requires_grad]

        def closure() -> Tensor:
            optimizer.zero_grad(set_to_none=True)
            with self.arithmetic:
                loss = phase(batch)
            loss.backward(inputs=parameters)
            loss = processes.average(loss, parameters)
            norm = nn.utils.clip_grad_norm_(parameters, self.clip if self.clip > 0 else float("inf"))
            self.losses.add(phase, batch.step, loss, norm)
            batch.log(f"{phase.name}_loss", loss)
            batch.log(f"{phase.name}_gradient_norm", norm)
            return loss

        optimizer.step(closure)  # type: ignore[arg-type]  # torch types the loss as a float and takes tensors
