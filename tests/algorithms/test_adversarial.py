"""The training methods: which phases in which steps, and their losses against values worked by hand."""

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganlm_core import sampling
from ganlm_core.algorithms.adversarial import Adversarial, discriminator_loss, generator_loss
from ganlm_core.algorithms.estimators import Gumbel, Reinforce, Rollout, StraightThrough
from ganlm_core.algorithms.losses import Relativistic, Wasserstein
from ganlm_core.algorithms.mle import MLE, negative_log_likelihood
from ganlm_core.algorithms.options import (
    AdversarialOptions,
    GumbelOptions,
    ReinforceOptions,
    RolloutOptions,
    StraightThroughOptions,
)
from ganlm_core.components import NoOptions
from ganlm_core.errors import OptionError, UsageError
from ganlm_core.protocol import (
    EOS,
    Algorithm,
    Batch,
    Cost,
    Discriminator,
    Estimator,
    Generator,
    Penalty,
    Sequences,
    mask_of,
)
from tests.tiny import SHAPE, WORDS, TinyDiscriminator, TinyGenerator, TinyOneShot, likelihoods, make_batch, make_parts


class Fixed(Estimator):
    """Always "draws" the same sequences, and asks about them ``copies`` times over: no generator needed."""

    def __init__(self, tokens: Tensor, copies: int = 1) -> None:
        super().__init__()
        self.sequences = Sequences(tokens, mask_of(tokens))
        self.copies = copies

    def forward(self, generator: Generator, batch: Batch, cost: Cost) -> Tensor:
        return cost(self.sequences.sequence.repeat(self.copies, 1), self.sequences.mask.repeat(self.copies, 1))

    def draw(self, generator: Generator, batch: Batch) -> Sequences:
        return self.sequences


class FirstWord(Discriminator):
    """The logit of a sequence is looked up by its first word."""

    def __init__(self, logits: dict[int, float]) -> None:
        super().__init__(SHAPE)
        self.logits = nn.Parameter(torch.tensor([logits.get(word, 0.0) for word in range(SHAPE.vocabulary)]))

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return self.logits[sequence[:, 0]]


def batch_of(rows: list[list[int]], step: int = 0) -> Batch:
    tokens = torch.tensor(rows)
    return Batch(tokens, mask_of(tokens), torch.zeros(len(rows), SHAPE.noise), step=step)


def plan(algorithm: Algorithm, steps: int = 10) -> list[str]:
    """The phases of each step by their initials; each must be of the network that its name promises."""
    for step in range(steps):
        for phase in algorithm.phases(step):
            assert phase.network == ("discriminator" if phase.name == "discriminator" else "generator")
    return ["".join(phase.name[0] for phase in algorithm.phases(step)) for step in range(steps)]


@pytest.mark.parametrize(
    ("options", "expected", "adversarial_from"),
    [
        ({}, ["dg"] * 10, 0),
        ({"discriminator_steps": 3}, ["dddg"] * 10, 0),
        ({"warmup": 0.3}, ["m"] * 3 + ["dg"] * 7, 3),
        ({"discriminator_warmup": 0.2}, ["d"] * 2 + ["dg"] * 8, 2),
        (
            {"warmup": 0.3, "discriminator_warmup": 0.2, "discriminator_steps": 2},
            ["m"] * 3 + ["d"] * 2 + ["ddg"] * 5,
            5,
        ),
        ({"warmup": 0.96}, ["m"] * 10, 10),
        ({"interleave": 1}, ["dgm"] * 10, 0),
        ({"warmup": 0.3, "interleave": 2}, ["m"] * 3 + ["dg", "dgm"] * 3 + ["dg"], 3),
        ({"warmup": 0.04}, ["dg"] * 10, 0),
    ],
)
def test_warmups_come_first_and_rounds_follow(
    options: dict[str, Any], expected: list[str], adversarial_from: int
) -> None:
    algorithm = Adversarial(make_parts(), AdversarialOptions(**options))
    assert plan(algorithm) == expected
    assert algorithm.adversarial_from == adversarial_from


@pytest.mark.parametrize("discriminator_warmup", [0.2, 0.5])
def test_warmups_that_leave_nothing_are_refused(discriminator_warmup: float) -> None:
    with pytest.raises(OptionError) as caught:
        AdversarialOptions(warmup=0.8, discriminator_warmup=discriminator_warmup)
    assert str(caught.value) == (
        f"warmup 0.8 and discriminator-warmup {discriminator_warmup} leave no step in which "
        "the networks train against each other; wanted a sum below 1: lower one of them, or choose --algorithm mle"
    )


