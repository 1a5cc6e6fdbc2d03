"""Policy gradients against the gradient enumerated over a three-word vocabulary."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from ganlm_core import sampling
from ganlm_core.algorithms.losses import CentredProbability
from ganlm_core.algorithms.options import (
    ClippedOptions,
    NonSaturatingOptions,
    ReinforceOptions,
    RolloutOptions,
)
from ganlm_core.algorithms.policy_gradients import Clipped, Reinforce, Rollout, ranked
from ganlm_core.errors import OptionError, UsageError
from ganlm_core.protocol import EOS, PAD, Batch, Shape
from ganlm_core.sampling import log_probabilities
from tests.tiny import (
    NOISE,
    ROWS,
    SHAPE,
    Dropping,
    TinyDiscriminator,
    TinyGenerator,
    TinyOneShot,
    estimates,
    every_sequence,
    exact_gradient,
    gradient,
    likelihoods,
    make_batch,
    z_scores,
)

UNBIASED = {
    "no baseline": Reinforce(ReinforceOptions(baseline="none")),
    "moving average": Reinforce(ReinforceOptions(baseline="moving-average")),
    "leave one out": Reinforce(ReinforceOptions(baseline="leave-one-out")),
    "learned": Reinforce(ReinforceOptions(baseline="learned")),
    "stratified": Reinforce(ReinforceOptions(baseline="moving-average", stratified=True)),
    "stratified per noise": Reinforce(ReinforceOptions(baseline="learned", stratified=True, samples=4)),
    "clipped": Clipped(ClippedOptions(steps=1)),
    "leave one out of one noise": Reinforce(ReinforceOptions(samples=4)),
    "rollout": Rollout(RolloutOptions(samples=2)),
    "rollout in chunks": Rollout(RolloutOptions(samples=3, chunk=ROWS * SHAPE.length, baseline="none")),
}


@pytest.mark.parametrize("name", UNBIASED)
@pytest.mark.parametrize("per_position", [False, True])
def test_score_functions_are_unbiased(name: str, per_position: bool) -> None:
    torch.manual_seed(1)
    generator, discriminator = TinyGenerator(), TinyDiscriminator(per_position=per_position)
    found = estimates(UNBIASED[name], generator, discriminator)
    # 48 coordinates, each a standard normal if unbiased: beyond 4.5 with probability 0.0003.
    assert z_scores(found, exact_gradient(generator, discriminator)).abs().max() < 4.5


@pytest.mark.parametrize("name", ["leave one out", "rollout"])
def test_score_functions_are_unbiased_for_a_generator_with_dropout(name: str) -> None:
    """The policy is the generator without dropout. Drawing and scoring under different masks gives |z| of 40."""
    torch.manual_seed(1)
    generator, discriminator = Dropping(), TinyDiscriminator()
    found = estimates(UNBIASED[name], generator, discriminator)
    assert generator.dropout.training
    assert z_scores(found, exact_gradient(generator.eval(), discriminator)).abs().max() < 4.5


def test_score_functions_are_unbiased_for_a_one_shot_generator() -> None:
    torch.manual_seed(2)
    generator, discriminator = TinyOneShot(), TinyDiscriminator()
    found = estimates(Reinforce(ReinforceOptions()), generator, discriminator)
    assert z_scores(found, exact_gradient(generator, discriminator)).abs().max() < 4.5


def test_baselines_and_rollouts_reduce_the_variance() -> None:
    torch.manual_seed(3)
    generator, discriminator = TinyGenerator(), TinyDiscriminator()
    variance = {
        name: estimates(UNBIASED[name], generator, discriminator).var(dim=0).sum().item()
        for name in ("no baseline", "moving average", "leave one out", "rollout", "stratified")
    }
    assert variance["stratified"] < 0.5 * variance["moving average"]
    assert variance["leave one out"] < 0.8 * variance["no baseline"]
    assert variance["rollout"] < variance["leave one out"]


def test_rollouts_refuse_a_one_shot_generator() -> None:
    tokens = torch.zeros(1, SHAPE.length, dtype=torch.long)
    with pytest.raises(UsageError) as caught:
        Rollout(RolloutOptions())(TinyOneShot(), Batch(tokens, tokens > 0, NOISE), lambda s, m: s[:, 0].float())
    assert str(caught.value) == (
        "rollouts complete prefixes, and TinyOneShot writes all positions at once; "
        "choose an autoregressive generator, or --estimator reinforce"
    )


def test_position_rewards_are_discounted_sums_of_later_rewards() -> None:
    estimator = Reinforce(ReinforceOptions(reward="position", discount=0.5))
    mask = torch.tensor([[True, True, True], [True, True, False]])
    reward = torch.tensor([[3.0, 6.0, 9.0], [2.0, 4.0, 100.0]])
    returns = estimator._returns(reward, torch.zeros(2, 3), mask)
    # Rewards are not divided by the length. Padding gets none.
    assert returns.tolist() == [[3 + 3 + 2.25, 6 + 4.5, 9.0], [2 + 2, 4.0, 0.0]]


def test_position_rewards_have_the_gradient_of_their_sum_over_sentences_of_every_length() -> None:
    """The verdict on a word depends on this word and its position, so it is causal. The gradient is enumerated."""
    torch.manual_seed(1)
    generator, discriminator = TinyGenerator(), TinyDiscriminator(per_position=True)
    tokens, mask = every_sequence()
    log_probs = sampling.log_likelihood(generator, NOISE.expand(len(tokens), -1), tokens, mask).sum(dim=1)
    cost = (nn.functional.softplus(-discriminator(tokens, mask)) * mask).sum(dim=1)
    exact = gradient((log_probs.exp() * cost.detach()).sum(), generator)
    found = estimates(Reinforce(ReinforceOptions(reward="position")), generator, discriminator)
    assert z_scores(found, exact).abs().max() < 4.5


def test_a_verdict_of_chance_on_every_word_pays_for_no_length() -> None:
    """The gradient is enumerated over sentences of every length."""
    torch.manual_seed(1)
    generator, loss = TinyGenerator(), CentredProbability(NonSaturatingOptions())
    tokens, mask = every_sequence()
    batch = Batch(tokens, mask, NOISE.expand(len(tokens), -1))
    own = log_probabilities(generator(batch.noise, tokens))
    drawn = sampling.Draws(tokens, mask, sampling.of_tokens(own, tokens, mask).detach(), own)
    estimator = Reinforce(ReinforceOptions(reward="position", discount=0.23, baseline="none"))
    returns = estimator.returns(batch, drawn, lambda ids, beside: loss.generator(torch.zeros(ids.shape), beside))
    p = likelihoods(own, tokens, mask).detach()
    assert not gradient((p[:, None] * returns * mask * drawn.log_likelihood()).sum(), generator).any()


@pytest.mark.parametrize("chunk", [4096, 1])
def test_the_value_of_a_prefix_belongs_to_its_sentence_and_position(chunk: int) -> None:
    """The reward is 100 times the first id, 10 times the second and 1 times the third. So the value of a prefix is at
    least the reward of its own ids, the last position has the reward of the sequence, and padding adds none."""
    torch.manual_seed(9)
    generator, noise = TinyGenerator(), torch.randn(32, SHAPE.noise)
    drawn = sampling.sample(generator, noise)
    assert {int(count) for count in drawn.mask.sum(dim=1)} == {1, 2, 3}
    worth = torch.tensor([100.0, 10.0, 1.0])

    def cost(sequence: Tensor, mask: Tensor) -> Tensor:
        assert sequence[~mask].eq(PAD).all()
        return -(sequence * worth).sum(dim=1)

    values = Rollout(RolloutOptions(samples=5, chunk=chunk))._values(generator, noise, drawn, cost)
    earned = (drawn.tokens * worth).cumsum(dim=1)
    most = earned + torch.tensor([55.0, 5.0, 0.0]) * (drawn.tokens != EOS)
    assert (values >= earned).all() and (values <= most).all()
    assert values[:, -1].equal(earned[:, -1])
    ended = drawn.tokens.eq(EOS).cumsum(dim=1).bool()
    assert values[ended].equal(earned[ended])


def test_a_sequence_of_one_token_has_its_own_reward_and_no_rollouts() -> None:
    generator, noise = TinyGenerator(Shape(SHAPE.vocabulary, 1, SHAPE.noise)), torch.randn(4, SHAPE.noise)
    drawn = sampling.sample(generator, noise)
    values = Rollout(RolloutOptions())._values(generator, noise, drawn, lambda sequence, mask: -sequence[:, 0].float())
    assert values.equal(drawn.tokens.float())


def test_ranked_rewards_agree_with_the_paper_by_hand() -> None:
    """By hand: sigmoid(12 (0.5 - rank / B)), best first. The second sentence does not reach the last position."""
    mask = torch.tensor([[True, True], [True, False], [True, True]])
    values = torch.tensor([[0.5, 0.2], [0.1, 9.0], [0.3, 0.2]])
    exponents = torch.tensor([[12 * (1 / 2 - 1 / 3), -3.0], [-6.0, -torch.inf], [12 * (1 / 2 - 2 / 3), -3.0]])
    torch.testing.assert_close(ranked(values, mask, 12.0), exponents.sigmoid())
    torch.testing.assert_close(ranked(values * 1e-5, mask, 12.0), exponents.sigmoid())


def test_rollouts_rank_their_values_if_rank_is_set() -> None:
    """At the last position, whole sentences are ranked by their own rewards. Padding gets none."""
    torch.manual_seed(0)
    generator, batch = TinyGenerator(), make_batch(rows=16)
    drawn = sampling.sample(generator, batch.noise)

    def cost(sequence: Tensor, mask: Tensor) -> Tensor:
        return -(sequence * torch.tensor([49, 7, 1])).sum(dim=1).float()

    returns = Rollout(RolloutOptions(samples=2, rank=12)).returns(generator, batch, drawn, cost)
    own, at_end = -cost(drawn.tokens, drawn.mask), drawn.mask[:, -1]
    assert 2 < at_end.sum() < 16
    torch.testing.assert_close(returns[:, -1], ranked(own[:, None], at_end[:, None], 12.0).squeeze(1))
    assert not returns[~drawn.mask].any()


def paid_by_words(sequence: Tensor, mask: Tensor) -> Tensor:
    """A cost (N,) that each word of the sequence changes, negative for most."""
    return 8.0 - (sequence * torch.tensor([4.0, 2.0, 1.0])).sum(dim=1)


def test_later_steps_of_clipped_have_the_samples_of_the_first_and_clip_their_ratios() -> None:
    """By hand: r A, but nothing above r = 1.1 for a reward or below 0.9 for a punishment."""
    torch.manual_seed(5)
    generator, batch = TinyGenerator(), make_batch(rows=32)
    estimator = Clipped(ClippedOptions(steps=2, clip=0.1, baseline="none"))
    torch.manual_seed(6)
    first = gradient(estimator(generator, batch, paid_by_words), generator)
    torch.manual_seed(6)
    assert first.equal(
        gradient(Reinforce(ReinforceOptions(baseline="none"))(generator, batch, paid_by_words), generator)
    )
    torch.manual_seed(6)
    drawn = sampling.draws(generator, batch)
    before = drawn.log_likelihood().detach()
    with torch.no_grad():
        generator.table += 0.2 * torch.randn_like(generator.table)

    def unasked(sequence: Tensor, mask: Tensor) -> Tensor:
        raise AssertionError("the second step asks for rewards")

    other = replace(batch, noise=torch.randn_like(batch.noise), metrics={})
    found = gradient(estimator(generator, other, unasked), generator)
    ratio = (sampling.log_likelihood(generator, batch.noise, drawn.tokens, drawn.mask) - before).exp()
    advantage = -paid_by_words(drawn.tokens, drawn.mask)[:, None].expand(ratio.shape)
    left = ((ratio > 1.1) & (advantage > 0)) | ((ratio < 0.9) & (advantage < 0))
    counted = torch.where(left, 0.0, ratio * advantage) * drawn.mask
    assert found.allclose(gradient(-counted.sum(dim=1).mean(), generator), atol=1e-6)
    outside = ((ratio - 1).abs() > 0.1) & drawn.mask
    assert 0.1 < outside.sum() / drawn.mask.sum() < 0.9
    assert other.metrics["clipped"].item() == pytest.approx((outside.sum() / drawn.mask.sum()).item())


@pytest.mark.parametrize("later", ["another step", "after its steps", "after a rollback"])
def test_clipped_draws_anew(later: str) -> None:
    torch.manual_seed(5)
    generator, batch = TinyGenerator(), make_batch(rows=8)
    estimator = Clipped(ClippedOptions(steps=2))
    asked: list[Tensor] = []

    def cost(sequence: Tensor, mask: Tensor) -> Tensor:
        asked.append(sequence)
        return sequence[:, 0].float()

    estimator(generator, batch, cost)
    if later == "after its steps":
        estimator(generator, batch, cost)
    if later == "after a rollback":
        estimator.load_state_dict(estimator.state_dict())
    assert len(asked) == 1
    estimator(generator, replace(batch, step=1) if later == "another step" else batch, cost)
    assert len(asked) == 2


@pytest.mark.parametrize("baseline", ["leave-one-out", "same-length"])
def test_stratified_samples_refuse_a_baseline_of_their_own_batch(baseline: str) -> None:
    with pytest.raises(OptionError) as caught:
        ReinforceOptions(baseline=baseline, stratified=True)
    assert str(caught.value) == (
        f"stratified samples depend on each other, and the baseline {baseline} is their own mean, which would be "
        "biased; choose the baseline learned, moving-average or none"
    )
