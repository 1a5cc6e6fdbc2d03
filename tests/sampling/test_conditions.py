"""Labels and prompts in what networks read: exact distributions, unbiased gradients, and what a discriminator sees."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ganlm_core import sampling
from ganlm_core.algorithms.mle import negative_log_likelihood
from ganlm_core.algorithms.options import GumbelOptions, ReinforceOptions, RolloutOptions, StraightThroughOptions
from ganlm_core.algorithms.policy_gradients import Reinforce, Rollout
from ganlm_core.algorithms.relaxations import Gumbel, StraightThrough
from ganlm_core.protocol import (
    EOS,
    PAD,
    Batch,
    Cost,
    Discriminator,
    Estimator,
    Generator,
    Phase,
    Shape,
    conditions_of,
    mask_of,
    per_sequence,
    with_labels,
)
from ganlm_core.sampling.conditions import (
    ConditionalDiscriminator,
    PromptedGenerator,
    labelled,
    read_labelled,
    unconditional,
)
from tests.tiny import (
    DRAWS,
    NOISE,
    UNLIKELY,
    TinyDiscriminator,
    TinyGenerator,
    TinyOneShot,
    chi_square,
    count,
    every_sequence,
    gradient,
    z_scores,
)

SHAPE = Shape(vocabulary=6, length=3, noise=2, labels=2)
LABELS, GIVEN = (1, 0, 1), (0, 1, 2)
FIRST = torch.tensor([[3, EOS, PAD], [4, 5, EOS], [5, 3, 4]])
ROWS, REPEATS = 384, 64


def make_batch(rows: int, labels: bool = True, prompts: bool = True) -> Batch:
    """Three kinds of rows in turn: each has its own label and a prompt of 0, 1 or 2 tokens; all have one noise."""
    times = rows // len(LABELS)
    tokens, numbers = FIRST.repeat(times, 1), torch.tensor(LABELS).repeat(times)
    noise = with_labels(NOISE.expand(rows, -1), numbers, SHAPE.labels)
    given = torch.tensor(GIVEN).repeat(times) if prompts else None
    return Batch(tokens, mask_of(tokens), noise, labels=numbers if labels else None, given=given)


def networks(
    network: type[Generator] = TinyGenerator, prompts: bool = True, **more: bool
) -> tuple[Generator, Discriminator]:
    torch.manual_seed(1)
    generator = network(SHAPE.of("generator"))
    discriminator = ConditionalDiscriminator(TinyDiscriminator(SHAPE.of("discriminator"), **more), SHAPE)
    return PromptedGenerator(generator) if prompts else generator, discriminator  # type: ignore[arg-type]


def cost_of(discriminator: Discriminator) -> Cost:
    return lambda sequence, mask: F.softplus(-discriminator(sequence, mask))


def test_shapes_grow_by_the_labels_and_stay_without_them() -> None:
    assert SHAPE.of("generator") == Shape(6, 3, 4, 2) and SHAPE.of("discriminator") == Shape(8, 4, 2, 2)
    plain = Shape(6, 3, 2)
    assert plain.of("generator") is plain.of("discriminator") is plain
    assert SHAPE.sizes() == plain.sizes() == {"vocabulary": 6, "length": 3, "noise": 2}


def test_a_label_is_a_token_in_front_of_ids_and_of_relaxed_words_alike() -> None:
    tokens, labels = FIRST.repeat(2, 1), torch.tensor(LABELS)
    ids, mask = labelled(tokens, mask_of(tokens), labels, SHAPE)
    assert ids[:, 0].tolist() == [7, 6, 7] * 2 and ids[:, 1:].equal(tokens)
    assert mask[:, 0].all() and mask[:, 1:].equal(mask_of(tokens))
    relaxed, same = labelled(F.one_hot(tokens, 6).float(), mask_of(tokens), labels, SHAPE)
    assert relaxed.equal(F.one_hot(ids, 8).float()) and same.equal(mask)


@pytest.mark.parametrize("per_position", [False, True])
def test_a_discriminator_reads_ids_and_one_hots_of_a_label_alike(per_position: bool) -> None:
    _, discriminator = networks(per_position=per_position)
    batch = make_batch(3)
    with conditions_of(batch):
        found = discriminator(batch.tokens, batch.mask)
        torch.testing.assert_close(discriminator(F.one_hot(batch.tokens, 6).float(), batch.mask), found)
        assert found.shape == ((3, 3) if per_position else (3,))
    other = make_batch(3)
    assert other.labels is not None
    with conditions_of(Batch(other.tokens, other.mask, other.noise, labels=1 - other.labels, given=other.given)):
        assert (discriminator(other.tokens, other.mask) != found).any() or per_position  # its positions are independent


def test_a_prompt_gets_no_verdict_and_no_gradient() -> None:
    _, discriminator = networks(per_position=True)
    batch = make_batch(6)
    with conditions_of(batch):
        logits = discriminator(batch.tokens, batch.mask)
    for row, given in enumerate(GIVEN * 2):
        assert not logits[row, :given].any() and logits[row, given : int(batch.mask[row].sum())].all()


def test_the_same_verdict_on_every_word_pays_completions_of_every_length_alike() -> None:
    class Constant(TinyDiscriminator):
        def forward(self, sequence: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return torch.full(mask.shape, 2.0)

    discriminator = ConditionalDiscriminator(Constant(SHAPE.of("discriminator"), per_position=True), SHAPE)
    tokens = torch.tensor([[3, EOS, PAD], [3, 4, EOS], [3, 4, 5]])
    batch = Batch(tokens, mask_of(tokens), NOISE.expand(3, -1), given=torch.tensor([1, 1, 2]))
    with conditions_of(batch):
        cost = per_sequence(cost_of(discriminator)(batch.tokens, batch.mask), batch.mask)
        assert discriminator.verdict(batch.tokens, batch.mask).tolist() == [2.0] * 3
    assert cost.tolist() == pytest.approx([F.softplus(torch.tensor(-2.0)).item()] * 3)


def test_logits_per_sequence_are_those_of_the_network_inside() -> None:
    class Largest(TinyDiscriminator):
        def per_sequence(self, logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return logits.amax(dim=1)

    discriminator = ConditionalDiscriminator(Largest(SHAPE.of("discriminator"), per_position=True), SHAPE)
    logits, mask = torch.tensor([[1.0, 3.0, 2.0]]), torch.ones(1, 3, dtype=torch.bool)
    assert discriminator.per_sequence(logits, mask).tolist() == [3.0]


def test_networks_with_conditions_refuse_to_work_without_a_batch() -> None:
    generator, discriminator = networks()
    batch = make_batch(3)
    with pytest.raises(LookupError, match="the discriminator has conditions; call it in a phase"):
        discriminator(batch.tokens, batch.mask)
    with pytest.raises(LookupError, match="the generator has conditions"):
        sampling.sample(generator, batch.noise)
    with (
        conditions_of(batch),
        pytest.raises(ValueError, match="got 4 sequences for a batch of 3 conditions; give a multiple of 3"),
    ):
        discriminator(torch.full((4, 3), EOS), torch.ones(4, 3, dtype=torch.bool))


def test_a_phase_gives_its_networks_the_conditions_of_its_batch() -> None:
    generator, discriminator = networks()

    def loss(batch: Batch) -> Tensor:
        drawn = sampling.sample(generator, batch.noise)
        return cost_of(discriminator)(drawn.tokens, drawn.mask).mean()

    assert Phase("generator", "generator", loss)(make_batch(3)).isfinite()


def exact(generator: Generator, row: int) -> Tensor:
    """Return the probability (N,) of every sequence given the conditions of a row, by Bayes' rule."""
    tokens, mask = every_sequence()
    noise = make_batch(3).noise[row].expand(len(tokens), -1)
    plain = unconditional(generator)
    assert isinstance(plain, Generator)
    scores = sampling.log_likelihood(plain, noise, tokens, mask)[:, GIVEN[row] :].sum(dim=1).exp()
    begins = (tokens[:, : GIVEN[row]] == FIRST[row, : GIVEN[row]]).all(dim=1)
    return scores.detach() * begins


