"""SentiGAN (Wang & Wan 2018): a generator for each label, a discriminator of k + 1 classes, and penalties for rewards.

Shape letter: ``K`` labels. Without labels there is one generator and there are two classes.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ganlm_core import sampling
from ganlm_core.algorithms.adversarial import accuracy
from ganlm_core.algorithms.mle import require_likelihood
from ganlm_core.algorithms.options import ScheduleOptions
from ganlm_core.algorithms.policy_gradients import Rollout
from ganlm_core.algorithms.schedule import ScheduledAlgorithm
from ganlm_core.errors import UsageError
from ganlm_core.layers import without_dropout
from ganlm_core.protocol import (
    AutoregressiveGenerator,
    Batch,
    Cost,
    Discriminator,
    Parts,
    Phase,
    conditions_of,
)


def class_logits(discriminator: Discriminator, batch: Batch, sequence: Tensor, mask: Tensor) -> Tensor:
    """Return logits (N, K + 1) of the classes of N sequences: real text of each label, and generated text.

    Differs: the logit of a label is that of the discriminator which reads the sequence with this label, and the logit
    of generated text is zero, where the paper's network has K + 1 outputs. So any discriminator has K + 1 classes.
    """
    batches = [batch] if batch.labels is None else list(_labelled(batch, batch.labels, discriminator.shape.labels))
    logits = []
    for each in batches:
        with conditions_of(each):
            logits.append(discriminator.verdict(sequence, mask))
    return torch.stack([*logits, torch.zeros_like(logits[0])], dim=1)


def _labelled(batch: Batch, labels: Tensor, count: int) -> Sequence[Batch]:
    return [replace(batch, labels=torch.full_like(labels, label)) for label in range(count)]


def own_class(batch: Batch, rows: int) -> Tensor:
    """Return the class (N,) of real text with the labels of the batch; row i has the label of row i % B."""
    labels = torch.zeros_like(batch.tokens[:, 0]) if batch.labels is None else batch.labels
    return labels.repeat(rows // len(labels))


def discriminator_loss(parts: Parts, batch: Batch) -> Tensor:
    """Return -log D_i of real text of label i and -log D_{K+1} of generated text, the mean of each.

    Differs: eq. 6 sums over the K labels, each with its own mean. Here real text weighs as much as generated text, and
    there K times as much. So for a generator that equals equally frequent labels, D_{K+1} is 1/2 here and 1/(K + 1)
    there, and penalties are larger here.
    """
    drawn = parts.estimator.draw(parts.generator, batch)
    own = own_class(batch, len(batch.tokens))
    real, generated = (
        class_logits(parts.discriminator, batch, sequence, mask)
        for sequence, mask in ((batch.tokens, batch.mask), (drawn.sequence, drawn.mask))
    )
    of_own, as_own = (each.gather(1, own[:, None]).squeeze(1) for each in (real, generated))
    batch.log("accuracy", accuracy(of_own, as_own))
    batch.log("label_accuracy", (real[:, :-1].argmax(dim=1) == own).float().mean())
    last = torch.full_like(own, real.shape[1] - 1)
    return F.cross_entropy(real, own) + F.cross_entropy(generated, last)


def penalty_of(discriminator: Discriminator, batch: Batch) -> Cost:
    """Return the penalty 1 - D_i(X) of sequences that were asked for label i (eq. 4, where the sequence ends)."""

    def cost(sequence: Tensor, mask: Tensor) -> Tensor:
        shares = class_logits(discriminator, batch, sequence, mask).softmax(dim=1)
        return 1 - shares.gather(1, own_class(batch, len(shares))[:, None]).squeeze(1)

    return cost


def penalty_loss(estimator: Rollout, drawn: sampling.Draws, penalties: Tensor) -> Tensor:
    """Return E[sum_t G(x_t | x_<t) V(x_<=t)] (eq. 2-3), the mean over B, for penalties (B, T) of drawn tokens.

    The generator minimises its probability of words with a penalty V. The paper has neither a logarithm nor a minus,
    nor a baseline: ``--estimator.baseline none``. All penalties are positive, so without a baseline every word
    that is drawn becomes less likely, and the more so the likelier it was. A baseline leaves the differences.
    """
    return -(estimator.advantage(drawn, -penalties) * drawn.log_likelihood().exp()).sum(dim=1).mean()


def generator_loss(parts: Parts, rollout: Rollout, batch: Batch) -> Tensor:
    """Return the loss of the generators: :func:`penalty_loss` with the penalties of prefixes by rollouts (eq. 4)."""
    generator = parts.generator
    assert isinstance(generator, AutoregressiveGenerator)
    with without_dropout(generator):
        drawn = sampling.draws(generator, batch)
        penalties = -rollout.returns(generator, batch, drawn, penalty_of(parts.discriminator, batch))
    batch.log("label_penalty", (penalties * drawn.mask).sum() / drawn.mask.sum())
    return penalty_loss(rollout, drawn, penalties)


class SentiGAN(ScheduledAlgorithm):
    """A warm-up by maximum likelihood, then rounds of discriminator and generators (Wang & Wan 2018, Alg. 1).

    The penalty V of a word is the mean of 1 - D_i over rollouts of the prefix that ends with it (eq. 4). A generator
    with one network for each label (``lstm-per-label``) has the paper's K generators; any other one shares its weights
    among the labels.
    """

    unused = ("loss", "penalty")

    def __init__(self, parts: Parts, options: ScheduleOptions) -> None:
        require_likelihood(parts.generator, "sentigan")
        rollout = _rollout(parts)
        super().__init__(
            parts,
            options,
            judging=Phase("discriminator", "discriminator", lambda batch: discriminator_loss(parts, batch)),
            generator=[Phase("generator", "generator", lambda batch: generator_loss(parts, rollout, batch))],
        )


def _rollout(parts: Parts) -> Rollout:
    """Return the estimator, which makes the rollouts. Raises UsageError for another one."""
    estimator = parts.estimator
    if not isinstance(estimator, Rollout) or estimator.options.rank > 0:
        raise UsageError(
            "algorithm 'sentigan' takes the mean penalty of rollouts, and another estimator or --estimator.rank gives "
            "other values; choose --estimator rollout --estimator.rank 0"
        )
    return estimator
