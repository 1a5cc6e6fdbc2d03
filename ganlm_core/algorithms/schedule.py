"""When which network learns: the course of every adversarial method, whatever its losses are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ganlm_core.algorithms.mle import require_likelihood
from ganlm_core.algorithms.options import AdversarialOptions
from ganlm_core.protocol import Parts, Phase


@dataclass(frozen=True)
class Schedule:
    """Steps of maximum likelihood, then of the discriminator alone, then rounds of both.

    ``likelihood`` and ``generator`` are all phases of one such step: several, where the generator is several networks.
    """

    options: AdversarialOptions
    steps: int
    likelihood: Sequence[Phase]
    discriminator: Phase
    generator: Sequence[Phase]

    @property
    def discriminator_from(self) -> int:
        return round(self.options.warmup * self.steps)

    @property
    def adversarial_from(self) -> int:
        return self.discriminator_from + round(self.options.discriminator_warmup * self.steps)

    def phases(self, step: int) -> Sequence[Phase]:
        """The phases of a step; every ``interleave`` rounds, one of maximum likelihood closes the round."""
        if step < self.discriminator_from:
            return self.likelihood
        if step < self.adversarial_from:
            return [self._annealed(self.discriminator, step)]
        rounds, interleave = step + 1 - self.adversarial_from, self.options.interleave
        closing = self.likelihood if interleave and rounds % interleave == 0 else []
        adversarial = [*[self.discriminator] * self.options.discriminator_steps, *self.generator]
        return [*(self._annealed(phase, step) for phase in adversarial), *closing]

    def _annealed(self, phase: Phase, step: int) -> Phase:
        """The phase with its progress counted from the first adversarial step: what is annealed starts there."""
        rounds = max(1, self.steps - 1 - self.adversarial_from)
        return replace(phase, progress=max(0, step - self.adversarial_from) / rounds)

    def check(self, parts: Parts) -> None:
        """Raises UsageError if the schedule has steps of maximum likelihood and the generator has none."""
        if self.discriminator_from > 0:
            require_likelihood(parts.generator, "a warm-up by mle")
        if self.options.interleave > 0:
            require_likelihood(parts.generator, "interleaved mle")
