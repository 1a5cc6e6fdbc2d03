"""Maximum likelihood: the control, and the warm-up of adversarial training."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from ganlm_core import sampling
from ganlm_core.components import Options
from ganlm_core.errors import UsageError
from ganlm_core.protocol import Algorithm, Batch, Generator, Parts, Phase


def negative_log_likelihood(generator: Generator, batch: Batch) -> Tensor:
    """-log p(x | z) in nats per token, with fresh noise z: for noise-driven generators a bound on -log p(x).

    By Jensen's inequality E_z[-log p(x | z)] >= -log p(x).
    """
    log_probs = sampling.log_likelihood(generator, batch.noise, batch.tokens, batch.mask)
    return -log_probs.sum() / batch.mask.sum()


def likelihood_phase(generator: Generator) -> Phase:
    """A step of maximum likelihood."""
    return Phase("mle", "generator", lambda batch: negative_log_likelihood(generator, batch))


def require_likelihood(generator: Generator, method: str) -> None:
    """Raises UsageError for a generator that has no likelihood to maximise."""
    if not generator.autoregressive:
        raise UsageError(
            f"{method} needs an autoregressive generator, and {type(generator).__name__} writes all positions at once; "
            "choose another with --gen, or train it with --recipe one-shot"
        )


class MLE(Algorithm):
    """Maximum likelihood by teacher forcing (Bengio et al. 2003, section 2). The discriminator is not trained."""

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
