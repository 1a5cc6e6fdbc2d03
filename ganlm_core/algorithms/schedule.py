"""The schedule of adversarial methods: which network trains at which step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor, nn

from ganlm_core.algorithms.anchor import Anchor
from ganlm_core.algorithms.mle import likelihood_phase, require_likelihood
from ganlm_core.algorithms.options import ScheduleOptions
from ganlm_core.protocol import Algorithm, Batch, Parts, Phase


@dataclass(frozen=True)
class Schedule:
    """First maximum likelihood, then the discriminator alone, then rounds of discriminator and generator.

    ``likelihood`` and ``generator`` are the phases of one step. There are several if the generator is trained module by
    module. ``preparation`` trains the discriminator alone; without one, ``discriminator`` does.
    """

    options: ScheduleOptions
    steps: int
    likelihood: Sequence[Phase]
    discriminator: Phase
    generator: Sequence[Phase]
    preparation: Phase | None = None

    @property
    def discriminator_from(self) -> int:
        return round(self.options.warmup * self.steps)

    @property
    def adversarial_from(self) -> int:
        return self.discriminator_from + round(self.options.discriminator_warmup * self.steps)

    def phases(self, step: int) -> Sequence[Phase]:
        """Return the phases of a step. Every ``interleave`` rounds, a step of maximum likelihood ends the round."""
        if step < self.discriminator_from:
            return self.likelihood
        if step < self.adversarial_from:
            return [self._annealed(self.preparation or self.discriminator, step)]
        rounds, interleave = step + 1 - self.adversarial_from, self.options.interleave
        closing = self.likelihood if interleave and rounds % interleave == 0 else []
        adversarial = [*[self.discriminator] * self.options.discriminator_steps, *self.generator]
        return [*(self._annealed(phase, step) for phase in adversarial), *closing]

    def _annealed(self, phase: Phase, step: int) -> Phase:
        """Return the phase with its progress counted from the first adversarial step, where annealing starts.

        A run that is trained beyond its planned steps stays at the end of the annealing.
        """
        rounds = max(1, self.steps - 1 - self.adversarial_from)
        return replace(phase, progress=min(1.0, max(0, step - self.adversarial_from) / rounds))

    def check(self, parts: Parts) -> None:
        """Raise UsageError if the schedule has steps of maximum likelihood and the generator has no likelihood."""
        if self.discriminator_from > 0:
            require_likelihood(parts.generator, "a maximum likelihood warm-up")
        if self.options.interleave > 0:
            require_likelihood(parts.generator, "interleaved maximum likelihood")


class ScheduledAlgorithm(Algorithm):
    """A generator and a network that judges its samples, trained in the order of a :class:`Schedule`.

    ``judging`` trains the second network, and names it. ``generator`` and ``likelihood`` are the generator's phases in
    a round and in a step of the warm-up, which is maximum likelihood by default. ``options.anchor`` keeps the generator
    near its warm-up: the last phase of a round adds the :class:`Anchor` to its loss.
    """

    def __init__(
        self,
        parts: Parts,
        options: ScheduleOptions,
        judging: Phase,
        generator: Sequence[Phase],
        likelihood: Sequence[Phase] | None = None,
        preparation: Phase | None = None,
    ) -> None:
        super().__init__()
        self.parts = parts
        self.generator = parts.generator
        self.add_module(judging.network, parts.discriminator)
        self.estimator = parts.estimator
        self._judge = judging.network
        likelihood = likelihood or [likelihood_phase(parts.generator)]
        *before, last = generator
        rounds = [*before, self._anchored(last)]
        rounds += [*before, self._anchored(last, first=False)] * (parts.estimator.steps - 1)
        self.schedule = Schedule(options, parts.steps, likelihood, judging, rounds, preparation)
        self.schedule.check(parts)
        self.adversarial_from = self.schedule.adversarial_from
        self.anchor = Anchor(parts.generator, options.anchor, self.adversarial_from) if options.anchor else None

    def _anchored(self, phase: Phase, first: bool = True) -> Phase:
        def loss(batch: Batch) -> Tensor:
            if self.anchor is None:
                return phase.loss(batch)
            batch = replace(batch, shared={})
            return phase.loss(batch) + self.anchor(self.generator, batch, first)

        return replace(phase, loss=loss)

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"generator": self.generator, self._judge: self.parts.discriminator}

    def phases(self, step: int) -> Sequence[Phase]:
        return self.schedule.phases(step)
