"""SentiGAN: the classes, both losses by the paper's equations, and the sign of the penalty."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ganlm_core import sampling
from ganlm_core.algorithms.estimators import Rollout
from ganlm_core.algorithms.options import RolloutOptions, ScheduleOptions
from ganlm_core.algorithms.sentigan import SentiGAN, class_logits, discriminator_loss, penalty_loss, penalty_of
from ganlm_core.errors import UsageError
from ganlm_core.layers import PerLabelGenerator
from ganlm_core.protocol import Batch, Parts, Shape, conditions_of, mask_of, with_labels
from ganlm_core.sampling.conditions import ConditionalDiscriminator
from ganlm_core.testing import references
from tests.tiny import TinyDiscriminator, TinyGenerator, every_sequence

SHAPE = Shape(vocabulary=6, length=3, noise=2, labels=2)


def make_batch(rows: int) -> Batch:
    tokens, labels = every_sequence()[0][:rows], torch.arange(rows) % 2
    return Batch(tokens, mask_of(tokens), with_labels(torch.zeros(rows, 2), labels, 2), labels=labels)


def make_parts(**rollout: float) -> Parts:
    torch.manual_seed(0)
    generator = PerLabelGenerator(SHAPE.of("generator"), TinyGenerator)
    discriminator = ConditionalDiscriminator(TinyDiscriminator(SHAPE.of("discriminator")), SHAPE)
    parts = references.parts(generator, discriminator, 10)
    return replace(parts, estimator=Rollout(RolloutOptions(samples=2, baseline="none", **rollout)))  # type: ignore[arg-type]


def test_the_generator_minimises_its_probability_of_words_times_their_penalty() -> None:
    """Equations 2 and 3 by hand: G(x_1) V_1 + G(x_2) V_2, no logarithm, and no minus, which TextGAN-PyTorch has."""
    probabilities = torch.tensor([[0.5, 0.25, 0.9], [0.1, 0.2, 0.3]], requires_grad=True)
    penalties = torch.tensor([[0.2, 0.8, 7.0], [1.0, 0.5, 0.1]])
    mask = torch.tensor([[True, True, False], [True, True, True]])
    loss = penalty_loss(probabilities, penalties, mask)
    assert loss.item() == pytest.approx(((0.5 * 0.2 + 0.25 * 0.8) + (0.1 * 1.0 + 0.2 * 0.5 + 0.3 * 0.1)) / 2)
    (gradient,) = torch.autograd.grad(loss, probabilities)
    assert gradient.equal(penalties * mask / 2)


def test_a_class_is_the_discriminator_that_reads_its_label_and_the_last_one_is_generated_text() -> None:
    parts, batch = make_parts(), make_batch(8)
    found = class_logits(parts.discriminator, batch, batch.tokens, batch.mask)
    assert found.shape == (8, 3) and not found[:, -1].any()
    for label in range(2):
        with conditions_of(replace(batch, labels=torch.full((8,), label))):
            assert found[:, label].equal(parts.discriminator(batch.tokens, batch.mask))
    plain = references.parts(references.Recurrent(references.SHAPE), references.Bag(references.SHAPE), 1)
    two = class_logits(plain.discriminator, references.batch(4), *_sequences(references.batch(4)))
    assert two.shape == (4, 2) and not two[:, -1].any()


def _sequences(batch: Batch) -> tuple[Tensor, Tensor]:
    return batch.tokens, batch.mask


def test_the_discriminator_learns_the_classes() -> None:
    """Equation 6: -log D_i of real text of label i, and -log D_{K+1} of generated text."""
    parts, batch = make_parts(), make_batch(8)
    torch.manual_seed(1)
    found = discriminator_loss(parts, batch)
    torch.manual_seed(1)
    drawn = parts.estimator.draw(parts.generator, batch)
    real = class_logits(parts.discriminator, batch, batch.tokens, batch.mask).log_softmax(dim=1)
    generated = class_logits(parts.discriminator, batch, drawn.sequence, drawn.mask).log_softmax(dim=1)
    assert batch.labels is not None
    own = sum(real[row, label] for row, label in enumerate(batch.labels.tolist())) / 8
    torch.testing.assert_close(found, -own - generated[:, 2].mean())


def test_a_penalty_is_one_minus_the_share_of_the_label_that_was_asked_for() -> None:
    parts, batch = make_parts(), make_batch(4)
    tokens, mask = batch.tokens.repeat(3, 1), batch.mask.repeat(3, 1)
    found = penalty_of(parts.discriminator, batch)(tokens, mask)
    shares = class_logits(parts.discriminator, batch, tokens, mask).softmax(dim=1)
    expected = [1 - shares[row, row % 4 % 2] for row in range(12)]
    torch.testing.assert_close(found, torch.stack(expected))


def expected_penalty(parts: Parts, label: int) -> float:
    """Return the expected penalty of sequences of a label, over every sequence."""
    tokens, mask = every_sequence()
    rows = len(tokens)
    labels = torch.full((rows,), label)
    batch = Batch(tokens, mask, with_labels(torch.zeros(rows, 2), labels, 2), labels=labels)
    scores = sampling.log_likelihood(parts.generator, batch.noise, tokens, mask).sum(dim=1).exp()
    return (scores * penalty_of(parts.discriminator, batch)(tokens, mask)).sum().item()


def test_training_lowers_the_penalty_of_both_generators() -> None:
    parts = make_parts()
    algorithm = SentiGAN(parts, ScheduleOptions())
    before = [expected_penalty(parts, label) for label in range(2)]
    optimizer = torch.optim.SGD(parts.generator.parameters(), lr=30.0)
    (phase,) = [phase for phase in algorithm.phases(0) if phase.network == "generator"]
    torch.manual_seed(3)
    for _ in range(40):
        optimizer.zero_grad()
        phase(make_batch(40)).backward()
        optimizer.step()
    after = [expected_penalty(parts, label) for label in range(2)]
    assert all(now < then - 0.005 for now, then in zip(after, before, strict=True)), (before, after)


def test_rollouts_without_ranks_are_needed() -> None:
    parts = make_parts(rank=2.0)
    for wrong in (parts, replace(parts, estimator=references.parts(parts.generator, parts.discriminator, 1).estimator)):
        with pytest.raises(UsageError, match="choose --estimator rollout --estimator"):
            SentiGAN(wrong, ScheduleOptions())


def test_a_generator_per_label_writes_with_the_network_of_the_label() -> None:
    generator = make_parts().generator
    assert isinstance(generator, PerLabelGenerator)
    batch = make_batch(6)
    logits = generator(batch.noise, batch.tokens)
    for row, label in enumerate([0, 1] * 3):
        own = generator.generators[label](torch.zeros(1, 2), batch.tokens[row : row + 1])
        torch.testing.assert_close(logits[row : row + 1], own)
    gradient = torch.autograd.grad(logits[::2].sum(), list(generator.generators[1].parameters()), allow_unused=True)
    assert not any(each.any() for each in gradient if each is not None)
    assert F.one_hot(torch.tensor([0])).sum() == 1
