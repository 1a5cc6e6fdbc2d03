"""Real text with a wrong label: which labels are wrong, the loss by hand, and a discriminator that learns to tell."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganlm_core.algorithms.adversarial import Adversarial, discriminator_loss
from ganlm_core.algorithms.losses import NonSaturating, Relativistic
from ganlm_core.algorithms.mismatched import mismatched
from ganlm_core.algorithms.options import AdversarialOptions, NonSaturatingOptions
from ganlm_core.components import NoOptions
from ganlm_core.errors import UsageError
from ganlm_core.protocol import Batch, Discriminator, Loss, Parts, Shape, conditions_of, mask_of, with_labels
from ganlm_core.sampling.conditions import ConditionalDiscriminator, unconditional
from ganlm_core.testing import references
from tests.tiny import Fixed

SHAPE = Shape(vocabulary=6, length=3, noise=2, labels=3)


def make_batch(rows: int) -> Batch:
    """The first word of a sequence tells its label."""
    labels = torch.randint(0, SHAPE.labels, (rows,))
    tokens = torch.stack([3 + labels, torch.randint(3, 6, (rows,)), torch.full((rows,), 2)], dim=1)
    return Batch(tokens, mask_of(tokens), with_labels(torch.randn(rows, 2), labels, SHAPE.labels), labels=labels)


class Pairs(Discriminator):
    """A logit for each pair of a label and a first word."""

    def __init__(self) -> None:
        super().__init__(SHAPE.of("discriminator"))
        self.table = nn.Parameter(torch.randn(SHAPE.labels, 9))

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        words = sequence.argmax(dim=-1) if sequence.is_floating_point() else sequence
        return self.table[words[:, 0] - SHAPE.vocabulary, words[:, 1]]


def make_parts() -> Parts:
    torch.manual_seed(0)
    generator = references.Recurrent(SHAPE.of("generator"))
    return references.parts(generator, ConditionalDiscriminator(Pairs(), SHAPE), 1)


def test_every_other_label_is_equally_likely() -> None:
    batch = make_batch(30_000)
    wrong = mismatched(batch, SHAPE.labels).labels
    assert batch.labels is not None and wrong is not None
    moved = (wrong - batch.labels) % SHAPE.labels
    assert set(moved.tolist()) == {1, 2}
    # Five standard deviations of a share of 30,000 draws are 0.0145.
    assert abs((moved == 1).float().mean().item() - 0.5) < 0.0145


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_loss_rejects_generated_text_and_wrong_labels_by_their_shares(share: float) -> None:
    parts, batch = make_parts(), make_batch(50)
    with conditions_of(batch):
        torch.manual_seed(1)
        found = discriminator_loss(parts, batch, share)
        torch.manual_seed(1)
        drawn = parts.estimator.draw(parts.generator, batch)
        real, generated = (parts.discriminator(each, batch.mask) for each in (batch.tokens, drawn.sequence))
        with conditions_of(mismatched(batch, SHAPE.labels)):
            wrong = parts.discriminator(batch.tokens, batch.mask)
    rejected = (1 - share) * F.softplus(generated).mean() + share * F.softplus(wrong).mean()
    torch.testing.assert_close(found, F.softplus(-real).mean() + rejected)
    assert ("label_accuracy" in batch.metrics) == (share > 0)


@pytest.mark.parametrize("loss", [NonSaturating(NonSaturatingOptions()), Relativistic(NoOptions())])
@pytest.mark.parametrize("share", [0.25, 1.0])
def test_wrong_labels_have_their_share_of_the_gradient_with_every_loss(loss: Loss, share: float) -> None:
    """Every logit is zero, so what is rejected has gradients in proportion to its weight."""
    parts, batch = replace(make_parts(), loss=loss, estimator=Fixed(torch.full((50, 3), 3))), make_batch(50)
    pairs = unconditional(parts.discriminator)
    assert isinstance(pairs, Pairs)
    table = nn.init.zeros_(pairs.table)
    batch = replace(batch, tokens=torch.full((50, 3), 4), labels=torch.zeros(50, dtype=torch.int64))
    with conditions_of(batch):
        (found,) = torch.autograd.grad(discriminator_loss(parts, batch, share), [table])
    generated, wrong = found[0, 3].item(), found[1:, 4].sum().item()
    assert wrong / (generated + wrong) == pytest.approx(share)


def told_apart(share: float) -> float:
    """Train a discriminator against a generator that never writes words of a label; return how it ranks real pairs."""
    parts = make_parts()
    optimizer = torch.optim.Adam(parts.discriminator.parameters(), lr=0.05)
    torch.manual_seed(2)
    for _ in range(150):
        batch = make_batch(64)
        with conditions_of(batch):
            optimizer.zero_grad()
            discriminator_loss(parts, batch, share).backward(inputs=list(parts.discriminator.parameters()))
            optimizer.step()
    batch = make_batch(600)
    with conditions_of(batch):
        right = parts.discriminator(batch.tokens, batch.mask)
    with conditions_of(mismatched(batch, SHAPE.labels)):
        wrong = parts.discriminator(batch.tokens, batch.mask)
    return (right > wrong).float().mean().item()


def test_matched_pairs_are_told_from_mismatched_ones() -> None:
    assert told_apart(0.5) == 1


def test_wrong_labels_need_labels() -> None:
    plain = references.parts(references.Recurrent(references.SHAPE), references.Bag(references.SHAPE), 1)
    Adversarial(plain, AdversarialOptions())
    with pytest.raises(UsageError, match="the data have no labels; name their column with"):
        Adversarial(plain, AdversarialOptions(mismatched=0.5))
