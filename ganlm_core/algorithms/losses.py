"""Adversarial losses on discriminator logits. They compute costs; only the loop makes optimiser steps.

``discriminator`` returns a cost for each real and for each generated logit. The algorithm adds the means of both.
"""

import math

import torch.nn.functional as F
from torch import Tensor

from ganlm_core.algorithms.options import NonSaturatingOptions
from ganlm_core.components import Options
from ganlm_core.protocol import Loss

LARGEST_LOGIT = 8.0
"""The largest logit of which the exponential is taken: a text 3,000 times likelier in the data than generated."""


class NonSaturating(Loss):
    """Binary cross-entropy, and -E[log D(G(z))] for the generator (Goodfellow et al. 2014, section 3).

    ``smoothing`` is one-sided (Salimans et al. 2016, section 3.4): real data are labelled 1 - smoothing.
    """

    def __init__(self, options: NonSaturatingOptions) -> None:
        self.smoothing = options.smoothing
        self.threshold = math.log((1 - self.smoothing) / (1 + self.smoothing))

    def discriminator(self, real: Tensor, generated: Tensor) -> tuple[Tensor, Tensor]:
        return F.softplus(-real) + self.smoothing * real, F.softplus(generated)

    def generator(self, generated: Tensor, real: Tensor) -> Tensor:
        return F.softplus(-generated)


class Probability(NonSaturating):
    """The discriminator's loss of NonSaturating; the generator's reward is D(x), P(real) (Yu et al. 2017).

    The generator's cost is -D(x).
    """

    def generator(self, generated: Tensor, real: Tensor) -> Tensor:
        return -generated.sigmoid()


class CentredProbability(NonSaturating):
    """The discriminator's loss of NonSaturating; the generator's reward is 2 D(x) - 1 (de Masson d'Autume et al. 2019).

    The generator's cost is 1 - 2 D(x), which is 0 at chance. One reward for each sequence has twice the gradient of
    Probability's. Rewards per position, which are summed, pay for long sentences with Probability and not with this.
    """

    def generator(self, generated: Tensor, real: Tensor) -> Tensor:
        return 1 - 2 * generated.sigmoid()


class ReverseKL(NonSaturating):
    """The discriminator's loss of NonSaturating; the generator's cost is log((1 - D)/D) (Sonderby et al. 2017).

    This is the negative logit. At the optimal discriminator it is log(p_generator/p_data) of each text, and its mean
    over generated texts is KL(p_generator || p_data).
    """

    def generator(self, generated: Tensor, real: Tensor) -> Tensor:
        return -generated


class ForwardKL(NonSaturating):
    """The discriminator's loss of NonSaturating; the generator's cost is -D/(1 - D) (Nowozin et al. 2016, table 6).

    This is -exp(logit). At the optimal discriminator it is -p_data/p_generator of each text, and the score function
    weighted by it has the gradient of KL(p_data || p_generator), as in Che et al. 2017 (section 3.1). Differs: a logit
    above LARGEST_LOGIT counts as LARGEST_LOGIT.
    """

    def generator(self, generated: Tensor, real: Tensor) -> Tensor:
        return -generated.clamp(max=LARGEST_LOGIT).exp()


class Hinge(Loss):
    """Hinge loss with margin 1 (Lim & Ye 2017; Miyato et al. 2018, eq. 16-17)."""

    threshold = 0.0

    def __init__(self, options: Options) -> None:
        pass

    def discriminator(self, real: Tensor, generated: Tensor) -> tuple[Tensor, Tensor]:
        return F.relu(1 - real), F.relu(1 + generated)

    def generator(self, generated: Tensor, real: Tensor) -> Tensor:
        return -generated


class LeastSquares(Loss):
    """Half the squared distance to the labels 1 and 0 (Mao et al. 2017, eq. 9)."""

    threshold = 0.5

    def __init__(self, options: Options) -> None:
        pass

    def discriminator(self, real: Tensor, generated: Tensor) -> tuple[Tensor, Tensor]:
        return (real - 1).square() / 2, generated.square() / 2

    def generator(self, generated: Tensor, real: Tensor) -> Tensor:
        return (generated - 1).square() / 2


class Wasserstein(Loss):
    """Difference of the mean logits (Arjovsky et al. 2017, eq. 2). A penalty must keep the network Lipschitz."""

    def __init__(self, options: Options) -> None:
        pass

    def discriminator(self, real: Tensor, generated: Tensor) -> tuple[Tensor, Tensor]:
        return -real, generated

    def generator(self, generated: Tensor, real: Tensor) -> Tensor:
        return -generated


class Relativistic(Loss):
    """Relativistic loss: each real logit minus the generated one of its row (Jolicoeur-Martineau 2019, eq. 8-9).

    Both sides of a pair make the same comparison, so each gets half of the cost; the sum is the paper's.
    """

    paired = True

    def __init__(self, options: Options) -> None:
        pass

    def discriminator(self, real: Tensor, generated: Tensor) -> tuple[Tensor, Tensor]:
        half = F.softplus(generated - real) / 2
        return half, half

    def generator(self, generated: Tensor, real: Tensor) -> Tensor:
        return F.softplus(real - generated)
