"""Adversarial training: the losses of its phases against values computed by hand, the penalty and the accuracy."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from ganlm_core import sampling
from ganlm_core.algorithms.adversarial import (
    Adversarial,
    accuracy,
    discriminator_loss,
    generator_cost,
    generator_loss,
    shuffled,
)
from ganlm_core.algorithms.losses import Hinge, Relativistic, ReverseKL, Wasserstein
from ganlm_core.algorithms.mle import MLE, negative_log_likelihood
from ganlm_core.algorithms.next_word import NextWord
from ganlm_core.algorithms.options import (
    AdversarialOptions,
    GumbelOptions,
    NonSaturatingOptions,
    ReinforceOptions,
    RolloutOptions,
    StraightThroughOptions,
)
from ganlm_core.algorithms.policy_gradients import Reinforce, Rollout
from ganlm_core.algorithms.relaxations import Gumbel, StraightThrough
from ganlm_core.components import NoOptions
from ganlm_core.errors import UsageError
from ganlm_core.protocol import (
    EOS,
    Batch,
    Discriminator,
    Estimator,
    Parts,
    Penalty,
    Sequences,
    Shape,
    mask_of,
)
from ganlm_core.testing import references
from tests.tiny import (
    SHAPE,
    Fixed,
    TinyDiscriminator,
    TinyGenerator,
    TinyRatio,
    batch_of,
    every_sequence,
    make_batch,
    make_parts,
)


class FirstWord(Discriminator):
    """The logit of a sequence depends on its first word alone."""

    def __init__(self, logits: dict[int, float]) -> None:
        super().__init__(SHAPE)
        self.logits = nn.Parameter(torch.tensor([logits.get(word, 0.0) for word in range(SHAPE.vocabulary)]))

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return self.logits[sequence[:, 0]]


def test_each_phase_computes_the_loss_of_its_name() -> None:
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


def test_the_state_dict_holds_the_networks_and_the_buffers_of_the_estimator() -> None:
    parts = make_parts(estimator=Reinforce(ReinforceOptions(baseline="moving-average")))
    algorithm = Adversarial(parts, AdversarialOptions())
    assert {name.split(".")[0] for name in algorithm.state_dict()} == {"generator", "discriminator", "estimator"}
    assert "estimator.baseline.average" in algorithm.state_dict()
    assert algorithm.networks == {"generator": parts.generator, "discriminator": parts.discriminator}


REAL = [[3, 4, EOS], [4, EOS, 0], [EOS, 0, 0]]
GENERATED = [[5, EOS, 0], [3, 3, 3], [4, 5, EOS]]


def softplus(value: float) -> float:
    return math.log1p(math.exp(value))


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def scores(discriminator: TinyDiscriminator, rows: list[list[int]]) -> list[list[float]]:
    """Return the logits of each row up to <eos>."""
    ends = [row.index(EOS) + 1 if EOS in row else len(row) for row in rows]
    return [
        [2 * math.tanh(discriminator.score[position, row[position]].item()) for position in range(end)]
        for row, end in zip(rows, ends, strict=True)
    ]


def test_logits_per_position_are_averaged_over_the_mask() -> None:
    torch.manual_seed(0)
    discriminator = TinyDiscriminator(per_position=True)
    parts = make_parts(discriminator=discriminator, estimator=Fixed(torch.tensor(GENERATED)))
    real = mean([mean([softplus(-logit) for logit in row]) for row in scores(discriminator, REAL)])
    generated = mean([mean([softplus(logit) for logit in row]) for row in scores(discriminator, GENERATED)])
    assert discriminator_loss(parts, batch_of(REAL)).item() == pytest.approx(real + generated, rel=1e-5)


def test_a_logit_per_sequence_counts_once() -> None:
    torch.manual_seed(0)
    discriminator = TinyDiscriminator()
    parts = make_parts(discriminator=discriminator, estimator=Fixed(torch.tensor(GENERATED)))
    real = mean([softplus(-sum(row)) for row in scores(discriminator, REAL)])
    generated = mean([softplus(sum(row)) for row in scores(discriminator, GENERATED)])
    assert discriminator_loss(parts, batch_of(REAL)).item() == pytest.approx(real + generated, rel=1e-5)


@pytest.mark.parametrize("rowwise", [False, True])
def test_a_rowwise_discriminator_reads_both_in_one_call(monkeypatch: pytest.MonkeyPatch, rowwise: bool) -> None:
    batch, calls = make_batch(rows=4), []
    parts = make_parts(estimator=Fixed(batch.tokens.flip(0)))
    expected = discriminator_loss(parts, batch)
    monkeypatch.setattr(TinyDiscriminator, "rowwise", rowwise)
    parts.discriminator.register_forward_hook(lambda network, inputs, logits: calls.append(len(logits)))
    torch.testing.assert_close(discriminator_loss(parts, batch), expected)
    assert calls == ([8] if rowwise else [4, 4])


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


def test_a_paired_loss_compares_rollouts_with_the_real_sequence_of_their_row() -> None:
    """The estimator asks about three copies of the batch: sequence i belongs to row i % 3."""
    discriminator = FirstWord({3: 1.0, 4: 2.0, EOS: 4.0, 5: 8.0})
    estimator = Fixed(torch.tensor(GENERATED), copies=3)
    parts = make_parts(discriminator=discriminator, loss=Relativistic(NoOptions()), estimator=estimator)
    expected = [softplus(1 - 8), softplus(2 - 1), softplus(4 - 2)] * 3
    assert generator_loss(parts, batch_of(REAL)).tolist() == pytest.approx(expected)


def test_an_unpaired_loss_does_not_score_real_data_for_the_generator() -> None:
    seen: list[Tensor] = []
    discriminator = FirstWord({5: 8.0, 3: 1.0})
    discriminator.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    parts = make_parts(
        discriminator=discriminator, loss=Wasserstein(NoOptions()), estimator=Fixed(torch.tensor(GENERATED))
    )
    assert generator_loss(parts, batch_of(REAL)).tolist() == [-8, -1, 0]
    assert [tokens.tolist() for tokens in seen] == [GENERATED]


def test_the_generator_loss_is_the_mean_cost_of_its_samples() -> None:
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
def test_each_loss_has_a_gradient_for_its_own_network_with_every_estimator(estimator: Estimator, paired: bool) -> None:
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
    """A penalty of 5 at every third step. It keeps its arguments."""

    interval = 3

    def __init__(self) -> None:
        self.calls: list[tuple[Sequences, Sequences]] = []

    def __call__(self, discriminator: Discriminator, real: Sequences, generated: Sequences) -> Tensor:
        self.calls.append((real, generated))
        return torch.tensor(5.0)


def test_a_penalty_is_multiplied_by_its_interval() -> None:
    torch.manual_seed(0)
    penalty = Counted()
    parts = make_parts(penalty=penalty, estimator=Fixed(torch.tensor(GENERATED)))
    losses = [discriminator_loss(parts, batch_of(REAL, step)).item() for step in range(4)]
    assert losses == pytest.approx([losses[1] + 15, losses[1], losses[1], losses[1] + 15])
    assert len(penalty.calls) == 2


def test_a_penalty_gets_real_and_generated_one_hots_with_their_masks() -> None:
    penalty = Counted()
    discriminator_loss(make_parts(penalty=penalty, estimator=Fixed(torch.tensor(GENERATED))), batch_of(REAL))
    ((real, generated),) = penalty.calls
    for found, rows in ((real, REAL), (generated, GENERATED)):
        assert found.sequence.shape == (3, SHAPE.length, SHAPE.vocabulary)
        assert found.sequence.argmax(dim=-1).tolist() == rows
        assert found.mask.equal(mask_of(torch.tensor(rows)))


@pytest.mark.parametrize(
    ("logits", "at_midpoint", "at_zero"),
    [
        ({EOS: 3.0, 3: 1.0, 4: -1.0, 5: -3.0}, 2 / 3, 2 / 3),  # real 3, 1, -1; generated -3, -1, 1; midpoint 0
        ({EOS: 103.0, 3: 101.0, 4: 99.0, 5: 97.0}, 2 / 3, 1 / 2),  # the same logits plus 100
        ({}, 1 / 2, 1 / 2),
        ({EOS: 4.0, 3: 4.0, 4: 4.0, 5: 4.0}, 1 / 2, 1 / 2),
    ],
)
def test_the_accuracy_is_at_the_threshold_of_the_loss_or_at_the_midpoint_of_the_means(
    logits: dict[int, float], at_midpoint: float, at_zero: float
) -> None:
    for loss, expected in ((Wasserstein(NoOptions()), at_midpoint), (Hinge(NoOptions()), at_zero)):
        batch = batch_of([[EOS, 0, 0], [3, EOS, 0], [4, 3, 3]])
        estimator = Fixed(torch.tensor([[5, EOS, 0], [4, EOS, 0], [3, 3, 3]]))
        discriminator_loss(make_parts(discriminator=FirstWord(logits), estimator=estimator, loss=loss), batch)
        assert batch.metrics["accuracy"].item() == pytest.approx(expected)


def test_the_optimal_discriminator_has_the_accuracy_of_the_total_variation_distance() -> None:
    real, generated = torch.tensor([100, 500, 400]), torch.tensor([1, 449, 550])
    logits = (real / generated).log()
    found = accuracy(logits.repeat_interleave(real), logits.repeat_interleave(generated), threshold=0.0)
    assert found.item() == pytest.approx(1 / 2 + 0.3 / 4)


NO_NOISE = Shape(SHAPE.vocabulary, SHAPE.length, noise=0)


def ratio_parts(**others: object) -> Parts:
    """Return a tiny generator without noise against a tiny language model, with exact expectations of next words."""
    torch.manual_seed(0)
    generator, ratio = TinyGenerator(NO_NOISE), TinyRatio(NO_NOISE, NoOptions())
    ratio.compare_with(generator)
    chosen = {
        "generator": generator,
        "discriminator": ratio,
        "estimator": NextWord(NoOptions()),
        "loss": ReverseKL(NonSaturatingOptions()),
    }
    return make_parts(**chosen | others)


def quiet_batch() -> Batch:
    return replace(make_batch(64), noise=torch.zeros(64, 0))


def test_a_language_model_warms_up_by_maximum_likelihood_then_judges() -> None:
    parts = replace(ratio_parts(), steps=10)
    algorithm = Adversarial(parts, AdversarialOptions(warmup=0.2, discriminator_warmup=0.3))
    names = [[phase.name for phase in algorithm.phases(step)] for step in (0, 2, 5)]
    assert names == [["mle"], ["discriminator_mle"], ["discriminator", "generator"]]
    batch = quiet_batch()
    (preparing,) = algorithm.phases(2)
    wanted = negative_log_likelihood(parts.discriminator.model, batch)
    assert preparing(batch).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_a_discriminator_may_stay_as_its_warmup_left_it() -> None:
    algorithm = Adversarial(ratio_parts(), AdversarialOptions(discriminator_steps=0))
    assert [phase.name for phase in algorithm.phases(0)] == ["generator"]


def test_a_generator_that_equals_the_language_model_has_nothing_to_follow() -> None:
    parts = ratio_parts()
    parts.discriminator.model.load_state_dict(parts.generator.state_dict())
    loss = generator_loss(parts, quiet_batch())
    assert abs(loss.item()) < 1e-6
    (gradient,) = torch.autograd.grad(loss, [parts.generator.table])
    assert gradient.abs().max() < 1e-6


def test_shuffled_costs_are_those_of_other_rows() -> None:
    torch.manual_seed(0)
    found = shuffled(lambda sequence, mask: sequence.float())(torch.arange(100), torch.ones(100))
    assert found.sort().values.equal(torch.arange(100.0))
    assert not (found == torch.arange(100.0)).any()


def test_a_shuffled_cost_of_every_word_moves_whole_rows() -> None:
    costs = torch.arange(24.0).view(2, 3, 4)
    assert shuffled(lambda tokens, own: costs)(torch.zeros(2, 3), torch.zeros(2, 3, 4)).equal(costs.flip(0))


def test_a_shuffled_cost_per_position_is_the_mean_over_the_sentence_that_it_is_of() -> None:
    mask = torch.arange(4) < torch.tensor([[1], [2], [4], [4]])
    cost = shuffled(lambda sequence, mask: torch.where(mask, 1.0, -9.0))
    assert cost(torch.zeros(4, 4), mask).tolist() == [1.0] * 4


def test_rewards_stay_with_their_texts_when_verdicts_are_shuffled() -> None:
    """The discriminator pays nothing here, so only the reward is left."""
    tokens, mask = every_sequence()
    parts = references.parts(TinyGenerator(), TinyDiscriminator(), 10)
    parts = replace(parts, rewarded=lambda cost, batch: lambda ids, beside: 0 * cost(ids, beside) + ids[:, 0])
    batch = Batch(tokens, mask, torch.zeros(len(tokens), SHAPE.noise))
    assert generator_cost(parts, batch, shuffle=True)(tokens, mask).equal(tokens[:, 0].float())


@pytest.mark.parametrize(
    ("estimator", "why"),
    [
        (Gumbel(GumbelOptions()), "takes the mean of all costs"),
        (Reinforce(ReinforceOptions(reward="position")), "pays each position its own logit"),
    ],
)
def test_shuffling_is_refused_where_it_would_control_nothing(estimator: Estimator, why: str) -> None:
    parts = references.parts(TinyGenerator(), TinyDiscriminator(per_position=True), 10)
    with pytest.raises(UsageError, match=f"verdict on another one, and this estimator {why}; choose"):
        Adversarial(replace(parts, estimator=estimator), AdversarialOptions(shuffle=True))


def test_rewards_of_texts_are_refused_where_positions_are_paid() -> None:
    parts = make_parts(
        discriminator=TinyDiscriminator(per_position=True),
        estimator=Reinforce(ReinforceOptions(reward="position")),
        rewarded=lambda cost, batch: cost,
    )
    with pytest.raises(UsageError) as caught:
        Adversarial(parts, AdversarialOptions())
    assert str(caught.value) == (
        "a reward pays whole texts, and this estimator pays each position its own logit; choose "
        "--estimator.reward sequence, or leave out --reward"
    )


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"discriminator": TinyDiscriminator()}, "TinyDiscriminator judges whole sequences; choose a language model"),
        ({"loss": Relativistic(NoOptions())}, "needs a loss on single logits; choose --loss reverse-kl"),
        ({"rewarded": lambda cost, batch: cost}, "pays words, and a reward pays texts"),
        ({"discriminator": TinyRatio(NO_NOISE, NoOptions())}, "this generator reads noise; set --noise-size 0"),
    ],
)
def test_next_words_need_parts_that_know_their_cost(others: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Adversarial(ratio_parts(**others), AdversarialOptions())