def test_the_probabilities_given_a_prompt_are_a_distribution() -> None:
    generator, _ = networks()
    for row in range(3):
        assert exact(generator, row).sum().item() == pytest.approx(1, abs=1e-5)


def drawn_by_wrapper(generator: Generator, batch: Batch) -> Tensor:
    with conditions_of(batch):
        return sampling.sample(generator, batch.noise).tokens


def drawn_with_prompts(generator: Generator, batch: Batch) -> Tensor:
    """As bundles draw: the generator itself, and the prompts beside it, padded."""
    prompts = torch.stack(
        [torch.where(torch.arange(2) < given, row[:2], PAD) for given, row in zip(GIVEN, FIRST, strict=True)]
    )
    plain = unconditional(generator)
    assert isinstance(plain, Generator)
    return sampling.sample(plain, batch.noise, prompt=prompts.repeat(len(batch.noise) // 3, 1)).tokens


@pytest.mark.parametrize("draw", [drawn_by_wrapper, drawn_with_prompts])
def test_sequences_are_drawn_as_often_as_they_are_probable_given_their_conditions(
    draw: Callable[[Generator, Batch], Tensor],
) -> None:
    generator, _ = networks()
    torch.manual_seed(2)
    tokens = draw(generator, make_batch(3 * DRAWS))
    for row in range(3):
        probabilities = exact(generator, row)
        counts = count(tokens[row::3], every_sequence()[0])
        assert chi_square(counts[probabilities > 0], probabilities[probabilities > 0]) > UNLIKELY
        assert not counts[probabilities == 0].any()


def test_a_prompt_has_no_log_probability_and_no_gradient() -> None:
    generator, _ = networks()
    batch = make_batch(3)
    with conditions_of(batch):
        scores = sampling.log_likelihood(generator, batch.noise, batch.tokens, batch.mask)
        whole, entire = scores.sum(), negative_log_likelihood(generator, batch)
    plain = unconditional(generator)
    assert isinstance(plain, Generator)
    scored = sampling.log_likelihood(plain, batch.noise, batch.tokens, batch.scored)
    torch.testing.assert_close(scores, scored)
    torch.testing.assert_close(gradient(whole, generator), gradient(scored.sum(), plain))
    torch.testing.assert_close(entire, -scored.sum() / batch.scored.sum())
    for row, given in enumerate(GIVEN):
        assert not scores[row, :given].any()


@pytest.mark.parametrize("network", [TinyGenerator, TinyOneShot])
@pytest.mark.parametrize("hard", [False, True])
def test_relaxed_samples_begin_with_the_prompt(network: type[Generator], hard: bool) -> None:
    prompts = network is TinyGenerator
    generator, _ = networks(network, prompts)
    batch = make_batch(300, prompts=prompts)
    with conditions_of(batch):
        relaxed = sampling.relaxed_sample(generator, batch.noise, 0.7, hard=hard)
    gradient(relaxed.sequence.square().sum(), generator)
    for row, given in enumerate(GIVEN * 100 if prompts else ()):
        expected = F.one_hot(FIRST[row % 3, :given], 6).float()
        assert relaxed.sequence[row, :given].equal(expected) and relaxed.mask[row, :given].all()


def exact_gradient(generator: Generator, discriminator: Discriminator) -> Tensor:
    """Return the gradient of the expected cost, the mean over the three kinds of rows, summed over all sequences."""
    tokens, mask = every_sequence()
    plain = unconditional(generator)
    assert isinstance(plain, Generator)
    total = torch.zeros(())
    for row in range(3):
        batch = make_batch(3)
        kind = slice(row, row + 1)
        assert batch.labels is not None
        given = None if plain is generator else torch.tensor(GIVEN[kind])
        own = Batch(batch.tokens[kind], batch.mask[kind], batch.noise[kind], labels=batch.labels[kind], given=given)
        with conditions_of(own):
            scores = sampling.log_likelihood(generator, own.noise.expand(len(tokens), -1), tokens, mask).sum(dim=1)
            cost = per_sequence(cost_of(discriminator)(tokens, mask), mask)
        total = total + (scores.exp() * cost.detach()).sum() / 3
    return gradient(total, generator)


UNBIASED = {
    "reinforce": Reinforce(ReinforceOptions(baseline="none")),
    "leave one out of one row": Reinforce(ReinforceOptions(samples=4)),
    "rollout": Rollout(RolloutOptions(samples=2, baseline="none")),
}


@pytest.mark.parametrize("name", UNBIASED)
@pytest.mark.parametrize("prompts", [False, True])
@pytest.mark.parametrize("per_position", [False, True])
def test_unbiased_estimators_stay_unbiased_under_conditions(name: str, prompts: bool, per_position: bool) -> None:
    generator, discriminator = networks(prompts=prompts, per_position=per_position)
    batch = make_batch(ROWS, prompts=prompts)
    torch.manual_seed(1)
    with conditions_of(batch):
        found = [gradient(UNBIASED[name](generator, batch, cost_of(discriminator)), generator) for _ in range(REPEATS)]
    # 60 coordinates, each a standard normal if unbiased: beyond 4.5 with probability 0.0004.
    assert z_scores(torch.stack(found), exact_gradient(generator, discriminator)).abs().max() < 4.5


@pytest.mark.parametrize("estimator", [Gumbel(GumbelOptions()), StraightThrough(StraightThroughOptions())])
def test_relaxations_point_where_the_exact_gradient_points(estimator: Estimator) -> None:
    generator, discriminator = networks()
    batch = make_batch(6000)
    with conditions_of(batch):
        found = gradient(estimator(generator, batch, cost_of(discriminator)), generator)
    # Biased, so not parallel; a wrong sign or pure noise gives a cosine of zero or below.
    assert F.cosine_similarity(found, exact_gradient(generator, discriminator), dim=0) > 0.2


def test_logits_of_a_label_are_those_of_the_conditional_network() -> None:
    _, discriminator = networks(per_position=True, prompts=False)
    batch = make_batch(3, prompts=False)
    plain = unconditional(discriminator)
    assert isinstance(plain, Discriminator)
    with conditions_of(batch):
        expected = discriminator(batch.tokens, batch.mask)
    assert read_labelled(plain, batch.tokens, batch.mask, batch.labels, SHAPE).equal(expected)
