"""Adversarial losses on discriminator logits. They compute; they never step.

``discriminator`` gives what each logit costs, for the real and for the generated ones; the means of both are added.
"""

import torch.nn.functional as F
from torch import Tensor

from ganlm_core.algorithms.options import NonSaturatingOptions
from ganlm_core.components import Options
from ganlm_core.protocol import Loss


class NonSaturating(Loss):
    """Binary cross-entropy, and -E[log D(G(z))] for the generator (Goodfellow et al. 2014, section 3).

    ``smoothing`` is one-sided (Salimans et al. 2016, section 3.4): real data are labelled 1 - smoothing.
    """

    def __init__(self, options: NonSaturatingOptions) -> None:
        self.smoothing = options.smoothing

    def discriminator(self, real: Tensor, generated: Tensor) -> tuple[Tensor, Tensor]:
        return F.softplus(-real) + self.smoothing * real, F.softplus(generated)

    def generator(self, generated: Tensor, real: Tensor) -> Tensor:
        return F.softplus(-generated)


class Probability(NonSaturating):
    """The same discriminator; the generator is paid D(x), the probability that its text is real (Yu et al. 2017).

    Its cost is -D(x). The reward 2 D(x) - 1 of de Masson d'Autume et al. 2019 is twice that and a constant.
    """

    def generator(self, generated: Tensor, real: Tensor) -> Tensor:
        return -generated.sigmoid()


class ReverseKL(NonSaturating):
    """The same discriminator; the generator pays log((1 - D)/D), its negative logit (Sonderby et al. 2017).

    At the best discriminator for what the generator writes, that is log(p_generator/p_data) at each text, and its mean
    over the generator's texts is KL(p_generator || p_data).
    """

    def generator(self, generated: Tensor, real: Tensor) -> Tensor:
        return -generated


class Hinge(Loss):
    """Margins of one (Lim & Ye 2017; Miyato et al. 2018, eq. 16-17)."""

    def __init__(self, options: Options) -> None:
        pass

    def discriminator(self, real: Tensor, generated: Tensor) -> tuple[Tensor, Tensor]:
        return F.relu(1 - real), F.relu(1 + generated)

    def generator(self, generated: Tensor, real: Tensor) -> Tensor:
        return -generated


class LeastSquares(Loss):
    """Half the squared distance to the labels 1 and 0 (Mao et al. 2017, eq. 9)."""

    def __init__(self, options: Options) -> None:
        pass

    def discriminator(self, real: Tensor, generated: Tensor) -> tuple[Tensor, Tensor]:
        return (real - 1).square() / 2, generated.square() / 2

    def generator(self, generated: Tensor, real: Tensor) -> Tensor:
        return (generated - 1).square() / 2


class Wasserstein(Loss):
    """The difference of the means (Arjovsky et al. 2017, eq. 2). The Lipschitz bound is left to a penalty."""

    def __init__(self, options: Options) -> None:
        pass

    def discriminator(self, real: Tensor, generated: Tensor) -> tuple[Tensor, Tensor]:
        return -real, generated

    def generator(self, generated: Tensor, real: Tensor) -> Tensor:
        return -generated


class Relativistic(Loss):
    """Is the real one more real than the generated one beside it (Jolicoeur-Martineau 2019, eq. 8-9).

    Differs in writing: both sides of a pair are the same comparison, so each is counted half.
    """

    paired = True

    def __init__(self, options: Options) -> None:
        pass

    def discriminator(self, real: Tensor, generated: Tensor) -> tuple[Tensor, Tensor]:
        half = F.softplus(generated - real) / 2
        return half, half

    def generator(self, generated: Tensor, real: Tensor) -> Tensor:
        return F.softplus(real - generated)
