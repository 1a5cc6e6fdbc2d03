"""The pool: which samples it keeps, in what order the discriminator reads them, and the parts that it refuses."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ganlm_core.algorithms.adversarial import Adversarial
from ganlm_core.algorithms.importance import Importance
from ganlm_core.algorithms.losses import ReverseKL
from ganlm_core.algorithms.next_word import NextWord
from ganlm_core.algorithms.options import (
    AdversarialOptions,
    GumbelOptions,
    ImportanceOptions,
    NonSaturatingOptions,
    ReinforceOptions,
    RolloutOptions,
)
from ganlm_core.algorithms.policy_gradients import Reinforce, Rollout
from ganlm_core.algorithms.pool import Pool
from ganlm_core.algorithms.relaxations import Gumbel
from ganlm_core.components import NoOptions
from ganlm_core.errors import UsageError
from ganlm_core.protocol import Batch, Estimator, Parts, Sequences, Shape, mask_of
from ganlm_core.sampling.conditions import ConditionalDiscriminator
from tests.tiny import SHAPE, TinyDiscriminator, TinyGenerator, TinyRatio, batch_of, make_batch, make_parts

FIRST = 5
"""The first adversarial step."""


class Counting(Reinforce):
    """Counts the samples that are drawn for the discriminator."""

    drawn = 0

    def draw(self, generator: TinyGenerator, batch: Batch) -> Sequences:  # type: ignore[override]
        self.drawn += 1
        return super().draw(generator, batch)


def pooled(estimator: Estimator, size: int, **others: object) -> Adversarial:
    torch.manual_seed(0)
    options = AdversarialOptions(warmup=0.2, discriminator_warmup=0.3, pool=size)
    return Adversarial(make_parts(estimator=estimator, **others), options)


def kept(pool: Pool, *steps: list[list[int]]) -> None:
    """Let the pool see the samples of these steps; rollouts follow them."""
    parts = make_parts()
    for rows in steps:
        batch = batch_of(rows)
        cost = pool.keeping(parts, lambda sequence, mask: mask.sum(dim=1).float())
        for sequences in (batch.tokens, torch.full_like(batch.tokens, 5)):
            assert cost(sequences, mask_of(sequences)).equal(mask_of(sequences).sum(dim=1).float())


def test_samples_are_drawn_for_the_discriminator_until_the_generator_has_made_a_step() -> None:
    estimator = Counting(ReinforceOptions())
    algorithm = pooled(estimator, 16)
    counts = []
    for step in range(2, 10):
        for phase in algorithm.phases(step):
            phase(make_batch(step=step))
        counts.append(estimator.drawn)
    assert counts == [1, 2, 3, 4, 4, 4, 4, 4]  # three steps of warm-up and the first adversarial one


def test_the_pool_holds_the_newest_samples_and_no_rollouts() -> None:
    pool = Pool(3, SHAPE.length, FIRST)
    kept(pool, [[3, 2, 0], [4, 2, 0]], [[3, 3, 2], [4, 4, 2]])
    assert pool.tokens.tolist() == [[3, 3, 2], [4, 4, 2], [3, 2, 0]]


def test_the_pool_keeps_every_sample_of_a_noise_vector() -> None:
    algorithm = pooled(Reinforce(ReinforceOptions(samples=3)), 40)
    algorithm.phases(FIRST)[-1](make_batch(8, step=FIRST))
    assert algorithm.pool is not None
    assert (algorithm.pool.tokens[:, 0] != 0).sum() == 3 * 8


def test_every_sample_is_read_once_before_one_is_read_again() -> None:
    pool, parts = Pool(3, SHAPE.length, FIRST), make_parts()
    rows = [[3, 2, 0], [4, 2, 0], [5, 2, 0]]
    kept(pool, rows)
    drawn = pool.draw(parts, replace(batch_of(rows * 2), step=FIRST + 1))
    assert sorted(drawn.sequence.tolist()) == sorted(rows * 2)
    assert drawn.mask.equal(mask_of(drawn.sequence))
    orders = {
        tuple(pool.draw(parts, replace(batch_of(rows), step=FIRST + 1)).sequence[:, 0].tolist()) for _ in "1" * 60
    }
    assert len(orders) == 6


@pytest.mark.parametrize(
    "estimator",
    [
        Reinforce(ReinforceOptions(samples=3)),
        Rollout(RolloutOptions(samples=2)),
        Importance(ImportanceOptions()),
        NextWord(NoOptions()),
    ],
    ids=["reinforce", "rollout", "importance", "next-word"],
)
def test_every_estimator_that_draws_words_fills_the_pool_with_what_it_drew(estimator: Estimator) -> None:
    others: dict[str, object] = {}
    if estimator.next_words:
        shape = Shape(SHAPE.vocabulary, SHAPE.length, noise=0)
        others = {"generator": TinyGenerator(shape), "discriminator": TinyRatio(shape, NoOptions())}
        others["discriminator"].compare_with(others["generator"])  # type: ignore[attr-defined]
    algorithm = pooled(estimator, 400, loss=ReverseKL(NonSaturatingOptions()), **others)
    batch = make_batch(400, step=FIRST)
    batch = replace(batch, noise=batch.noise[:, : algorithm.generator.shape.noise])
    algorithm.phases(FIRST)[-1](batch)
    pool = algorithm.pool
    assert pool is not None
    found = frequencies(pool.tokens)
    fresh = frequencies(estimator.draw(algorithm.generator, batch).sequence)
    # Five standard deviations of the difference of two shares of 400 are at most 0.18.
    assert (found - fresh).abs().max() < 0.18
    assert mask_of(pool.tokens).equal(pool.tokens != 0)


def frequencies(tokens: Tensor) -> Tensor:
    """The share of each first word."""
    return torch.bincount(tokens[:, 0], minlength=SHAPE.vocabulary) / len(tokens)


def test_a_pool_is_part_of_a_checkpoint() -> None:
    algorithm = pooled(Reinforce(ReinforceOptions()), 8)
    algorithm.phases(FIRST)[-1](make_batch(step=FIRST))
    other = pooled(Reinforce(ReinforceOptions()), 8)
    other.load_state_dict(algorithm.state_dict())
    assert algorithm.pool is not None and other.pool is not None
    assert other.pool.tokens.equal(algorithm.pool.tokens) and other.pool.tokens.any()


def labelled() -> Parts:
    shape = Shape(SHAPE.vocabulary, SHAPE.length, SHAPE.noise, labels=2)
    inner = TinyDiscriminator(shape.of("discriminator"))
    return make_parts(discriminator=ConditionalDiscriminator(inner, shape), estimator=Reinforce(ReinforceOptions()))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            make_parts(estimator=Importance(ImportanceOptions(temperature=2.0))),
            "samples at --estimator.temperature 2, which are not the generator's",
        ),
        (make_parts(estimator=Gumbel(GumbelOptions())), "gives relaxed words; choose --estimator reinforce"),
        (labelled(), "which ask for other labels or prompts; leave it out"),
    ],
)
def test_samples_that_cannot_be_read_later_are_refused(parts: Parts, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Adversarial(parts, AdversarialOptions(pool=1))


def test_a_pool_that_nothing_reads_is_refused() -> None:
    parts = make_parts(estimator=Reinforce(ReinforceOptions()))
    with pytest.raises(UsageError, match="discriminator-steps is 0; leave one of them out"):
        Adversarial(parts, AdversarialOptions(discriminator_steps=0, pool=1))
