"""The schedule of adversarial methods: which network trains at which step."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ganlm_core.algorithms.mle import require_likelihood
from ganlm_core.algorithms.options import ScheduleOptions
from ganlm_core.protocol import Parts, Phase


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