def test_maximum_likelihood_is_one_phase_and_is_never_adversarial() -> None:
    algorithm = MLE(make_parts(), NoOptions())
    assert plan(algorithm) == ["m"] * 10
    assert algorithm.adversarial_from == 10
    assert list(algorithm.networks) == ["generator"]


def test_phases_compute_the_losses_they_are_named_after() -> None:
    torch.manual_seed(0)
    parts = make_parts()
    options = AdversarialOptions(warmup=0.1)
    (mle,), (discriminator, generator) = (Adversarial(parts, options).phases(step) for step in (0, 1))
    losses = {
        mle: lambda batch: negative_log_likelihood(parts.generator, batch),
        discriminator: lambda batch: discriminator_loss(parts, batch),
        generator: lambda batch: generator_loss(parts, batch),
    }
    for phase, loss in losses.items():
        values = []
        for compute in (phase.loss, loss):
            torch.manual_seed(1)
            values.append(compute(make_batch()).item())
        assert values[0] == values[1]
    assert MLE(parts, NoOptions()).phases(0)[0].loss(make_batch()) == mle.loss(make_batch())


def test_what_is_annealed_starts_with_the_first_adversarial_step() -> None:
    """Of ten steps, the last four: the warm-ups before them take nothing from the course of the temperature."""
    seen: list[float] = []

    class Annealed(Fixed):
        def forward(self, generator: Generator, batch: Batch, cost: Cost) -> Tensor:
            seen.append(batch.progress)
            return batch.noise.sum()

        def draw(self, generator: Generator, batch: Batch) -> Sequences:
            seen.append(batch.progress)
            return self.sequences

    parts = make_parts(estimator=Annealed(torch.tensor(GENERATED)), steps=10)
    algorithm = Adversarial(parts, AdversarialOptions(warmup=0.5, discriminator_warmup=0.1))
    for step in range(5, 10):
        for phase in algorithm.phases(step):
            phase(batch_of(REAL, step=step))
    assert seen == pytest.approx([0, 0, 0, 1 / 3, 1 / 3, 2 / 3, 2 / 3, 1, 1])


def test_a_checkpoint_gets_the_networks_and_what_the_estimator_remembers() -> None:
    parts = make_parts(estimator=Reinforce(ReinforceOptions()))
    algorithm = Adversarial(parts, AdversarialOptions())
    assert {name.split(".")[0] for name in algorithm.state_dict()} == {"generator", "discriminator", "estimator"}
    assert "estimator.average" in algorithm.state_dict()
    assert algorithm.networks == {"generator": parts.generator, "discriminator": parts.discriminator}


def test_a_generator_without_likelihood_is_refused_where_one_is_needed() -> None:
    parts = make_parts(generator=TinyOneShot())
    rest = (
        "needs an autoregressive generator, and TinyOneShot writes all positions at once; "
        "choose another with --gen, or train it with --recipe one-shot"
    )
    with pytest.raises(UsageError) as caught:
        Adversarial(parts, AdversarialOptions(warmup=0.5))
    assert str(caught.value) == f"a warm-up by mle {rest}"
    with pytest.raises(UsageError) as caught:
        Adversarial(parts, AdversarialOptions(interleave=5))
    assert str(caught.value) == f"interleaved mle {rest}"
    with pytest.raises(UsageError) as caught:
        MLE(parts, NoOptions())
    assert str(caught.value) == f"mle {rest}"
    assert plan(Adversarial(parts, AdversarialOptions(warmup=0.01))) == ["dg"] * 10


def test_mle_is_the_mean_over_the_tokens_of_the_batch() -> None:
    torch.manual_seed(0)
    generator, batch = TinyGenerator(), make_batch()
    log_probs = sampling.log_probabilities(generator(batch.noise, batch.tokens))
    expected = -likelihoods(log_probs, batch.tokens, batch.mask).log().sum() / batch.mask.sum()
    assert negative_log_likelihood(generator, batch).item() == pytest.approx(expected.item(), rel=1e-6)


def uniform_generator() -> TinyGenerator:
    """<eos> and the three words are equally likely everywhere."""
    generator = TinyGenerator()
    with torch.no_grad():
        generator.table.zero_()
        generator.noise.zero_()
    return generator


def test_mle_of_a_uniform_generator_is_the_logarithm_of_its_four_words() -> None:
    assert negative_log_likelihood(uniform_generator(), make_batch()).item() == pytest.approx(math.log(4))


