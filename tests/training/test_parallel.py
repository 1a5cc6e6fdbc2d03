"""The loop on several ranks, each part on its own: the state that ranks share, and the way back within a step."""

import json
from typing import Any

import pytest
import torch

from ganlm_core.system import processes
from ganlm_core.training import parallel
from ganlm_core.training.parallel import StepState, lead, written
from ganlm_core.training.setup import Setup, prepare
from tests.conftest import WARM, tiny_config


def built(**settings: Any) -> Setup:
    return prepare(tiny_config("lstm", "conv", **{"algorithm_options": WARM} | settings))


def parameters(setup: Setup) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in setup.trainer.algorithm.parameters()]


def same(ones: list[torch.Tensor], others: list[torch.Tensor]) -> bool:
    return all(one.equal(other) for one, other in zip(ones, others, strict=True))


def ignore(step: int, metrics: dict[str, torch.Tensor]) -> None: ...


def test_a_rank_takes_over_the_state_of_rank_0() -> None:
    """The state is plain values and tensors, and a step after it is the same on both."""
    leader, follower = built(), built()
    with torch.no_grad():
        for parameter in follower.trainer.algorithm.parameters():
            parameter.add_(1)
    leader.trainer.train(0, ignore)
    packed, tensors = parallel._packed(leader, 6, 0.5)
    sent = {name: tensor.clone() for name, tensor in tensors.items()}
    assert parallel._take_over(follower, (json.loads(json.dumps(packed)), sent)) == (6, 0.5)
    assert same(parameters(leader), parameters(follower))
    assert follower.trainer.batches.drawn == leader.trainer.batches.drawn
    for setup in (leader, follower):
        torch.manual_seed(3)
        setup.trainer.train(5, ignore)
    assert same(parameters(leader), parameters(follower)), "with the state of the optimisers too"


class Channel:
    """Stands for the messages between rank 0 and another rank."""

    def __init__(self, messages: list[object]) -> None:
        self.messages = messages

    def share(self, state: object) -> object:
        if state is not None:
            self.messages.append(state)
            return state
        return self.messages.pop(0)


def test_rank_0_tells_the_others_after_each_step_whether_training_continues(monkeypatch: pytest.MonkeyPatch) -> None:
    channel, steps, setup = Channel([]), [], built()
    monkeypatch.setattr(processes, "size", lambda: 2)
    monkeypatch.setattr(processes, "broadcast", channel.share)

    def after_step(step: int, metrics: dict[str, torch.Tensor]) -> None:
        steps.append(step)
        if step == 2:
            raise KeyboardInterrupt

    tell = lead(setup, 0, 1.0, after_step)
    tell(1, {})
    with pytest.raises(KeyboardInterrupt):
        tell(2, {})
    (_, *told) = channel.messages
    assert (steps, told) == ([1, 2], [True, False])


def test_another_rank_answers_until_rank_0_continues(monkeypatch: pytest.MonkeyPatch) -> None:
    """It makes two steps, in each of which a phase draws a batch for maximum likelihood."""
    setup, asked = built(), []
    packed = parallel._packed(setup, 0, 1.0)
    channel = Channel(["draw", "score", True, "draw", False])
    monkeypatch.setattr(processes, "broadcast", channel.share)
    monkeypatch.setattr(parallel, "_answer", lambda setup, request: asked.append(request))
    parallel._train_along(setup, packed)
    assert (asked, channel.messages, setup.trainer.batches.drawn) == (["draw", "score", "draw"], [], 2)


def test_each_rank_but_the_first_draws_its_own_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    setup, drawn = built(), []
    for rank, step in ((1, 7), (2, 7), (1, 7), (1, 8)):
        monkeypatch.setattr(processes, "rank", lambda rank=rank: rank)
        parallel._seed_rank(setup, step)
        drawn.append(torch.rand(4))
    assert drawn[0].equal(drawn[2])
    assert not any(drawn[a].equal(drawn[b]) for a, b in ((0, 1), (0, 3), (1, 3)))


def test_one_process_leads_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "broadcast", lambda state: pytest.fail("there is no other process"))
    setup = built()
    assert lead(setup, 0, 1.0, ignore) is ignore
    texts = written(setup, setup.generator, 20).texts
    assert texts == setup.judge.written(setup.generator, 20).texts


def test_a_run_goes_back_within_the_first_phase_of_a_step() -> None:
    setup = built()
    mark = StepState.of(setup)
    setup.trainer.batches.next(0, 6)
    torch.rand(3)
    assert mark.go_back(setup)
    assert setup.trainer.batches.drawn == 0
    state = torch.get_rng_state()
    assert mark.go_back(setup) and torch.get_rng_state().equal(state)


@pytest.mark.parametrize("change", ["a second batch", "a parameter", "a part of an optimiser"])
def test_a_run_does_not_go_back_from_a_later_phase_or_without_all_of_its_state(
    monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    setup = built()
    mark = StepState.of(setup)
    setup.trainer.batches.next(0, 6)
    if change == "a part of an optimiser":
        monkeypatch.setattr(parallel, "is_sharded", lambda config: True)
    elif change == "a second batch":
        setup.trainer.batches.next(0, 6)
    else:
        with torch.no_grad():
            next(setup.trainer.algorithm.parameters()).add_(1)
    assert not mark.go_back(setup)
    assert setup.trainer.batches.drawn > 0


def test_a_rank_that_helps_keeps_the_weights_that_it_trains() -> None:
    """Rank 0 may ask about other weights than those in training: with --keep best, about the best so far."""
    setup, other = built(), built(seed=7)
    before, seen = parameters(setup), []
    weights = other.generator.state_dict()
    parallel._help(setup, lambda judge, generator, n: seen.append((generator.state_dict(), n)), weights, 3)
    [(found, n)] = seen
    assert n == 3 and all(found[name].equal(tensor) for name, tensor in weights.items())
    assert same(parameters(setup), before)
