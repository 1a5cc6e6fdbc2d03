"""THE LOOP. It knows phases and nothing else: no method, no architecture, no file.

``train`` is the whole of training. For each step, the algorithm says its phases; each phase gets a fresh batch and
makes one optimiser step of one network. Everything that changes a parameter is in this file.
"""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ganlm_core import distributed
from ganlm_core.devices import asynchronous, send
from ganlm_core.errors import NonFinite, OutOfMemory
from ganlm_core.optimizers import ScheduledOptimizer
from ganlm_core.permutation import permute
from ganlm_core.protocol import PAD, Algorithm, Batch, Generator, Phase

Metrics = dict[str, Tensor]


LARGEST = 2**20
"""The most sequences of which an epoch's permutation is drawn, and held in memory; of more, it is computed."""

PART = 2**16
"""Places of a computed permutation at a time."""


@dataclass
class Batches:
    """Batches of encoded sequences (N, T), padded ids of any integer type, in an order fixed by the seed.

    Batch k of the whole run is a pure function of the seed and k, so the position in the data is one number:
    every epoch is a permutation of its own, and a last part that is smaller than a batch is left for another epoch.
    ``drawn`` counts the batches so far, ``tokens_drawn`` their tokens without the padding. Of several processes, each
    takes the next batch in turn, by its ``rank``; all of them count all batches.
    """

    tokens: Tensor
    size: int
    seed: int
    noise_size: int
    device: torch.device
    rank: int = 0
    processes: int = 1
    drawn: int = 0
    tokens_drawn: int = 0
    _part: tuple[int, int] = field(default=(-1, 0), repr=False)
    _order: Tensor = field(default_factory=lambda: torch.empty(0), repr=False)

    def next(self, step: int, steps: int) -> Batch:
        """The next batch with fresh noise (B, Z) from the global random state, for the given step of the run."""
        everybody = [self.tokens[self._rows(self.drawn + rank)].long() for rank in range(self.processes)]
        masks = [tokens != PAD for tokens in everybody]
        self.drawn += self.processes
        self.tokens_drawn += sum(int(mask.sum()) for mask in masks)
        tokens, mask = everybody[self.rank], masks[self.rank]
        return Batch(
            tokens=send(tokens, self.device),
            mask=send(mask, self.device),
            noise=torch.randn(len(tokens), self.noise_size, device=self.device),
            step=step,
            progress=step / max(1, steps - 1),
        )

    def _rows(self, number: int) -> Tensor:
        """The rows of a batch of the whole run."""
        n = len(self.tokens)
        size = min(self.size, n)
        epoch, index = divmod(number, n // size)
        known = n if n <= LARGEST else max(1, PART // size) * size
        part, place = divmod(index * size, known)
        if (epoch, part) != self._part:
            self._part, self._order = (epoch, part), self._permutation(epoch, part * known, known)
        return self._order[place : place + size]

    def _permutation(self, epoch: int, start: int, count: int) -> Tensor:
        """``count`` places of an epoch's permutation, fewer at its end."""
        n, key = len(self.tokens), f"{self.seed}/{epoch}"
        if n > LARGEST:
            return torch.from_numpy(permute(np.arange(start, min(start + count, n)), n, key))
        # Hashed, because torch's generator on the CPU looks at no more than 32 bits of a seed.
        digest = hashlib.sha256(key.encode()).digest()
        return torch.randperm(n, generator=torch.Generator().manual_seed(int.from_bytes(digest[:4], "big")))


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
        elif distributed.rank() > 0:  # the numbers are those of all processes, and the first one looks at them
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


def train(
    algorithm: Algorithm,
    optimizers: Mapping[str, ScheduledOptimizer],
    batches: Batches,
    *,
    start: int,
    steps: int,
    clip: float,
    after_step: Callable[[int, Metrics], None],
    average: Average | None = None,
    arithmetic: AbstractContextManager[object] | None = None,
    losses: Losses | None = None,
    compiled: Callable[[Phase], Phase] = lambda phase: phase,
) -> None:
    """Train from step ``start`` to ``steps``; after each, ``after_step(steps done, metrics of the step)`` is called.

    ``clip`` is the largest gradient norm of a network, 0 for none; ``compiled`` gives a phase in the form in which it
    is computed. Raises OutOfMemory and, on the CPU, NonFinite before the optimiser uses the gradient, and whatever
    ``after_step`` raises; on other devices that has to look at ``losses``. L-BFGS takes several gradients in a step,
    and may have moved by those before.
    """
    losses = losses or Losses()
    for step in range(start, steps):
        metrics: Metrics = {}
        phases = [compiled(phase) for phase in algorithm.phases(step)]
        for phase in phases:
            scheduled = optimizers[phase.network]
            scheduled.set_learning_rate(step, steps)
            batch = batches.next(step, steps)
            moved = algorithm.networks[phase.network] if phase.part is None else phase.part
            try:
                _make_step(phase, batch, moved, scheduled.optimizer, clip, arithmetic or nullcontext(), losses)
            except torch.OutOfMemoryError as error:
                raise OutOfMemory(
                    f"step {step + 1}, phase {phase.name}: {batch.tokens.device} has no memory left "
                    f"for batches of {len(batch.tokens)} sequences; lower --batch-size"
                ) from error
            metrics |= batch.metrics
        if average is not None and any(phase.network == "generator" for phase in phases):
            average.update(algorithm.networks["generator"])
        after_step(step + 1, metrics)


def _make_step(
    phase: Phase,
    batch: Batch,
    moved: nn.Module,
    optimizer: torch.optim.Optimizer,
    clip: float,
    arithmetic: AbstractContextManager[object],
    losses: Losses,
) -> None:
    """One optimiser step. The gradient goes into ``moved`` only; L-BFGS asks for it several times."""
    parameters = [parameter for parameter in moved.parameters() if parameter.requires_grad]

    def closure() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        with arithmetic:
            loss = phase(batch)
        loss.backward(inputs=parameters)
        loss = distributed.average(loss, parameters)
        norm = nn.utils.clip_grad_norm_(parameters, clip if clip > 0 else float("inf"))
        losses.add(phase, batch.step, loss, norm)
        batch.log(f"{phase.name}_loss", loss)
        batch.log(f"{phase.name}_gradient_norm", norm)
        return loss

    optimizer.step(closure)  # type: ignore[arg-type]  # torch types the loss as a float and takes tensors
