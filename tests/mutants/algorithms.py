"""Training methods that break the protocol, one promise each."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganlm_core.algorithms.adversarial import Adversarial
from ganlm_core.protocol import Batch, Parts, Phase
from ganlm_core.standard import AdversarialOptions
from tests.mutants.breaking import breaks


@breaks("algorithm", "algorithms.check_networks", "has no 'generator' among its networks; name it so")
class Anonymous(Adversarial):
    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"writer": self.generator, "discriminator": self.discriminator}


@breaks(
    "algorithm",
    "algorithms.check_networks",
    "says that penalties is unused, which is no part; name kinds, as in ('penalty',)",
)
class MistakesAPart(Adversarial):
    unused = ("penalties",)


@breaks("algorithm", "algorithms.check_phases", "has no phase at step 0 of 8; give at least one")
class NothingToDo(Adversarial):
    def phases(self, step: int) -> Sequence[Phase]:
        return super().phases(step) if step else []


@breaks(
    "algorithm",
    "algorithms.check_losses",
    "changes parameters itself in phase 'discriminator'; losses compute, the loop steps",
)
class StepsItself(Adversarial):
    def phases(self, step: int) -> Sequence[Phase]:
        return [Phase(phase.name, phase.network, self._stepping(phase)) for phase in super().phases(step)]

    def _stepping(self, phase: Phase) -> Any:
        def loss(batch: Batch) -> Tensor:
            with torch.no_grad():
                for parameter in self.discriminator.parameters():
                    parameter.mul_(0.99)
            return phase.loss(batch)

        return loss


@breaks(
    "algorithm",
    "algorithms.check_phases_move_their_network",
    "moves generator.judge... in phase 'discriminator' of discriminator; share nothing",
)
class Shares(Adversarial):
    """The generator holds its judge."""

    def __init__(self, parts: Parts, options: AdversarialOptions) -> None:
        super().__init__(parts, options)
        self.generator.judge = self.discriminator


@breaks("algorithm", "algorithms.check_resume", "goes on otherwise after a resume; keep what it remembers in buffers")
class CountsItsSteps(Adversarial):
    """Weighs its loss by how often it was asked."""

    asked = 0

    def phases(self, step: int) -> Sequence[Phase]:
        return [Phase(phase.name, phase.network, self._weighing(phase)) for phase in super().phases(step)]

    def _weighing(self, phase: Phase) -> Any:
        def loss(batch: Batch) -> Tensor:
            self.asked += 1
            return phase.loss(batch) / self.asked

        return loss


@breaks(
    "algorithm",
    "algorithms.check_refusals",
    "takes OneShot and Bag and fails in phase 'late' (...); raise UsageError in the constructor",
)
class FailsLate(Adversarial):
    """Finds out that it needs a state when it is too late to say so."""

    def phases(self, step: int) -> Sequence[Phase]:
        return [Phase("late", "generator", self._score)]

    def _score(self, batch: Batch) -> Tensor:
        return self.generator.start(batch.noise).square().sum()
