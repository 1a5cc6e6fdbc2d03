"""Importance weights: the MaliGAN and the cooperative target, enumerated over a three-word vocabulary."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ganlm_core import sampling
from ganlm_core.algorithms.importance import Importance
from ganlm_core.algorithms.options import ImportanceOptions
from ganlm_core.protocol import Batch, Estimator, Generator, Shape, mask_of
from tests.tiny import NOISE, REPEATS, ROWS, SHAPE, TinyGenerator, every_sequence, gradient, make_batch, z_scores


def target_gradient(generator: Generator, log_target: Tensor) -> Tensor:
    """Return the gradient of -sum_x target(x) log p(x | z), summed over every possible sequence."""
    tokens, mask = every_sequence()
    log_probs = sampling.log_likelihood(generator, NOISE.expand(len(tokens), -1), tokens, mask).sum(dim=1)
    return gradient(-(log_target.exp() * log_probs).sum(), generator)


def every_log_prob(generator: Generator) -> Tensor:
    """Return log p(x | z) of every possible sequence, (N,)."""
    tokens, mask = every_sequence()
    return sampling.log_likelihood(generator, NOISE.expand(len(tokens), -1), tokens, mask).sum(dim=1).detach()


def importance_estimates(
    options: ImportanceOptions, generator: Generator, cost: Callable[[Tensor], Tensor], repeats: int = REPEATS
) -> Tensor:
    """Return estimates (repeats, parameters). ``cost`` gets the index of each drawn sequence in every_sequence()."""
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
def test_importance_weights_give_the_gradient_of_their_target(method: str, options: ImportanceOptions) -> None:
    """At the optimal discriminator D = data/(data + p), MaliGAN's target p D/(1 - D) is the data for every p: the
    gradient is that of maximum likelihood, without a real sentence in the batch. The cooperative target is p D."""
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


def test_maligan_weights_are_the_normalised_odds() -> None:
    """By hand: D = 1/2, 3/4 and 4/5 have the odds 1, 3 and 4. With a baseline of 1 the weights sum to zero."""
    odds = torch.tensor([1.0, 3.0, 4.0])
    for baseline, expected in ((0.0, [1 / 8, 3 / 8, 4 / 8]), (1.0, [1 / 8 - 1 / 3, 3 / 8 - 1 / 3, 4 / 8 - 1 / 3])):
        found = weights_of(Importance(ImportanceOptions(baseline=baseline)), -odds.log())
        assert found == pytest.approx(expected, abs=1e-6)
        assert sum(found) == pytest.approx(1 - baseline, abs=1e-6)


class Uniform(Generator):
    """Each row of noise, a one-hot, has its own logits. <eos> and the three words are equally likely everywhere."""

    def __init__(self, rows: int) -> None:
        super().__init__(Shape(SHAPE.vocabulary, SHAPE.length, rows))
        self.logits = nn.Parameter(torch.zeros(rows, SHAPE.length, SHAPE.vocabulary))

    def forward(self, noise: Tensor, tokens: Tensor | None = None) -> Tensor:
        return torch.einsum("bz,ztv->btv", noise, self.logits)


def weights_of(estimator: Estimator, cost: Tensor) -> list[float]:
    """Return the weight of each row, read from the gradient of its logits, which must be zero after <eos>.

    The gradient is the weight times p - 1 = -3/4 at the drawn word, and times p = 1/4 at the three others.
    """
    rows = len(cost)
    generator, seen = Uniform(rows), []
    batch = Batch(torch.zeros(rows, 3, dtype=torch.long), torch.ones(rows, 3) > 0, torch.eye(rows))

    def by_row(sequence: Tensor, mask: Tensor) -> Tensor:
        seen.append((sequence, mask))
        return cost

    (slope,) = torch.autograd.grad(estimator(generator, batch, by_row), generator.logits)
    ((drawn, mask),) = seen
    weights = slope.gather(-1, drawn[..., None]).squeeze(-1) / -0.75
    assert (weights[~mask] == 0).all()
    for row, own in zip(weights, mask, strict=True):
        assert row[own].tolist() == pytest.approx([row[0].item()] * int(own.sum()), abs=1e-6)
    return weights[:, 0].tolist()


def test_each_sentence_keeps_its_own_weight() -> None:
    """32 sentences of all lengths have labels. Each has the weight of its own label; padding has none."""
    torch.manual_seed(6)
    labels = torch.randn(32)
    assert weights_of(Importance(ImportanceOptions()), -labels) == pytest.approx(
        labels.softmax(dim=0).tolist(), abs=1e-6
    )


def test_for_small_differences_in_cost_the_weights_equal_reinforce() -> None:
    """To first order, w - 1/B = -(cost - mean cost)/B: the score function with the mean cost as baseline."""
    cost = 1e-3 * torch.randn(8, generator=torch.Generator().manual_seed(7))
    found = weights_of(Importance(ImportanceOptions(baseline=1.0)), cost)
    assert found == pytest.approx((-(cost - cost.mean()) / 8).tolist(), abs=1e-6)


def batch_of(tokens: Tensor, progress: float = 0.0) -> Batch:
    return Batch(tokens, mask_of(tokens), NOISE.expand(len(tokens), -1), progress=progress)


@pytest.mark.parametrize(("progress", "kept"), [(0.0, 2), (0.5, 1), (0.7, 1), (0.8, 0), (1.0, 0)])
def test_samples_continue_real_prefixes_that_shrink_to_zero(progress: float, kept: int) -> None:
    torch.manual_seed(9)
    tokens = torch.tensor([[3, 4, 5], [4, 2, 0], [2, 0, 0], [5, 3, 2]]).repeat(64, 1)
    generator = TinyGenerator()
    drawn = Importance(ImportanceOptions(prefix=1.0)).draw(generator, batch_of(tokens, progress))
    assert drawn.sequence[:, :kept].equal(tokens[:, :kept])
    assert drawn.mask.equal(mask_of(drawn.sequence))
    ended = (tokens[:, :kept] == 2).any(dim=1)
    assert drawn.sequence[ended].equal(tokens[ended])
    assert len(drawn.sequence[~ended].unique(dim=0)) > 4


def test_with_real_prefixes_the_target_is_the_data_too() -> None:
    """Half of each sequence is real. The odds of the optimal discriminator are data(rest | prefix)/p(rest | prefix).
    The mean gradient is that of maximum likelihood on whole sequences."""
    torch.manual_seed(10)
    generator, data = TinyGenerator(), TinyGenerator()
    every, mask = every_sequence()
    noise = NOISE.expand(len(every), -1)
    log_p, log_data = (sampling.log_likelihood(each, noise, every, mask).detach() for each in (generator, data))
    cost = (log_p - log_data)[:, 1:].sum(dim=1)
    estimator = Importance(ImportanceOptions(prefix=0.5, baseline=1.0))

    def by_row(sequence: Tensor, mask: Tensor) -> Tensor:
        return cost[(sequence[:, None] == every).all(dim=-1).int().argmax(dim=1)]

    def estimate() -> Tensor:
        real = sampling.sample(data, NOISE.expand(ROWS, -1)).tokens
        return gradient(estimator(generator, batch_of(real), by_row), generator)

    found = torch.stack([estimate() for _ in range(REPEATS)])
    exact = target_gradient(generator, log_data.sum(dim=1))
    assert z_scores(found, exact).abs().max() < 4.5
    assert exact.norm() > 5 * (found.mean(dim=0) - exact).norm()


def test_importance_needs_an_autoregressive_generator_for_real_prefixes_only() -> None:
    assert Importance(ImportanceOptions(prefix=0.1)).autoregressive_only
    assert not Importance(ImportanceOptions()).autoregressive_only


def test_the_effective_sample_size_is_logged() -> None:
    """Weights of 1/8, 3/8 and 4/8 have an effective sample size of 64/26 (Kong 1992)."""
    batch = Batch(torch.zeros(3, 3, dtype=torch.long), torch.ones(3, 3) > 0, torch.eye(3))
    cost = -torch.tensor([1.0, 3.0, 4.0]).log()
    Importance(ImportanceOptions())(Uniform(3), batch, lambda sequence, mask: cost)
    assert batch.metrics["effective_samples"].item() == pytest.approx(64 / 26)


@pytest.mark.parametrize(("temperature", "logged"), [(1.0, True), (2.0, False)])
def test_the_entropy_is_that_of_the_generator(temperature: float, logged: bool) -> None:
    batch = make_batch(rows=4)
    Importance(ImportanceOptions(temperature=temperature))(
        TinyGenerator(), batch, lambda sequence, mask: mask.sum(1).float()
    )
    assert ("entropy" in batch.metrics) == logged
