"""Training methods that break the protocol, one promise each."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ganlm_core.algorithms.adversarial import Adversarial
from ganlm_core.algorithms.options import AdversarialOptions
from ganlm_core.errors import DataError, GanlmError, UsageError
from ganlm_core.protocol import Batch, Parts, Phase
from tests.mutants.breaking import breaks


@breaks("algorithm", "algorithms.check_networks", "has no 'generator' among its networks; name it so")
class Anonymous(Adversarial):
    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"writer": self.generator, "discriminator": self.discriminator}


@breaks(
    "algorithm",
    "algorithms.check_networks",
    "says that penalties is unused, which is no kind of component; name kinds, as in ('penalty',)",
)
class UnknownKind(Adversarial):
    unused = ("penalties",)


@breaks("algorithm", "algorithms.check_phases", "has no phase at step 3 of 8; give at least one")
class Idle(Adversarial):
    def phases(self, step: int) -> Sequence[Phase]:
        return super().phases(step) if step != 3 else []


@breaks("algorithm", "algorithms.check_phases", "has no phase at step 0 of 8; give at least one")
class NeverTrains(Adversarial):
    def phases(self, step: int) -> Sequence[Phase]:
        return []


@breaks(
    "algorithm",
    "algorithms.check_losses",
    "changes parameters itself in phase 'discriminator'; a loss only computes, the loop makes the step",
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
    "moves generator.judge... in phase 'discriminator' of discriminator; let networks share no module",
)
class SharesANetwork(Adversarial):
    """The generator has the discriminator as a module."""

    def __init__(self, parts: Parts, options: AdversarialOptions) -> None:
        super().__init__(parts, options)
        self.generator.judge = self.discriminator


@breaks("algorithm", "algorithms.check_resume", "trains differently after a resume; keep its state in buffers")
class CountsItsSteps(Adversarial):
    """Divides its loss by the number of calls so far."""

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
    "accepts OneShot and Bag and fails in phase 'late' (...); raise UsageError in the constructor",
)
class FailsLate(Adversarial):
    """Needs ``start`` of the generator, and fails in a phase instead of in the constructor."""

    def phases(self, step: int) -> Sequence[Phase]:
        return [Phase("late", "generator", self._score)]

    def _score(self, batch: Batch) -> Tensor:
        return self.generator.start(batch.noise).square().sum()


class Altered(Adversarial):
    """Alters the losses of its base class."""

    def phases(self, step: int) -> Sequence[Phase]:
        return [replace(phase, loss=self._altering(phase)) for phase in super().phases(step)]

    def _altering(self, phase: Phase) -> Callable[[Batch], Tensor]:
        return lambda batch: self.alter(phase.loss(batch))

    def alter(self, loss: Tensor) -> Tensor:
        raise NotImplementedError


@breaks(
    "algorithm",
    "algorithms.check_losses",
    "gives a tensor of shape (2,) as the loss of phase 'discriminator'; take the mean over the batch",
)
class TakesNoMean(Altered):
    def alter(self, loss: Tensor) -> Tensor:
        return loss.expand(2)


@breaks("algorithm", "algorithms.check_losses", "has a loss of inf in phase 'discriminator'; keep it finite")
class Infinite(Altered):
    def alter(self, loss: Tensor) -> Tensor:
        return loss / 0


@breaks(
    "algorithm", "algorithms.check_losses", "gives its discriminator no gradient in phase 'discriminator'; detach less"
)
class Detached(Altered):
    def alter(self, loss: Tensor) -> Tensor:
        return loss.detach()


@breaks(
    "algorithm",
    "algorithms.check_phases_move_their_network",
    "does not move its discriminator in phase 'discriminator'; let the loss depend on it",
)
class TinyGradient(Altered):
    """Its gradients are so small that rounding hides the steps."""

    def alter(self, loss: Tensor) -> Tensor:
        return loss * 1e-30


@breaks(
    "algorithm",
    "algorithms.check_networks",
    "does not hold its network 'discriminator'; make it an attribute, so that state_dict has it",
)
class CopiesItsNetwork(Adversarial):
    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"generator": self.generator, "discriminator": copy.deepcopy(self.discriminator)}


@breaks(
    "algorithm",
    "algorithms.check_phases",
    "has a phase of 'writer'; name one of its networks: generator, discriminator",
)
class UnknownNetwork(Adversarial):
    def phases(self, step: int) -> Sequence[Phase]:
        return [replace(phase, network="writer") for phase in super().phases(step)]


@breaks(
    "algorithm",
    "algorithms.check_phases",
    "returns other phases when called twice for one step; compute them from the step",
)
class Alternates(Adversarial):
    asked = 0

    def phases(self, step: int) -> Sequence[Phase]:
        self.asked += 1
        return super().phases(step)[self.asked % 2 :]


@breaks(
    "algorithm",
    "algorithms.check_phases",
    "has adversarial_from = 99 in a run of 8 steps; give a step from 0 to the number of steps",
)
class StartsTooLate(Adversarial):
    def __init__(self, parts: Parts, options: AdversarialOptions) -> None:
        super().__init__(parts, options)
        self.adversarial_from = 99


class RefusesOneShot(Adversarial):
    """Refuses generators that write all positions at once."""

    refusal: GanlmError

    def __init__(self, parts: Parts, options: AdversarialOptions) -> None:
        if not parts.generator.autoregressive:
            raise self.refusal
        super().__init__(parts, options)


@breaks("algorithm", "algorithms.check_refusals", "refuses networks with DataError: one-shot; raise UsageError")
class RefusesWrongly(RefusesOneShot):
    refusal = DataError("one-shot")


@breaks(
    "algorithm", "algorithms.check_refusals", "refuses networks in several lines: one-shot\nnetwork; write one line"
)
class RefusesInTwoLines(RefusesOneShot):
    refusal = UsageError("one-shot\nnetwork")


@breaks(
    "algorithm",
    "component.check_defaults",
    "accepts none of the reference networks (not this one) and no recipe chooses it; add a recipe with "
    "networks that it accepts",
)
class RefusesAll(Adversarial):
    def __init__(self, parts: Parts, options: AdversarialOptions) -> None:
        raise UsageError("not this one")
