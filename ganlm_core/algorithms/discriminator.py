"""A discriminator alone, against a generator that stays as it is: how well can it tell both texts apart?"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from torch import Tensor, nn

from ganlm_core.algorithms.adversarial import discriminator_loss
from ganlm_core.algorithms.options import DiscriminatorOptions
from ganlm_core.layers import without_dropout
from ganlm_core.protocol import Algorithm, Batch, Parts, Phase


class DiscriminatorAlone(Algorithm):
    """The discriminator's half of a GAN (Goodfellow et al. 2014, Alg. 1, its inner loop). The generator is frozen.

    The generator draws as it does in a bundle: without dropout. At the optimum, the accuracy is 1/2 + TV/2, where TV is
    the total variation distance between text and generator. With a loss whose logits have no fixed origin, such as
    Wasserstein's, the logged accuracy may be lower.
    """

    frozen: ClassVar[tuple[str, ...]] = ("generator",)
    next_words = True

    def __init__(self, parts: Parts, options: DiscriminatorOptions) -> None:
        super().__init__()
        self.generator = parts.generator.requires_grad_(False)
        self.discriminator = parts.discriminator
        self.estimator = parts.estimator

        def loss(batch: Batch) -> Tensor:
            with without_dropout(parts.generator):
                return discriminator_loss(parts, batch, damaged=options.corruption)

        self._phases = [Phase("discriminator", "discriminator", loss)]

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"generator": self.generator, "discriminator": self.discriminator}

    def phases(self, step: int) -> Sequence[Phase]:
        return self._phases