def test_at_the_optimum_the_gradient_of_mle_vanishes() -> None:
    """On data in which every sequence is as frequent as the generator makes it; drop a row, and it pulls."""
    exact = [list(row) for row in itertools.product(WORDS, repeat=SHAPE.length)]
    generator = uniform_generator()

    def pull(rows: list[list[int]]) -> float:
        tokens = torch.tensor(rows)
        tokens = tokens.masked_fill(~mask_of(tokens), 0)
        noise = torch.tensor([[0.7, -1.2]]).expand(len(rows), -1)
        loss = negative_log_likelihood(generator, Batch(tokens, mask_of(tokens), noise))
        gradients = torch.autograd.grad(loss, list(generator.parameters()))
        return max(gradient.abs().max().item() for gradient in gradients)

    assert pull(exact) < 1e-7
    assert pull(exact[:-1]) > 1e-3


REAL = [[3, 4, EOS], [4, EOS, 0], [EOS, 0, 0]]
GENERATED = [[5, EOS, 0], [3, 3, 3], [4, 5, EOS]]


def softplus(value: float) -> float:
    return math.log1p(math.exp(value))


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def scores(discriminator: TinyDiscriminator, rows: list[list[int]]) -> list[list[float]]:
    """The logits of the positions up to <eos>, one by one."""
    ends = [row.index(EOS) + 1 if EOS in row else len(row) for row in rows]
    return [
        [2 * math.tanh(discriminator.score[position, row[position]].item()) for position in range(end)]
        for row, end in zip(rows, ends, strict=True)
    ]


def test_logits_per_position_count_by_their_mean_over_the_mask() -> None:
    torch.manual_seed(0)
    discriminator = TinyDiscriminator(per_position=True)
    parts = make_parts(discriminator=discriminator, estimator=Fixed(torch.tensor(GENERATED)))
    real = mean([mean([softplus(-logit) for logit in row]) for row in scores(discriminator, REAL)])
    generated = mean([mean([softplus(logit) for logit in row]) for row in scores(discriminator, GENERATED)])
    assert discriminator_loss(parts, batch_of(REAL)).item() == pytest.approx(real + generated, rel=1e-5)


def test_logits_per_sequence_count_once_each() -> None:
    torch.manual_seed(0)
    discriminator = TinyDiscriminator()
    parts = make_parts(discriminator=discriminator, estimator=Fixed(torch.tensor(GENERATED)))
    real = mean([softplus(-sum(row)) for row in scores(discriminator, REAL)])
    generated = mean([softplus(sum(row)) for row in scores(discriminator, GENERATED)])
    assert discriminator_loss(parts, batch_of(REAL)).item() == pytest.approx(real + generated, rel=1e-5)


@pytest.mark.parametrize("per_position", [False, True])
def test_a_paired_loss_compares_one_logit_per_sequence(per_position: bool) -> None:
    torch.manual_seed(0)
    discriminator = TinyDiscriminator(per_position=per_position)
    parts = make_parts(
        discriminator=discriminator, loss=Relativistic(NoOptions()), estimator=Fixed(torch.tensor(GENERATED))
    )
    whole = mean if per_position else sum
    pairs = zip(*([whole(row) for row in scores(discriminator, rows)] for rows in (REAL, GENERATED)), strict=True)
    expected = mean([softplus(generated - real) for real, generated in pairs])
    assert discriminator_loss(parts, batch_of(REAL)).item() == pytest.approx(expected, rel=1e-5)


def test_rollouts_of_a_row_are_compared_with_the_real_one_of_that_row() -> None:
    """Three times as many sequences as the batch has: number i belongs to row i % 3."""
    discriminator = FirstWord({3: 1.0, 4: 2.0, EOS: 4.0, 5: 8.0})
    estimator = Fixed(torch.tensor(GENERATED), copies=3)
    parts = make_parts(discriminator=discriminator, loss=Relativistic(NoOptions()), estimator=estimator)
    expected = [softplus(1 - 8), softplus(2 - 1), softplus(4 - 2)] * 3
    assert generator_loss(parts, batch_of(REAL)).tolist() == pytest.approx(expected)


def test_a_loss_without_pairs_does_not_look_at_real_data() -> None:
    seen: list[Tensor] = []
    discriminator = FirstWord({5: 8.0, 3: 1.0})
    discriminator.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    parts = make_parts(
        discriminator=discriminator, loss=Wasserstein(NoOptions()), estimator=Fixed(torch.tensor(GENERATED))
    )
    assert generator_loss(parts, batch_of(REAL)).tolist() == [-8, -1, 0]
    assert [tokens.tolist() for tokens in seen] == [GENERATED]


