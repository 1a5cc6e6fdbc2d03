"""RankGAN (Lin et al. 2017): a ranker, which compares texts with each other, replaces the discriminator."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ganlm_core.algorithms.options import RankGANOptions
from ganlm_core.algorithms.schedule import ScheduledAlgorithm
from ganlm_core.protocol import Batch, Parts, Phase

SMALLEST = 1e-6
"""Lower bound of 1 - R: the loss stays finite for a text with R = 1."""


def log_ranks(texts: Tensor, references: Tensor, others: Tensor, gamma: float) -> Tensor:
    """Return log R (N,) of texts (N, F), each ranked among ``others`` (M, F) by ``references`` (K, F).

    Lin et al. 2017, eq. 2-4. The relevance of a text to a reference is the cosine of their features. The rank is the
    softmax of gamma times the relevance, over the text and the others. log R is the mean log rank over the references.
    """
    texts, references, others = (F.normalize(each, dim=1) for each in (texts, references, others))
    own = gamma * texts @ references.T
    rivals = (gamma * others @ references.T).logsumexp(dim=0)
    return (own - torch.logaddexp(own, rivals)).mean(dim=1)


def ranker_loss(parts: Parts, gamma: float, batch: Batch) -> Tensor:
    """Return the mean -log R of real texts among generated texts plus -log(1 - R) of generated among real (eq. 1)."""
    drawn = parts.estimator.draw(parts.generator, batch)
    generated = parts.discriminator.features(drawn.sequence, drawn.mask)
    real, references = _real(parts, batch)
    of_real = log_ranks(real, references, generated[: len(real)], gamma)
    of_generated = log_ranks(generated, references, real, gamma)
    batch.log("rank_of_real", of_real.exp().mean())
    batch.log("rank_of_generated", of_generated.exp().mean())
    return -of_real.mean() - (-of_generated.expm1()).clamp(min=SMALLEST).log().mean()


def generator_loss(parts: Parts, gamma: float, batch: Batch) -> Tensor:
    """Return the estimator's surrogate loss for the cost -log R of generated texts among real texts (eq. 5-7)."""
    with torch.no_grad():
        real, references = _real(parts, batch)

    def cost(sequence: Tensor, mask: Tensor) -> Tensor:
        return -log_ranks(parts.discriminator.features(sequence, mask), references, real, gamma)

    return parts.estimator(parts.generator, batch, parts.pay(cost, batch))


def _real(parts: Parts, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the features of two halves of the real batch: texts to rank, and references. A single text is both."""
    features = parts.discriminator.features(batch.tokens, batch.mask)
    half = (len(features) + 1) // 2
    return features[:half], features[-half:]


class RankGAN(ScheduledAlgorithm):
    """Adversarial training that ranks texts by the features of a discriminator network. Its logit is not used.

    The network is called ``ranker``, and the bundle holds no discriminator, because the logit is not trained. Differs:
    references and comparison sets are halves of the batch, not separate samples of the data.
    """

    unused = ("loss", "penalty")
    pays = True

    def __init__(self, parts: Parts, options: RankGANOptions) -> None:
        gamma = options.gamma
        super().__init__(
            parts,
            options,
            judging=Phase("ranker", "ranker", lambda batch: ranker_loss(parts, gamma, batch)),
            generator=[Phase("generator", "generator", lambda batch: generator_loss(parts, gamma, batch))],
        )
