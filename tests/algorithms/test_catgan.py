"""CatGAN: what is compared with what, both losses by hand, and the choice of the fittest child."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from ganlm_core.algorithms import catgan
from ganlm_core.algorithms.catgan import (
    CatGAN,
    averages,
    child_of,
    cost_of,
    discriminator_loss,
    fitness,
    mutations,
    pairs,
)
from ganlm_core.algorithms.options import CatGANOptions, ClippedOptions
from ganlm_core.algorithms.policy_gradients import Clipped
from ganlm_core.errors import UsageError
from ganlm_core.protocol import Batch, Generator, Parts, Shape, conditions_of, mask_of, with_labels
from ganlm_core.sampling.conditions import ConditionalDiscriminator
from ganlm_core.testing import references
from tests.tiny import TinyDiscriminator, TinyGenerator, every_sequence, gradient

SHAPE = Shape(vocabulary=6, length=3, noise=2, labels=2)


def make_batch(rows: int = 8) -> Batch:
    tokens, labels = every_sequence()[0][:rows], torch.arange(rows) % 2
    return Batch(tokens, mask_of(tokens), with_labels(torch.zeros(rows, 2), labels, 2), labels=labels)


def make_parts() -> Parts:
    torch.manual_seed(0)
    discriminator = ConditionalDiscriminator(TinyDiscriminator(SHAPE.of("discriminator")), SHAPE)
    return references.parts(TinyGenerator(SHAPE.of("generator")), discriminator, 10)


def test_a_sequence_is_compared_within_its_label_and_with_any_label() -> None:
    real, batch = torch.tensor([1.0, 2.0, 3.0, 6.0]), make_batch(4)
    assert [each.tolist() for each in pairs(real, batch)] == [[1, 2, 3, 6], [6, 1, 2, 3]]
    assert [each.tolist() for each in averages(real, batch)] == [[2, 4, 2, 4], [3, 3, 3, 3]]
    plain = Batch(batch.tokens, batch.mask, batch.noise)
    assert [each.tolist() for each in averages(real, plain)] == [[3, 3, 3, 3]] * 2


def test_the_losses_are_relativistic_per_label_and_over_all() -> None:
    parts, batch = make_parts(), make_batch()
    with conditions_of(batch):
        torch.manual_seed(1)
        found = discriminator_loss(parts, batch)
        torch.manual_seed(1)
        drawn = parts.estimator.draw(parts.generator, batch)
        real, generated = (parts.discriminator(each, batch.mask) for each in (batch.tokens, drawn.sequence))
        generated = parts.discriminator(drawn.sequence, drawn.mask)
        cost = cost_of(parts, batch, averages)(drawn.sequence.repeat(2, 1), drawn.mask.repeat(2, 1))
    others = [real, torch.cat([real[-1:], real[:-1]])]
    expected = sum(F.softplus(generated - other).mean() for other in others)
    torch.testing.assert_close(found, expected)
    means = [torch.stack([real[row % 2 :: 2].mean() for row in range(8)]), real.mean().expand(8)]
    torch.testing.assert_close(cost, sum(F.softplus(other - generated) for other in means).repeat(2))  # type: ignore[union-attr]


def test_every_objective_is_tried_at_two_temperatures() -> None:
    found = [(each.against, each.shift) for each in mutations(0.1)]
    assert found == [(pairs, 0.0), (pairs, -0.1), (averages, 0.0), (averages, -0.1)]
    assert [each.against for each in mutations(0.0)] == [pairs, averages]
    assert mutations(0.5)[1].of(make_batch()).progress == 0


def test_a_child_is_one_step_from_its_parent_and_the_parent_stays() -> None:
    generator = make_parts().generator
    before = [parameter.detach().clone() for parameter in generator.parameters()]
    loss = sum(parameter.square().sum() for parameter in generator.parameters())
    assert isinstance(loss, torch.Tensor)
    child = child_of(generator, loss, 0.25)
    moved = [new.detach() - old for new, old in zip(child.parameters(), before, strict=True)]
    assert math.sqrt(sum(each.square().sum().item() for each in moved)) == pytest.approx(0.25, rel=1e-4)
    assert all((each * old).sum() < 0 for each, old in zip(moved, before, strict=True))
    assert all(now.equal(old) for now, old in zip(generator.parameters(), before, strict=True))
    gradient(loss, generator)  # the graph is still there for the step of the optimiser


def test_fitness_is_quality_plus_diversity() -> None:
    parts, batch = make_parts(), make_batch()
    with conditions_of(batch):
        real = parts.discriminator(batch.tokens, batch.mask)
        quality = fitness(parts, parts.generator, batch, real, 0.0, 5)
        assert 0 < quality < 1 and quality.equal(fitness(parts, parts.generator, batch, real, 0.0, 5))
        both = fitness(parts, parts.generator, batch, real, 2.0, 5)
    assert 0 < (both - quality) / 2 < 2 * math.log(4)  # nats of a word of four, of few samples


@pytest.mark.parametrize("fittest", range(4))
def test_the_loss_is_that_of_the_fittest_child(fittest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    parts, batch = make_parts(), make_batch()
    algorithm = CatGAN(parts, CatGANOptions())
    called: list[Generator] = []

    def rank(
        parts: Parts, child: Generator, batch: Batch, real: torch.Tensor, diversity: float, seed: int
    ) -> torch.Tensor:
        called.append(child)
        return torch.tensor(float(len(called) - 1 == fittest))

    monkeypatch.setattr(catgan, "fitness", rank)
    (phase,) = [phase for phase in algorithm.phases(0) if phase.network == "generator"]
    torch.manual_seed(2)
    found = gradient(phase(batch), parts.generator)
    assert batch.metrics["mutation"].item() == fittest and len(called) == 4
    (moved,) = (called[fittest],)
    steps = [
        (old - new).detach().flatten()
        for new, old in zip(moved.parameters(), parts.generator.parameters(), strict=True)
    ]
    assert F.cosine_similarity(torch.cat(steps), found, dim=0) == pytest.approx(1, abs=1e-4)


def test_an_estimator_with_several_steps_on_one_batch_is_refused() -> None:
    """Each mutation would get the advantage of the first one."""
    parts = replace(make_parts(), estimator=Clipped(ClippedOptions()))
    with pytest.raises(UsageError, match="one step of the generator on each batch, and this estimator makes 4 on the"):
        CatGAN(parts, CatGANOptions())