def test_the_generator_pays_what_its_samples_cost() -> None:
    torch.manual_seed(0)
    parts, batch = make_parts(), make_batch()
    torch.manual_seed(1)
    found = generator_loss(parts, batch)
    torch.manual_seed(1)
    drawn = sampling.relaxed_sample(parts.generator, batch.noise, temperature=1.0, hard=True)
    rows = scores(parts.discriminator, drawn.sequence.argmax(dim=-1).tolist())  # type: ignore[arg-type]
    assert found.item() == pytest.approx(mean([softplus(-sum(row)) for row in rows]), rel=1e-5)


ESTIMATORS: dict[str, Estimator] = {
    "gumbel": Gumbel(GumbelOptions()),
    "straight-through": StraightThrough(StraightThroughOptions()),
    "reinforce": Reinforce(ReinforceOptions()),
    "rollout": Rollout(RolloutOptions(samples=2)),
}


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
def test_each_loss_moves_its_network_with_every_estimator(estimator: Estimator, paired: bool) -> None:
    torch.manual_seed(0)
    loss = {"loss": Relativistic(NoOptions())} if paired else {}
    parts = make_parts(estimator=estimator, **loss)
    generator, discriminator = list(parts.generator.parameters()), list(parts.discriminator.parameters())
    cost = discriminator_loss(parts, make_batch())
    assert torch.autograd.grad(cost, generator, allow_unused=True, retain_graph=True) == (None, None)
    assert all(gradient.any() for gradient in torch.autograd.grad(cost, discriminator))
    gradients = torch.autograd.grad(generator_loss(parts, make_batch()), generator)
    assert all(gradient.isfinite().all() and gradient.any() for gradient in gradients)


class Counted(Penalty):
    """Five, at every third step; keeps what it was called with."""

    interval = 3

    def __init__(self) -> None:
        self.calls: list[tuple[Sequences, Sequences]] = []

    def __call__(self, discriminator: Discriminator, real: Sequences, generated: Sequences) -> Tensor:
        self.calls.append((real, generated))
        return torch.tensor(5.0)


def test_a_penalty_counts_for_the_steps_in_which_it_is_not_computed() -> None:
    torch.manual_seed(0)
    penalty = Counted()
    parts = make_parts(penalty=penalty, estimator=Fixed(torch.tensor(GENERATED)))
    losses = [discriminator_loss(parts, batch_of(REAL, step)).item() for step in range(4)]
    assert losses == pytest.approx([losses[1] + 15, losses[1], losses[1], losses[1] + 15])
    assert len(penalty.calls) == 2


def test_a_penalty_sees_real_and_generated_one_hots_with_their_masks() -> None:
    penalty = Counted()
    discriminator_loss(make_parts(penalty=penalty, estimator=Fixed(torch.tensor(GENERATED))), batch_of(REAL))
    ((real, generated),) = penalty.calls
    for found, rows in ((real, REAL), (generated, GENERATED)):
        assert found.sequence.shape == (3, SHAPE.length, SHAPE.vocabulary)
        assert found.sequence.argmax(dim=-1).tolist() == rows
        assert found.mask.equal(mask_of(torch.tensor(rows)))


@pytest.mark.parametrize(
    ("logits", "accuracy"),
    [
        ({EOS: 3.0, 3: 1.0, 4: -1.0, 5: -3.0}, 2 / 3),  # real 3, 1, -1; generated -3, -1, 1: the midpoint is 0
        ({EOS: 103.0, 3: 101.0, 4: 99.0, 5: 97.0}, 2 / 3),  # the same with another origin
        ({}, 1 / 2),
        ({EOS: 4.0, 3: 4.0, 4: 4.0, 5: 4.0}, 1 / 2),
    ],
)
def test_accuracy_is_the_share_on_the_right_side_of_the_midpoint(logits: dict[int, float], accuracy: float) -> None:
    batch = batch_of([[EOS, 0, 0], [3, EOS, 0], [4, 3, 3]])
    parts = make_parts(
        discriminator=FirstWord(logits), estimator=Fixed(torch.tensor([[5, EOS, 0], [4, EOS, 0], [3, 3, 3]]))
    )
    discriminator_loss(parts, batch)
    assert batch.metrics["accuracy"].item() == pytest.approx(accuracy)
