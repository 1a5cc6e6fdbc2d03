"""Maximum likelihood: the control of every method, and the warm-up of adversarial training."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from ganlm_core import sampling
from ganlm_core.components import Options
from ganlm_core.errors import UsageError
from ganlm_core.protocol import Algorithm, Batch, Generator, Parts, Phase


def negative_log_likelihood(generator: Generator, batch: Batch) -> Tensor:
    """Return -log p(x | z) in nats per token, for the noise z of the batch.

    For generators that read noise it is an upper bound: by Jensen's inequality E_z[-log p(x | z)] >= -log p(x).
    """
    shares = batch.scored / batch.scored.sum()
    return -sampling.weighted_log_likelihood(generator, batch.noise, batch.tokens, batch.mask, shares)


def likelihood_phase(generator: Generator) -> Phase:
    """Return the phase of one step of maximum likelihood."""
    return Phase("mle", "generator", lambda batch: negative_log_likelihood(generator, batch))


def require_likelihood(generator: Generator, method: str) -> None:
    """Raise UsageError for a generator that is not autoregressive, which ``method`` cannot train."""
    if not generator.autoregressive:
        raise UsageError(
            f"{method} needs an autoregressive generator, and {type(generator).__name__} writes all positions at once; "
            "choose another with --gen, or train it with --recipe one-shot"
        )


class MLE(Algorithm):
    """Maximum likelihood with teacher forcing (Bengio et al. 2003, section 2). The discriminator is not trained."""

    unused = ("discriminator", "loss", "penalty", "estimator")

    def __init__(self, parts: Parts, options: Options) -> None:
        super().__init__()
        require_likelihood(parts.generator, "mle")
        self.generator = parts.generator
        self.adversarial_from = parts.steps
        self._phases = [likelihood_phase(parts.generator)]

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"generator": self.generator}

    def phases(self, step: int) -> Sequence[Phase]:
        return self._phases
