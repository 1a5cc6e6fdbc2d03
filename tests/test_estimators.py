"""Every estimator against the gradient enumerated over all sequences of a three-word vocabulary."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ganlm_core import sampling
from ganlm_core.errors import UsageError
from ganlm_core.estimators import Gumbel, Importance, Reinforce, Rollout, Softmax, StraightThrough
from ganlm_core.protocol import EOS, Batch, Estimator, Generator, Shape, mask_of, per_sequence
from ganlm_core.standard import (
    GumbelOptions,
    ImportanceOptions,
    ReinforceOptions,
    RolloutOptions,
    SoftmaxOptions,
    StraightThroughOptions,
)

from .tiny import SHAPE, TinyDiscriminator, TinyGenerator, TinyOneShot, every_sequence, make_batch

ROWS, REPEATS = 512, 64
NOISE = torch.tensor([[0.7, -1.2]])


def gradient(scalar: Tensor, generator: Generator) -> Tensor:
    return torch.cat([part.flatten() for part in torch.autograd.grad(scalar, list(generator.parameters()))])


def exact_gradient(generator: Generator, discriminator: TinyDiscriminator) -> Tensor:
    """The gradient of sum_x p(x | z) f(x) with f = softplus(-D), summed over every sequence there is."""
    tokens, mask = every_sequence()
    log_probs = sampling.log_likelihood(generator, NOISE.expand(len(tokens), -1), tokens, mask).sum(dim=1)
    cost = per_sequence(torch.nn.functional.softplus(-discriminator(tokens, mask)), mask)
    return gradient((log_probs.exp() * cost.detach()).sum(), generator)


def estimates(estimator: Estimator, generator: Generator, discriminator: TinyDiscriminator) -> Tensor:
    """Independent estimates of the gradient, (REPEATS, parameters)."""
    noise = NOISE.expand(ROWS, -1)
    tokens = torch.zeros(ROWS, SHAPE.length, dtype=torch.long)

    def cost(sequence: Tensor, mask: Tensor) -> Tensor:
        return torch.nn.functional.softplus(-discriminator(sequence, mask))

    batch = Batch(tokens, tokens > 0, noise)
    return torch.stack([gradient(estimator(generator, batch, cost), generator) for _ in range(REPEATS)])


def z_scores(found: Tensor, exact: Tensor) -> Tensor:
    spread = found.std(dim=0) / REPEATS**0.5
    return (found.mean(dim=0) - exact) / spread.clamp(min=1e-5)


UNBIASED = {
    "no baseline": Reinforce(ReinforceOptions(baseline="none")),
    "moving average": Reinforce(ReinforceOptions(baseline="moving-average")),
    "leave one out": Reinforce(ReinforceOptions(baseline="leave-one-out")),
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


def test_a_one_shot_generator_has_an_unbiased_score_function_too() -> None:
    torch.manual_seed(2)
    generator, discriminator = TinyOneShot(), TinyDiscriminator()
    found = estimates(Reinforce(ReinforceOptions()), generator, discriminator)
    assert z_scores(found, exact_gradient(generator, discriminator)).abs().max() < 4.5


def test_the_baseline_lowers_the_variance() -> None:
    torch.manual_seed(3)
    generator, discriminator = TinyGenerator(), TinyDiscriminator()
    variance = {
        name: estimates(UNBIASED[name], generator, discriminator).var(dim=0).sum().item()
        for name in ("no baseline", "leave one out", "rollout")
    }
    assert variance["leave one out"] < 0.8 * variance["no baseline"]
    assert variance["rollout"] < variance["leave one out"]


BIASED = {
    "straight-through": StraightThrough(StraightThroughOptions(temperature=1.0)),
    "gumbel at 1": Gumbel(GumbelOptions(temperature=1.0)),
    "gumbel at 0.1": Gumbel(GumbelOptions(temperature=0.1)),
}


def relative_bias(name: str) -> tuple[float, float]:
    """|mean estimate - exact| / |exact|, and the cosine between them."""
    torch.manual_seed(4)
    generator, discriminator = TinyOneShot(), TinyDiscriminator()
    exact = exact_gradient(generator, discriminator)
    mean = estimates(BIASED[name], generator, discriminator).mean(dim=0)
    cosine = torch.cosine_similarity(mean, exact, dim=0).item()
    return ((mean - exact).norm() / exact.norm()).item(), cosine


def test_relaxations_are_biased_by_a_fifth_here_and_point_the_same_way() -> None:
    bias = {name: relative_bias(name) for name in BIASED}
    # Measured: 0.21, 0.23 and 0.24 of the gradient's length, with cosines above 0.99. Monte Carlo error is 0.03.
    assert all(0.1 < size < 0.4 for size, _ in bias.values()), bias
    assert all(cosine > 0.95 for _, cosine in bias.values()), bias


def test_gumbel_is_annealed_geometrically() -> None:
    estimator = Gumbel(GumbelOptions(temperature=1.0, final_temperature=0.01))
    assert [round(estimator.temperature(progress), 6) for progress in (0, 0.5, 1)] == [1.0, 0.1, 0.01]


def test_rollouts_refuse_a_one_shot_generator() -> None:
    tokens = torch.zeros(1, SHAPE.length, dtype=torch.long)
    with pytest.raises(UsageError) as caught:
        Rollout(RolloutOptions())(TinyOneShot(), Batch(tokens, tokens > 0, NOISE), lambda s, m: s[:, 0].float())
    assert str(caught.value) == (
        "rollouts complete prefixes, and TinyOneShot writes all positions at once; "
        "choose an autoregressive generator, or --estimator reinforce"
    )


def test_position_rewards_are_discounted_sums_of_what_is_to_come() -> None:
    estimator = Reinforce(ReinforceOptions(reward="position", discount=0.5))
    mask = torch.tensor([[True, True, True], [True, True, False]])
    reward = torch.tensor([[3.0, 6.0, 9.0], [2.0, 4.0, 100.0]])
    returns = estimator._returns(reward, torch.zeros(2, 3), mask)
    # Shares of the mean: 1, 2, 3 and 1, 2. Padding is paid nothing.
    assert returns.tolist() == [[1 + 1 + 0.75, 2 + 1.5, 3.0], [2.0, 2.0, 0.0]]


def test_a_moving_average_is_part_of_the_state() -> None:
    estimator = Reinforce(ReinforceOptions(baseline="moving-average", decay=0.9))
    estimator.surrogate(torch.zeros(2, 3), torch.full((2, 3), 4.0), torch.ones(2, 3, dtype=torch.bool))
    assert estimator.state_dict()["average"].item() == pytest.approx(0.4)


def target_gradient(generator: Generator, log_target: Tensor) -> Tensor:
    """The gradient of the cross-entropy -sum_x target(x) log p(x | z), summed over every sequence there is."""
    tokens, mask = every_sequence()
    log_probs = sampling.log_likelihood(generator, NOISE.expand(len(tokens), -1), tokens, mask).sum(dim=1)
    return gradient(-(log_target.exp() * log_probs).sum(), generator)


def every_log_prob(generator: Generator) -> Tensor:
    """log p(x | z) of every sequence there is, (N,)."""
    tokens, mask = every_sequence()
    return sampling.log_likelihood(generator, NOISE.expand(len(tokens), -1), tokens, mask).sum(dim=1).detach()


def importance_estimates(
    options: ImportanceOptions, generator: Generator, cost: Callable[[Tensor], Tensor], repeats: int = REPEATS
) -> Tensor:
    """Estimates, (repeats, parameters); ``cost`` is given the row of each drawn sequence among all there are."""
    tokens, _ = every_sequence()
    batch = Batch(torch.zeros(ROWS, SHAPE.length, dtype=torch.long), torch.ones(ROWS, 1) > 0, NOISE.expand(ROWS, -1))

    def by_row(sequence: Tensor, mask: Tensor) -> Tensor:
        return cost((sequence[:, None] == tokens).all(dim=-1).int().argmax(dim=1))

    estimator = Importance(options)
    return torch.stack([gradient(estimator(generator, batch, by_row), generator) for _ in range(repeats)])


PROPOSALS = {
    "its own samples": ImportanceOptions(),
    "a baseline": ImportanceOptions(baseline=1.0),
    "hotter samples": ImportanceOptions(temperature=1.5),
    "hotter samples and a baseline": ImportanceOptions(temperature=1.5, baseline=0.5),
}


@pytest.mark.parametrize("options", PROPOSALS.values(), ids=PROPOSALS)
@pytest.mark.parametrize("method", ["maligan", "cooperative"])
def test_importance_weights_lead_to_their_target(method: str, options: ImportanceOptions) -> None:
    """At the best discriminator D = data/(data + p), MaliGAN's target p D/(1 - D) is the data, whatever p is: the
    gradient is that of maximum likelihood, without a real sentence in the batch. The cooperative one is p D."""
    torch.manual_seed(5)
    generator = TinyGenerator()
    log_p = every_log_prob(generator)
    log_data = (0.7 * torch.randn(len(log_p)) + log_p).log_softmax(dim=0)
    logit = log_data - log_p
    cost = -logit if method == "maligan" else torch.nn.functional.softplus(-logit)
    target = log_data if method == "maligan" else (log_p + torch.nn.functional.logsigmoid(logit)).log_softmax(dim=0)
    found = importance_estimates(options, generator, lambda rows: cost[rows])
    exact = target_gradient(generator, target)
    # The ratio's bias of order 1/512 is a tenth of the spread of a mean over 64 estimates.
    assert z_scores(found, exact).abs().max() < 4.5
    assert exact.norm() > 5 * (found.mean(dim=0) - exact).norm()


def test_maligan_weights_are_the_odds_over_their_sum() -> None:
    """Worked by hand: D = 1/2, 3/4 and 4/5 have odds of 1, 3 and 4; with a baseline of one the weights sum to zero."""
    odds = torch.tensor([1.0, 3.0, 4.0])
    for baseline, expected in ((0.0, [1 / 8, 3 / 8, 4 / 8]), (1.0, [1 / 8 - 1 / 3, 3 / 8 - 1 / 3, 4 / 8 - 1 / 3])):
        found = weights_of(Importance(ImportanceOptions(baseline=baseline)), -odds.log())
        assert found == pytest.approx(expected, abs=1e-6)
        assert sum(found) == pytest.approx(1 - baseline, abs=1e-6)


class Uniform(Generator):
    """Every row of noise, a one-hot, has its own logits; <eos> and the three words are equally likely everywhere."""

    def __init__(self, rows: int) -> None:
        super().__init__(Shape(SHAPE.vocabulary, SHAPE.length, rows))
        self.logits = nn.Parameter(torch.zeros(rows, SHAPE.length, SHAPE.vocabulary))

    def forward(self, noise: Tensor, tokens: Tensor | None = None) -> Tensor:
        return torch.einsum("bz,ztv->btv", noise, self.logits)


def weights_of(estimator: Estimator, cost: Tensor) -> list[float]:
    """How much each row weighs, read from the gradient of its logits; what is beyond its <eos> must have none.

    That gradient is the weight times p - 1 = -3/4 at the word that was drawn, and p = 1/4 at the three others.
    """
    rows = len(cost)
    generator, seen = Uniform(rows), []
    batch = Batch(torch.zeros(rows, 3, dtype=torch.long), torch.ones(rows, 3) > 0, torch.eye(rows))

    def by_row(sequence: Tensor, mask: Tensor) -> Tensor:
        seen.append((sequence, mask))
        return cost

    (pull,) = torch.autograd.grad(estimator(generator, batch, by_row), generator.logits)
    ((drawn, mask),) = seen
    weights = pull.gather(-1, drawn[..., None]).squeeze(-1) / -0.75
    assert (weights[~mask] == 0).all()
    for row, own in zip(weights, mask, strict=True):
        assert row[own].tolist() == pytest.approx([row[0].item()] * int(own.sum()), abs=1e-6)
    return weights[:, 0].tolist()


def test_importance_weights_stay_with_their_sentences() -> None:
    """Thirty-two labelled sentences of all lengths: each keeps the weight of its own label, padding has none."""
    torch.manual_seed(6)
    labels = torch.randn(32)
    assert weights_of(Importance(ImportanceOptions()), -labels) == pytest.approx(
        labels.softmax(dim=0).tolist(), abs=1e-6
    )


def test_small_differences_in_cost_pull_as_in_reinforce() -> None:
    """To first order, w - 1/B = -(cost - mean cost)/B: the score function with the mean as its baseline."""
    cost = 1e-3 * torch.randn(8, generator=torch.Generator().manual_seed(7))
    found = weights_of(Importance(ImportanceOptions(baseline=1.0)), cost)
    assert found == pytest.approx((-(cost - cost.mean()) / 8).tolist(), abs=1e-6)


def test_the_softmax_is_the_same_twice_and_lets_the_gradient_through() -> None:
    torch.manual_seed(8)
    generator, batch = TinyOneShot(), make_batch()
    estimator = Softmax(SoftmaxOptions(temperature=0.5))
    once, twice = (estimator.draw(generator, batch) for _ in range(2))
    assert once.sequence.equal(twice.sequence)
    own = generator(batch.noise)[..., EOS:].div(0.5).softmax(dim=-1)
    assert once.sequence[..., EOS:][once.mask].allclose(own[once.mask])
    assert once.mask.equal(mask_of(own.argmax(dim=-1) + EOS))
    assert gradient(estimator(generator, batch, lambda sequence, mask: sequence[..., 4].sum(dim=1)), generator).any()
