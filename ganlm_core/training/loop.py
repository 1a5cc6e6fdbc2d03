"""THE LOOP. It knows only phases: no method, no architecture, no file.

:meth:`Trainer.train` is all of training. For each step the algorithm lists its phases; each phase gets a fresh batch
and makes one optimiser step of one network. Every change of a parameter happens in this file.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ganlm_core.config.run_config import WARMUP
from ganlm_core.data.batches import Batches
from ganlm_core.errors import NonFinite, OutOfMemory
from ganlm_core.protocol import Algorithm, Batch, Generator, Phase
from ganlm_core.system import processes
from ganlm_core.system.devices import asynchronous
from ganlm_core.system.memory import lacks_memory
from ganlm_core.training.compilation import as_it_is
from ganlm_core.training.optimizers import ScheduledOptimizer

Metrics = dict[str, Tensor]


@dataclass(frozen=True)
class Average:
    """The exponential moving average of the generator over steps: the weights that are evaluated and saved."""

    model: AveragedModel

    @staticmethod
    def of(generator: Generator, decay: float) -> "Average":
        averaging = get_ema_multi_avg_fn(decay)
        return Average(AveragedModel(generator, multi_avg_fn=averaging, use_buffers=True))

    @torch.no_grad()
    def update(self, generator: nn.Module) -> None:
        """Like ``AveragedModel.update_parameters``, without its host-device sync. Counts in buffers are copied."""
        averaging = self.model.multi_avg_fn
        assert averaging is not None
        pairs: list[tuple[Tensor, Tensor]] = []
        for mine, current in zip(_tensors(self.generator), _tensors(generator), strict=True):
            if mine.is_floating_point():
                pairs.append((mine, current))
            else:
                mine.copy_(current)
        means, values = map(list, zip(*pairs, strict=True))
        if self.model.n_averaged == 0:
            torch._foreach_copy_(means, values)
        else:
            averaging(means, values, self.model.n_averaged)
        self.model.n_averaged += 1

    @property
    def generator(self) -> Generator:
        return self.model.module  # type: ignore[return-value]


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]


@dataclass
class Losses:
    """The losses and gradient norms that are not yet checked for NaN and infinity.

    On the CPU each is checked at once. Reading a value from an asynchronous device waits for it, so there they are kept
    until the run waits anyway: before it logs, evaluates or saves.
    """

    _unseen: list[tuple[Phase, int, Tensor, Tensor]] = field(default_factory=list, repr=False)

    def add(self, phase: Phase, step: int, loss: Tensor, norm: Tensor) -> None:
        """Add the loss and gradient norm of a phase in a step, counted from 0. On the CPU, call :meth:`check`."""
        self._unseen.append((phase, step, loss.detach(), norm))
        if not asynchronous(loss.device):
            self.check()
        elif processes.rank() > 0:  # the numbers are means over all ranks, and rank 0 checks them
            self._unseen.clear()

    def check(self) -> None:
        """Check all values that were added. Raises NonFinite for the first that is not finite."""
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

    ``optimizers``: by the name of the network; ``generator_warmup`` is the generator's before adversarial training.
    ``steps``: the number of steps that schedules are planned for. ``clip``: largest gradient norm of a
    network, 0 for no clipping. ``average``: updated after each step that trains the generator. ``compiled``: returns a
    phase in the form in which it is computed. ``arithmetic``: the context of the losses, such as autocast.
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
        """Return this trainer with all learning rates multiplied by ``pace``."""
        return replace(self, optimizers={name: each.slowed(pace) for name, each in self.optimizers.items()})

    def optimizer(self, network: str, step: int) -> ScheduledOptimizer:
        """Return the optimiser of a network in a step: before adversarial training, that of its warm-up, if any."""
        early = self.optimizers.get(network + WARMUP) if step < self.algorithm.adversarial_from else None
        return early or self.optimizers[network]

    def check_weights(self, step: int) -> None:
        """Check all weights after ``step`` steps. Raises NonFinite: a run could not go on from a checkpoint of them."""
        for name, network in self.algorithm.networks.items():
            if not torch.stack([tensor.isfinite().all() for tensor in network.parameters()]).all():
                raise NonFinite(
                    f"step {step}: the weights of the {name} are not finite; lower its learning rate or --clip, or add "
                    "a penalty"
                )

    def train(self, start: int, after_step: Callable[[int, Metrics], None], until: int | None = None) -> None:
        """Train from step ``start`` to the last; call ``after_step(steps done, metrics of the step)`` after each.

        ``until``: the last step if it is not the last planned one. Steps beyond the plan keep the last values of all
        schedules. Raises OutOfMemory and, on the CPU, NonFinite before the optimiser uses the gradient, and the
        errors of ``after_step``; on other devices ``after_step`` has to call :meth:`Losses.check`. L-BFGS takes several
        gradients in a step, and may have moved by the earlier ones.
        """
        for step in range(start, self.steps if until is None else until):
            metrics: Metrics = {}
            phases = [self.compiled(phase) for phase in self.algorithm.phases(step)]
            for phase in phases:
                scheduled = self.optimizer(phase.network, min(step, self.steps - 1))
                scheduled.set_learning_rate(step)
                batch = self.batches.next(step, self.steps)
                moved = self.algorithm.networks[phase.network] if phase.part is None else phase.part
                try:
                    self._make_step(phase, batch, moved, scheduled.optimizer)
                except (MemoryError, RuntimeError) as error:
                    if not lacks_memory(error):
                        raise
                    raise OutOfMemory(
                        f"step {step + 1}, phase {phase.name}: {batch.tokens.device} has no memory left "
                        f"for batches of {len(batch.tokens)} sequences; lower --batch-size"
                    ) from error
                metrics |= batch.metrics
            if self.average is not None and any(phase.network == "generator" for phase in phases):
                self.average.update(self.algorithm.networks["generator"])
            after_step(step + 1, metrics)

    def _make_step(self, phase: Phase, batch: Batch, moved: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Make one optimiser step. Only ``moved`` gets a gradient; L-BFGS computes it several times."""
        parameters = [parameter for parameter in moved.parameters() if parameter.requires_grad]

        def closure() -> Tensor:
            optimizer.zero_grad(set_to_none=True)
            with self.arithmetic:
                loss = phase(batch)
            loss = processes.backward(loss, parameters)
            norm = nn.utils.clip_grad_norm_(parameters, self.clip if self.clip > 0 else float("inf"))
            self.losses.add(phase, batch.step, loss, norm)
            batch.log(f"{phase.name}_loss", loss)
            batch.log(f"{phase.name}_gradient_norm", norm)
            return loss

        optimizer.step(closure)  # type: ignore[arg-type]  # torch types the loss as a float and takes tensors
