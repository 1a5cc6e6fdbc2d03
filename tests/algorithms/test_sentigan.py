"""SentiGAN: the classes, both losses by the paper's equations, and the sign of the penalty."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ganlm_core import sampling
from ganlm_core.algorithms.options import RolloutOptions, ScheduleOptions
from ganlm_core.algorithms.policy_gradients import Rollout
from ganlm_core.algorithms.sentigan import SentiGAN, class_logits, discriminator_loss, penalty_loss, penalty_of
from ganlm_core.errors import UsageError
from ganlm_core.layers import PerLabelGenerator
from ganlm_core.protocol import (
    Batch,
    Discriminator,
    Generator,
    Parts,
    Shape,
    conditions_of,
    current_batch,
    mask_of,
    with_labels,
)
from ganlm_core.sampling.conditions import ConditionalDiscriminator
from ganlm_core.testing import references
from tests.tiny import TinyDiscriminator, TinyGenerator, every_sequence, z_scores

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
    tokens = torch.tensor([[3, 2, 0], [3, 4, 5]])
    chosen = probabilities.log().unsqueeze(2)
    distributions = torch.full((2, 3, 6), -9.0).scatter(2, tokens.unsqueeze(2), chosen)
    drawn = sampling.Draws(tokens, mask, chosen.squeeze(2).detach(), distributions)
    loss = penalty_loss(Rollout(RolloutOptions(baseline="none")), drawn, penalties)
    assert loss.item() == pytest.approx(((0.5 * 0.2 + 0.25 * 0.8) + (0.1 * 1.0 + 0.2 * 0.5 + 0.3 * 0.1)) / 2)
    (gradient,) = torch.autograd.grad(loss, probabilities)
    torch.testing.assert_close(gradient, penalties * mask / 2)


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
    """-log D_i of real text of label i, and -log D_{K+1} of generated text, a mean of each."""
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


class LabelLogits(Discriminator):
    """A logit of each label, whatever the text."""

    def __init__(self) -> None:
        super().__init__(SHAPE)
        self.logits = torch.nn.Parameter(torch.tensor([0.3, -0.7]))

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        labels = current_batch("LabelLogits").labels
        assert labels is not None
        return self.logits[labels[0]].expand(len(sequence))


def test_text_that_the_generator_writes_as_often_as_it_is_real_is_generated_with_probability_one_half() -> None:
    """Equation 6, a sum over the two labels, would give 1/3."""
    discriminator, batch = LabelLogits(), make_batch(8)
    parts = replace(make_parts(), discriminator=discriminator)
    optimizer = torch.optim.LBFGS([discriminator.logits], max_iter=100)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = discriminator_loss(parts, batch)
        loss.backward()
        return loss

    optimizer.step(closure)
    classes = class_logits(discriminator, batch, batch.tokens, batch.mask).softmax(dim=1)
    torch.testing.assert_close(classes[0], torch.tensor([0.25, 0.25, 0.5]), atol=1e-4, rtol=0)


def test_a_penalty_is_one_minus_the_share_of_the_label_that_was_asked_for() -> None:
    parts, batch = make_parts(), make_batch(4)
    tokens, mask = batch.tokens.repeat(3, 1), batch.mask.repeat(3, 1)
    found = penalty_of(parts.discriminator, batch)(tokens, mask)
    shares = class_logits(parts.discriminator, batch, tokens, mask).softmax(dim=1)
    expected = [1 - shares[row, row % 4 % 2] for row in range(12)]
    torch.testing.assert_close(found, torch.stack(expected))


def kind(label: int, rows: int) -> Batch:
    """A batch of one label, without noise."""
    tokens, mask = every_sequence()
    labels = torch.full((rows,), label)
    return Batch(tokens[:1].expand(rows, -1), mask[:1], with_labels(torch.zeros(rows, 2), labels, 2), labels=labels)


def values(scores: Tensor, penalties: Tensor) -> Tensor:
    """Return V of the prefix of each sequence up to each position, (N, T): the mean penalty of all its completions."""
    tokens, _ = every_sequence()
    found = []
    for length in range(1, tokens.shape[1] + 1):
        same = (tokens[:, None, :length] == tokens[None, :, :length]).all(dim=2).float()
        found.append((same @ (scores * penalties)) / (same @ scores))
    return torch.stack(found, dim=1)


def enumerated(parts: Parts, label: int) -> tuple[Tensor, Tensor]:
    """Return the gradient of the paper's objective, and of the expected penalty, both over every sequence."""
    tokens, mask = every_sequence()
    batch = kind(label, len(tokens))
    log_probs = sampling.log_likelihood(parts.generator, batch.noise, tokens, mask)
    scores, penalties = log_probs.sum(dim=1).exp(), penalty_of(parts.discriminator, batch)(tokens, mask).detach()
    paid = log_probs.exp() * values(scores.detach(), penalties) * mask
    objective = (scores.detach() * paid.sum(dim=1)).sum()
    return gradient(objective, parts.generator), gradient((scores * penalties).sum(), parts.generator)


def gradient(scalar: Tensor, generator: Generator) -> Tensor:
    found = torch.autograd.grad(scalar, list(generator.parameters()), retain_graph=True, allow_unused=True)
    parts = zip(found, generator.parameters(), strict=True)
    return torch.cat([(torch.zeros_like(own) if each is None else each).flatten() for each, own in parts])


@pytest.mark.parametrize("label", range(2))
def test_the_gradient_is_that_of_the_objective_and_lowers_the_penalty_of_its_generator(label: int) -> None:
    parts = make_parts()
    exact, of_penalty = enumerated(parts, label)
    algorithm = SentiGAN(parts, ScheduleOptions())
    (phase,) = [phase for phase in algorithm.phases(0) if phase.network == "generator"]
    torch.manual_seed(3)
    found = torch.stack([gradient(phase(kind(label, 256)), parts.generator) for _ in range(64)])
    # About 100 coordinates, each a standard normal if unbiased: beyond 4.5 with probability 0.0007.
    assert z_scores(found, exact).abs().max() < 4.5
    assert F.cosine_similarity(exact, of_penalty, dim=0) > 0.3, "a reversed sign would give a negative one"
    other = [parameter.numel() for parameter in parts.generator.generators[0].parameters()]  # type: ignore[index]
    halves = exact.split(sum(other))
    assert halves[label].any() and not halves[1 - label].any()


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
