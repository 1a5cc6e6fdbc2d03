"""RankGAN: ranks computed by hand, and the losses of the ranker and of the generator."""

import math

import pytest
import torch
from torch import Tensor

from ganlm_core.algorithms.options import RankGANOptions, ReinforceOptions
from ganlm_core.algorithms.penalties import relaxed
from ganlm_core.algorithms.policy_gradients import Reinforce
from ganlm_core.algorithms.rankgan import SMALLEST, RankGAN, generator_loss, log_ranks, ranker_loss
from ganlm_core.protocol import EOS, Discriminator, Parts
from tests.tiny import SHAPE, Fixed, TinyGenerator, batch_of, make_batch, make_parts

EAST, NORTH, WEST = [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]


def ranks(texts: list[list[float]], references: list[list[float]], others: list[list[float]], gamma: float) -> Tensor:
    return log_ranks(*(torch.tensor(each) for each in (texts, references, others)), gamma).exp()


def test_the_rank_is_the_softmax_of_the_relevance_over_the_text_and_the_others() -> None:
    """With east as the only reference, the cosines of east, north and west are 1, 0 and -1."""
    e = math.e
    found = ranks([EAST, NORTH, WEST], [EAST], [NORTH, WEST], gamma=1.0)
    assert found.tolist() == pytest.approx([e / (e + 1 + 1 / e), 1 / (2 + 1 / e), (1 / e) / (1 + 2 / e)])


def test_gamma_sharpens_ranks_and_zero_makes_them_equal() -> None:
    assert ranks([EAST, WEST], [EAST], [NORTH, NORTH], gamma=0.0).tolist() == pytest.approx([1 / 3, 1 / 3])
    assert ranks([EAST], [EAST], [NORTH], gamma=5.0).item() == pytest.approx(1 / (1 + math.exp(-5)))


def test_log_ranks_are_averaged_over_references() -> None:
    """By hand: the rank among north is e/(e + 1) by the reference east and 1/(1 + e) by the reference north."""
    by_east, by_north = math.e / (math.e + 1), 1 / (1 + math.e)
    found = ranks([EAST], [EAST, NORTH], [NORTH], gamma=1.0)
    assert found.item() == pytest.approx(math.sqrt(by_east * by_north))


def test_only_the_direction_of_features_counts() -> None:
    features = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    assert log_ranks(*features, gamma=2.0).allclose(log_ranks(*(features * torch.rand(3, 4, 1)), gamma=2.0), atol=1e-6)


class FirstWord(Discriminator):
    """The features of a text are the direction of its first word. There is no logit."""

    def __init__(self, directions: dict[int, list[float]]) -> None:
        super().__init__(SHAPE)
        table = torch.tensor([directions.get(word, [0.0, 0.0]) for word in range(SHAPE.vocabulary)])
        self.directions = torch.nn.Parameter(table)

    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return relaxed(sequence, SHAPE.vocabulary)[:, 0] @ self.directions


def parts_of(generated: list[list[int]], copies: int = 1) -> Parts:
    ranker = FirstWord({3: EAST, 4: NORTH, 5: WEST})
    return make_parts(discriminator=ranker, estimator=Fixed(torch.tensor(generated), copies))


REAL = [[3, EOS, 0], [4, 3, EOS], [3, 3, 3], [3, 4, EOS]]  # the first two are ranked, the last two are references
GENERATED = [[4, EOS, 0], [5, 4, 3], [3, EOS, 0], [5, EOS, 0]]


def test_the_ranker_loss_rewards_high_ranks_of_real_and_low_ranks_of_generated_texts() -> None:
    """Cosines to the reference east: real 1, 0 among generated 0, -1; generated 0, -1, 1, -1 among real 1, 0."""
    e = math.e
    real = [e / (e + 1 + 1 / e), 1 / (1 + 1 + 1 / e)]
    generated = [each / (each + e + 1) for each in (1, 1 / e, e, 1 / e)]
    expected = -sum(map(math.log, real)) / 2 - sum(math.log(1 - each) for each in generated) / 4
    batch = batch_of(REAL)
    assert ranker_loss(parts_of(GENERATED), 1.0, batch).item() == pytest.approx(expected, rel=1e-5)
    assert batch.metrics["rank_of_real"].item() == pytest.approx(sum(real) / 2)
    assert batch.metrics["rank_of_generated"].item() == pytest.approx(sum(generated) / 4)


def test_the_cost_of_a_generated_text_is_its_own_negative_log_rank() -> None:
    """The texts differ in first word and length, and are three copies of the batch, as with rollouts."""
    e = math.e
    expected = [-math.log(each / (each + e + 1)) for each in (1, 1 / e, e, 1 / e)] * 3
    assert generator_loss(parts_of(GENERATED, copies=3), 1.0, batch_of(REAL)).tolist() == pytest.approx(expected)


def test_the_loss_is_finite_for_a_rank_of_one() -> None:
    parts, batch = parts_of([[3, EOS, 0]] * 2), batch_of([[5, EOS, 0], [3, EOS, 0]])
    loss = ranker_loss(parts, 60.0, batch)
    assert loss.item() == pytest.approx(120 - math.log(SMALLEST), rel=1e-3)
    (gradient,) = torch.autograd.grad(loss, [parts.discriminator.directions])  # type: ignore[list-item]
    assert gradient.isfinite().all()


def test_a_batch_of_one_text_is_its_own_reference() -> None:
    assert ranker_loss(parts_of([[4, EOS, 0]]), 1.0, batch_of(REAL[:1])).isfinite()


def test_the_networks_are_generator_and_ranker() -> None:
    parts = make_parts()
    algorithm = RankGAN(parts, RankGANOptions(warmup=0.2, discriminator_warmup=0.1, interleave=2))
    plan = ["".join(phase.name[0] for phase in algorithm.phases(step)) for step in range(6)]
    assert plan == ["m", "m", "r", "rg", "rgm", "rg"]
    assert algorithm.adversarial_from == 3
    assert algorithm.networks == {"generator": parts.generator, "ranker": parts.discriminator}
    assert {name.split(".")[0] for name in algorithm.state_dict()} == {"generator", "ranker"}


def test_each_phase_has_a_gradient_for_its_own_network_only() -> None:
    torch.manual_seed(0)
    ranker = FirstWord({2: [0.3, 0.3], 3: EAST, 4: NORTH, 5: WEST})
    generator = TinyGenerator()
    parts = make_parts(generator=generator, discriminator=ranker, estimator=Reinforce(ReinforceOptions()))
    ranking, writing = RankGAN(parts, RankGANOptions()).phases(0)
    own = [*generator.parameters()]
    found = torch.autograd.grad(ranking.loss(make_batch()), [ranker.directions, *own], allow_unused=True)
    assert found[0].any() and found[1:] == (None, None)
    found = torch.autograd.grad(writing.loss(make_batch()), own)
    assert all(part.any() for part in found)
