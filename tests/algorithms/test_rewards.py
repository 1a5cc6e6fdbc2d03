"""Rewards of texts: their mixture with the discriminator's cost, their checks, and their memory."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from ganlm_core.algorithms import rewards
from ganlm_core.algorithms.importance import Importance
from ganlm_core.algorithms.options import (
    ImportanceOptions,
    ReinforceOptions,
    RolloutOptions,
    StraightThroughOptions,
)
from ganlm_core.algorithms.policy_gradients import Reinforce, Rollout
from ganlm_core.algorithms.relaxations import StraightThrough
from ganlm_core.algorithms.rewards import CheckedReward, Rewards, problem_with_rewards
from ganlm_core.errors import PluginError, UsageError
from ganlm_core.protocol import Batch, Reward, mask_of
from tests.tiny import (
    NOISE,
    TinyDiscriminator,
    TinyGenerator,
    every_sequence,
    gradient,
    likelihoods,
    log_probabilities,
    make,
    make_batch,
    z_scores,
)


class Told(Reward):
    """Gives what a function of the text returns, and counts the texts that it is asked for."""

    unbounded = True

    def __init__(self, value: Any) -> None:
        self.value, self.asked = value, 0

    def __call__(self, texts: list[str], columns: Mapping[str, Sequence[str]]) -> list[float]:
        self.asked += len(texts)
        return [self.value(text) for text in texts]


class Gives(Reward):
    """Gives the same whatever it is asked for."""

    def __init__(self, found: Any) -> None:
        self.found = found

    def __call__(self, texts: list[str], columns: Mapping[str, Sequence[str]]) -> list[float]:
        if isinstance(self.found, BaseException):
            raise self.found
        return self.found


def decode(ids: Tensor) -> list[str]:
    """Return ids as text: the ids up to and including ``<eos>``."""
    return [" ".join(map(str, row[ok].tolist())) for row, ok in zip(ids, mask_of(ids), strict=True)]


def ending(text: str) -> float:
    """Pay for texts that end early."""
    return 1 / len(text.split())


def mixture(share: float, *pairs: tuple[Any, float]) -> Rewards:
    checked = [CheckedReward(f"r{i}", f"reward 'r{i}' of x", Told(f), weight) for i, (f, weight) in enumerate(pairs)]
    return Rewards(checked, share, decode)


def cost(sequence: Tensor, mask: Tensor) -> Tensor:
    return (sequence == 4).float().sum(dim=1)


IDS = torch.tensor([[4, 2, 0], [4, 4, 4]])


def test_the_cost_is_the_mixture_of_the_discriminators_and_the_mean_reward() -> None:
    batch = Batch(IDS, mask_of(IDS), torch.zeros(2, 2))
    mixed = mixture(0.25, (ending, 3.0), (lambda text: 1.0, 1.0))(cost, batch)
    paid = torch.tensor([0.75 / 2 + 0.25, 0.75 / 3 + 0.25])
    assert torch.allclose(mixed(IDS, mask_of(IDS)), 0.75 * torch.tensor([1.0, 3.0]) - 0.25 * paid)
    logged = {name: value.item() for name, value in batch.metrics.items()}
    assert logged == pytest.approx({"reward.r0": (1 / 2 + 1 / 3) / 2, "reward.r1": 1.0, "discriminator_reward": -2.0})


def test_a_cost_per_position_gets_the_reward_at_each_position() -> None:
    mask = mask_of(IDS)
    batch = Batch(IDS, mask, torch.zeros(2, 2))
    own = torch.tensor([[1.0, 1.0, 0.0], [2.0, 2.0, 2.0]])
    found = mixture(0.5, (ending, 1.0))(lambda sequence, mask: own, batch)(IDS, mask)
    assert torch.allclose(found[0], torch.tensor([0.5 - 0.25, 0.5 - 0.25, -0.25]))
    assert batch.metrics["discriminator_reward"].item() == -1.5  # the mean over sequences, not over words


def test_with_the_whole_weight_the_discriminator_is_not_asked() -> None:
    def never(sequence: Tensor, mask: Tensor) -> Tensor:
        raise AssertionError

    batch = Batch(IDS, mask_of(IDS), torch.zeros(2, 2))
    found = mixture(1.0, (ending, 1.0))(never, batch)(IDS, mask_of(IDS))
    assert torch.allclose(found, torch.tensor([-1 / 2, -1 / 3]))
    assert batch.metrics.keys() == {"reward.r0"}


def test_rollouts_do_not_change_the_logged_means() -> None:
    batch = Batch(IDS, mask_of(IDS), torch.zeros(2, 2))
    mixed = mixture(0.5, (ending, 1.0))(cost, batch)
    mixed(IDS, mask_of(IDS))
    before = {name: value.item() for name, value in batch.metrics.items()}
    mixed(IDS[:1].repeat(4, 1), mask_of(IDS[:1].repeat(4, 1)))
    assert {name: value.item() for name, value in batch.metrics.items()} == before


def test_relaxed_words_are_refused() -> None:
    batch = make_batch()
    estimator = StraightThrough(StraightThroughOptions())
    with pytest.raises(UsageError, match="a reward reads texts, and this estimator gives relaxed words"):
        estimator(make(TinyGenerator), batch, mixture(0.5, (ending, 1.0))(cost, batch))


@pytest.mark.parametrize("baseline", ["none", "leave-one-out"])
def test_the_score_function_has_the_gradient_of_the_mixed_reward(baseline: str) -> None:
    """The gradient is enumerated over every sequence."""
    generator, discriminator, rows = make(TinyGenerator), TinyDiscriminator(), 64
    tokens, mask = every_sequence()
    noise = NOISE.expand(len(tokens), -1)

    def judged(sequence: Tensor, mask: Tensor) -> Tensor:
        return -discriminator(sequence, mask).sigmoid()

    paid = torch.tensor([ending(text) for text in decode(tokens)])
    reward = 0.3 * discriminator(tokens, mask).sigmoid().detach() + 0.7 * paid
    p = likelihoods(log_probabilities(generator(noise, tokens)), tokens, mask)
    exact = gradient(-(p * reward).sum(), generator)
    estimators = [
        Reinforce(ReinforceOptions(baseline=baseline)),
        Rollout(RolloutOptions(baseline=baseline, samples=2)),
    ]
    for estimator in estimators:
        torch.manual_seed(1)
        found = []
        for _ in range(300):
            batch = Batch(tokens[:1].repeat(rows, 1), mask[:1].repeat(rows, 1), NOISE.repeat(rows, 1))
            mixed = mixture(0.7, (ending, 1.0))(judged, batch)
            found.append(gradient(estimator(generator, batch, mixed), generator))
        assert z_scores(torch.stack(found), exact).abs().max() < 5


def test_importance_weights_pay_too() -> None:
    batch = make_batch()
    value = Importance(ImportanceOptions())(make(TinyGenerator), batch, mixture(1.0, (ending, 1.0))(cost, batch))
    assert value.isfinite() and 0 < batch.metrics["reward.r0"].item() <= 1


def test_the_reward_of_a_text_is_computed_once() -> None:
    told = Told(ending)
    checked = CheckedReward("told", "told", told)
    assert checked(["a b", "c", "a b"]) == [0.5, 1.0, 0.5]
    assert checked(["c", "d"]) == [1.0, 1.0]
    assert told.asked == 3


def test_columns_belong_to_the_row() -> None:
    class Equal(Reward):
        def __call__(self, texts: list[str], columns: Mapping[str, Sequence[str]]) -> list[float]:
            return [float(text == wanted) for text, wanted in zip(texts, columns["wanted"], strict=True)]

    checked = CheckedReward("equal", "equal", Equal())
    assert checked(["a", "a", "b"], {"wanted": ["a", "b", "b"]}) == [1.0, 0.0, 1.0]


def test_the_columns_of_a_batch_reach_every_row_of_its_sequences() -> None:
    batch = Batch(IDS, mask_of(IDS), torch.zeros(2, 2), columns={"wanted": ["x", "y"]})
    assert rewards.columns_of(batch, 4) == {"wanted": ["x", "y", "x", "y"]}


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewards, "REMEMBERED", 2)
    told = Told(len)
    checked = CheckedReward("told", "told", told)
    assert checked(["a", "bb", "ccc", "dddd"]) == [1.0, 2.0, 3.0, 4.0]
    assert told.asked == 4
    checked(["dddd", "ccc"])
    assert told.asked == 4
    checked(["a"])
    assert told.asked == 5


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        ([0.5, float("nan")], "gives nan for 'b'; return finite numbers"),
        ([float("-inf"), 0.5], "gives -inf for 'a'; return finite numbers"),
        ([0.5], "gives 1 numbers for 2 texts; return one for each"),
        (["0.5", 0.5], "gives a value of type str for 'a'; return numbers"),
        ([0.5, None], "gives a value of type NoneType for 'b'; return numbers"),
        ([0.5, 1.5], "gives 1.5 for 'b'; return 0 to 1, or set unbounded = True in its class"),
        (None, "gives None; return a list with a number for each text"),
        (0.5, "gives 0.5; return a list with a number for each text"),
        ("ab", "gives 'ab'; return a list with a number for each text"),
    ],
)
def test_wrong_numbers_are_refused_with_the_name_of_the_reward(found: Any, problem: str) -> None:
    with pytest.raises(PluginError) as caught:
        CheckedReward("x", "reward 'x' of y", Gives(found))(["a", "b"])
    assert str(caught.value) == f"reward 'x' of y {problem}"


@pytest.mark.parametrize(
    ("error", "told"), [(ValueError("no\nluck"), "ValueError: no luck"), (SystemExit(3), "SystemExit: 3")]
)
def test_an_exception_names_the_reward(error: BaseException, told: str) -> None:
    with pytest.raises(PluginError) as caught:
        CheckedReward("x", "reward 'x' of y", Gives(error))(["a"])
    assert str(caught.value) == f"reward 'x' of y failed: {told}; --debug shows where"


def test_an_error_that_a_reward_words_itself_stays() -> None:
    with pytest.raises(UsageError, match=r"^no luck$"):
        CheckedReward("x", "reward 'x' of y", Gives(UsageError("no luck")))(["a"])


def test_truth_values_and_numpy_numbers_are_numbers() -> None:
    import numpy as np

    assert problem_with_rewards([True, np.float32(0.5)], ["a", "b"], unbounded=False) == ""
    assert problem_with_rewards([5.0, -5.0], ["a", "b"], unbounded=True) == ""
