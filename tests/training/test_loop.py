"""The loop: one step, the order of events, and everything that stops it."""

import copy
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganlm_core.algorithms.adversarial import Adversarial, discriminator_loss, generator_loss
from ganlm_core.algorithms.options import AdversarialOptions
from ganlm_core.config.options import OPTIMIZERS
from ganlm_core.config.run_config import Choice
from ganlm_core.data.batches import Batches
from ganlm_core.errors import NonFinite, OutOfMemory
from ganlm_core.protocol import Algorithm, Batch, Phase
from ganlm_core.system import processes
from ganlm_core.training import loop
from ganlm_core.training.loop import Average, Losses, Metrics, Trainer
from ganlm_core.training.optimizers import ScheduledOptimizer, build_optimizer
from tests.tiny import SHAPE, TinyGenerator, every_sequence, make_parts

CPU = torch.device("cpu")
TOKENS, _ = every_sequence()


def make_batches(size: int = 8, seed: int = 0, rows: int = len(TOKENS), **more: Any) -> Batches:
    return Batches(TOKENS[:rows], size, seed, SHAPE.noise, CPU, **more)


def optimizer(network: nn.Module, name: str = "sgd", **options: Any) -> ScheduledOptimizer:
    options = {"lr": 0.1, "momentum": 0.0} | options if name == "sgd" else options
    return build_optimizer(Choice(name, OPTIMIZERS[name](**options)), network.parameters(), last=3)


class Point(nn.Module):
    """One parameter, and a cost for it: the square of its distance from one."""

    def __init__(self, at: float = 0.0) -> None:
        super().__init__()
        self.at = nn.Parameter(torch.tensor([at]))

    def cost(self, batch: Batch) -> Tensor:
        return (self.at - 1).square().sum()


class Scripted(Algorithm):
    """Two points, and for each step the networks whose phases it has; the loss is the point's cost, or a test's own."""

    def __init__(self, *script: Sequence[str], loss: Callable[[Batch], Tensor] | None = None) -> None:
        super().__init__()
        self.generator, self.discriminator = Point(), Point()
        self.script = script or (["generator"],)
        self.loss = loss
        self.batches: list[Batch] = []

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"generator": self.generator, "discriminator": self.discriminator}

    def phases(self, step: int) -> Sequence[Phase]:
        names = self.script[min(step, len(self.script) - 1)]
        return [Phase(f"move-{name}", name, partial(self._cost, name)) for name in names]

    def _cost(self, name: str, batch: Batch) -> Tensor:
        self.batches.append(batch)
        return (self.loss or self.networks[name].cost)(batch)  # type: ignore[operator]


def run(algorithm: Algorithm, steps: int = 1, **more: Any) -> list[tuple[int, Metrics]]:
    """Train with plain gradient descent unless the test has something else, and give what ``after_step`` was told."""
    told: list[tuple[int, Metrics]] = []
    arguments: dict[str, Any] = {
        "optimizers": {name: optimizer(network) for name, network in algorithm.networks.items()},
        "batches": make_batches(),
    }
    start = more.pop("start", 0)
    after_step = more.pop("after_step", lambda step, metrics: told.append((step, metrics)))
    Trainer(algorithm, steps=steps, **arguments | more).train(start, after_step)
    return told


def test_a_step_is_what_the_same_lines_of_torch_do() -> None:
    """Bit for bit: both phases, each with a batch and noise of its own, its own Adam, and clipping."""
    torch.manual_seed(0)
    parts = make_parts()
    same, initial = copy.deepcopy(parts), copy.deepcopy(parts)
    nets: dict[str, nn.Module] = {"generator": parts.generator, "discriminator": parts.discriminator}
    torch.manual_seed(1)
    optimizers = {name: optimizer(net, "adam", lr=0.01) for name, net in nets.items()}
    run(Adversarial(parts, AdversarialOptions()), 2, optimizers=optimizers, clip=0.1)

    torch.manual_seed(1)
    batches = make_batches()
    adams: dict[nn.Module, torch.optim.Optimizer] = {
        net: torch.optim.Adam(net.parameters(), lr=0.01, fused=True) for net in (same.discriminator, same.generator)
    }
    for step in range(2):
        for net, loss in ((same.discriminator, discriminator_loss), (same.generator, generator_loss)):
            adams[net].zero_grad()
            loss(same, batches.next(step, 2)).backward()
            nn.utils.clip_grad_norm_(net.parameters(), 0.1)
            adams[net].step()

    for name, network in nets.items():
        for trained, by_hand in zip(network.parameters(), getattr(same, name).parameters(), strict=True):
            assert trained.equal(by_hand)
        for trained, untrained in zip(network.parameters(), getattr(initial, name).parameters(), strict=True):
            assert not trained.equal(untrained)


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_a_phase_moves_only_its_network_and_leaves_no_gradient_elsewhere(network: str) -> None:
    torch.manual_seed(0)
    parts = make_parts()
    adversarial = Adversarial(parts, AdversarialOptions())
    other = "discriminator" if network == "generator" else "generator"
    (phase,) = [phase for phase in adversarial.phases(0) if phase.network == network]
    before = copy.deepcopy(adversarial.state_dict())
    adversarial.phases = lambda step: [phase]  # type: ignore[method-assign]
    run(adversarial)
    changed = {name.split(".")[0] for name, value in adversarial.state_dict().items() if not value.equal(before[name])}
    assert changed == {network}
    assert all(parameter.grad is None for parameter in adversarial.networks[other].parameters())


def test_phases_run_in_their_order_each_on_a_fresh_batch() -> None:
    script = Scripted(["generator"], ["discriminator", "discriminator", "generator"])
    batches = make_batches()
    told = run(script, 2, batches=batches)
    assert [(batch.step, sorted(batch.metrics)[0]) for batch in script.batches] == [
        (0, "move-generator_gradient_norm"),
        (1, "move-discriminator_gradient_norm"),
        (1, "move-discriminator_gradient_norm"),
        (1, "move-generator_gradient_norm"),
    ]
    assert batches.drawn == 4
    assert len({batch.tokens.numpy().tobytes() for batch in script.batches}) == 4
    assert len({batch.noise.numpy().tobytes() for batch in script.batches}) == 4
    assert sorted(told[1][1]) == [
        "move-discriminator_gradient_norm",
        "move-discriminator_loss",
        "move-generator_gradient_norm",
        "move-generator_loss",
    ]


def test_after_step_is_told_the_steps_done_and_progress_runs_from_zero_to_one() -> None:
    script = Scripted()
    assert [step for step, _ in run(script, 5)] == [1, 2, 3, 4, 5]
    assert [batch.progress for batch in script.batches] == [0, 0.25, 0.5, 0.75, 1]
    resumed = Scripted()
    assert [step for step, _ in run(resumed, 5, start=3)] == [4, 5]
    assert [batch.progress for batch in resumed.batches] == [0.75, 1]
    assert run(Scripted(), 5, start=5) == []


def test_steps_beyond_the_plan_keep_the_last_rate_and_the_last_progress() -> None:
    script = Scripted(loss=lambda batch: script.generator.at.sum())
    networks = script.networks
    optimizers = {name: optimizer(each, lr=0.4, schedule="linear") for name, each in networks.items()}
    trainer = Trainer(script, optimizers, make_batches(), steps=4)
    positions = [0.0]

    def after_step(step: int, metrics: Metrics) -> None:
        positions.append(script.generator.at.item())

    trainer.train(0, after_step, until=6)
    moved = [before - after for before, after in pairwise(positions)]
    assert moved == pytest.approx([0.4, 0.3, 0.2, 0.1, 0.1, 0.1])
    assert [batch.progress for batch in script.batches] == pytest.approx([0, 1 / 3, 2 / 3, 1, 1, 1])


def test_a_run_of_one_step_has_just_begun() -> None:
    script = Scripted()
    run(script, 1)
    assert script.batches[0].progress == 0


def test_an_exception_in_after_step_ends_the_run() -> None:
    def stop(step: int, metrics: Metrics) -> None:
        raise KeyboardInterrupt

    script = Scripted()
    with pytest.raises(KeyboardInterrupt):
        run(script, 5, after_step=stop)
    assert len(script.batches) == 1


def test_the_loss_and_the_norm_of_its_gradient_are_logged_before_clipping() -> None:
    script = Scripted()
    ((_, metrics),) = run(script, clip=0.5)
    # From 0, (x - 1)^2 costs 1 and has slope -2; clipped to 0.5, a rate of 0.1 moves x by 0.05.
    assert metrics["move-generator_loss"].item() == 1
    assert metrics["move-generator_gradient_norm"].item() == 2
    assert script.generator.at.item() == pytest.approx(0.05, abs=1e-5)


@pytest.mark.parametrize(("clip", "moved"), [(0.0, 0.2), (100.0, 0.2), (1.0, 0.1)])
def test_gradients_are_clipped_to_a_norm_and_zero_is_none(clip: float, moved: float) -> None:
    script = Scripted()
    run(script, clip=clip)
    assert script.generator.at.item() == pytest.approx(moved, abs=1e-6)


def test_each_step_has_the_rate_of_its_schedule() -> None:
    script = Scripted(loss=lambda batch: script.generator.at.sum())
    scheduled = optimizer(script.generator, lr=0.4, schedule="linear")
    positions = [0.0]
    run(
        script,
        4,
        optimizers={"generator": scheduled},
        after_step=lambda *_: positions.append(script.generator.at.item()),
    )
    moves = [before - after for before, after in pairwise(positions)]
    assert moves == pytest.approx([0.4, 0.3, 0.2, 0.1])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_goes_through_the_loop(name: str) -> None:
    script = Scripted()
    run(script, 30, optimizers={"generator": optimizer(script.generator, name)})
    assert 0.0005 < script.generator.at.item() < 1.5


def test_lbfgs_asks_for_the_same_batch_several_times_in_a_step() -> None:
    script = Scripted()
    script.loss = lambda batch: (script.generator.at - 1).pow(4).sum()
    batches = make_batches()
    run(script, optimizers={"generator": optimizer(script.generator, "lbfgs", lr=0.5, max_iter=3)}, batches=batches)
    assert len(script.batches) == 3
    assert len({id(batch) for batch in script.batches}) == batches.drawn == 1


NOT_FINITE: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "NaN": (lambda cost: cost * float("nan"), "nan and its gradient's norm nan"),
    "infinite": (lambda cost: cost * float("inf"), "inf and its gradient's norm inf"),
    "infinite and negative": (lambda cost: cost * float("-inf"), "-inf and its gradient's norm inf"),
    "NaN, its gradient finite": (lambda cost: cost * 0 + float("nan"), "nan and its gradient's norm 0.0"),
    "finite, its gradient infinite": (lambda cost: (cost * 0).sqrt(), "0.0 and its gradient's norm nan"),
}


@pytest.mark.parametrize("name", NOT_FINITE)
def test_a_loss_that_is_not_finite_stops_before_the_parameters_change(name: str) -> None:
    spoil, found = NOT_FINITE[name]
    script = Scripted()
    script.loss = lambda batch: spoil(script.generator.cost(batch)) if batch.step == 2 else script.generator.cost(batch)
    positions: list[float] = []
    with pytest.raises(NonFinite) as caught:
        run(script, 5, clip=1.0, after_step=lambda *_: positions.append(script.generator.at.item()))
    assert str(caught.value) == (
        f"step 3: the loss of phase move-generator is {found}; "
        "lower the learning rate of the generator or its --clip, or add a penalty"
    )
    assert len(positions) == 2
    assert script.generator.at.item() == positions[-1]


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU, as if to look at a value were to wait for it."""
    monkeypatch.setattr(loop, "asynchronous", lambda device: True)


@pytest.mark.usefixtures("waiting")
@pytest.mark.parametrize("name", NOT_FINITE)
def test_on_an_asynchronous_device_the_first_bad_loss_is_found_when_losses_are_read(name: str) -> None:
    spoil, found = NOT_FINITE[name]
    script = Scripted(["generator"], ["generator", "discriminator"])
    script.loss = lambda batch: spoil(script.generator.cost(batch)) if batch.step == 2 else script.generator.cost(batch)
    script.discriminator = script.generator  # type: ignore[assignment]
    losses = Losses()
    run(script, 2, losses=losses)
    losses.check()
    assert len(run(script, 5, start=2, losses=losses)) == 3
    with pytest.raises(NonFinite) as caught:
        losses.check()
    assert str(caught.value) == (
        f"step 3: the loss of phase move-generator is {found}; "
        "lower the learning rate of the generator or its --clip, or add a penalty"
    )
    losses.check()  # and told once


@pytest.mark.usefixtures("waiting")
def test_processes_that_follow_leave_looking_to_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "rank", lambda: 1)
    losses = Losses()
    run(Scripted(loss=lambda batch: torch.full((), torch.nan, requires_grad=True)), 3, losses=losses)
    losses.check()


def test_a_device_without_memory_says_what_to_lower() -> None:
    def explode(batch: Batch) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    script = Scripted(loss=explode)
    with pytest.raises(OutOfMemory) as caught:
        run(script)
    assert str(caught.value) == (
        "step 1, phase move-generator: cpu has no memory left for batches of 8 sequences; lower --batch-size"
    )
    assert isinstance(caught.value.__cause__, torch.OutOfMemoryError)
    assert script.generator.at.item() == 0


def test_the_cpu_has_no_memory_left_either() -> None:
    script = Scripted(loss=lambda batch: torch.empty(2**45))
    with pytest.raises(OutOfMemory, match=r"cpu has no memory left for batches of 8 sequences; lower --batch-size"):
        run(script)


def test_losses_and_nothing_else_are_computed_in_the_arithmetic_of_the_run() -> None:
    events: list[str] = []

    class Arithmetic(nullcontext[None]):
        def __enter__(self) -> None:
            events.append("in")

        def __exit__(self, *details: Any) -> None:
            events.append("out")

    script = Scripted()
    script.loss = lambda batch: events.append("loss") or script.generator.cost(batch)  # type: ignore[func-returns-value]
    run(script, 2, arithmetic=Arithmetic(), after_step=lambda *_: events.append("after"))
    assert events == ["in", "loss", "out", "after"] * 2


def test_a_moving_average_starts_at_the_first_step_and_follows() -> None:
    script = Scripted(["generator"], ["generator"], ["discriminator"], ["generator"])
    average = Average.of(script.generator, decay=0.75)  # type: ignore[arg-type]
    seen = []

    def after(step: int, metrics: Metrics) -> None:
        seen.append((script.generator.at.item(), average.generator.at.item()))  # type: ignore[operator]

    run(script, 4, average=average, after_step=after)
    # Each step of the generator goes a fifth of the way to one; steps of the discriminator move neither.
    assert [point for point, _ in seen] == pytest.approx([0.2, 0.36, 0.36, 0.488])
    second = 0.75 * 0.2 + 0.25 * 0.36
    assert [mean for _, mean in seen] == pytest.approx([0.2, second, second, 0.75 * second + 0.25 * 0.488])


def test_a_moving_average_takes_one_step_however_many_phases_there_are() -> None:
    script = Scripted(["generator"], ["generator", "discriminator", "generator"])
    average = Average.of(script.generator, decay=0.75)  # type: ignore[arg-type]
    run(script, 2, average=average)
    assert average.generator.at.item() == pytest.approx(0.75 * 0.2 + 0.25 * 0.488)  # type: ignore[operator]


class Pair(Algorithm):
    """A generator of two points, whose phases move one of them while the cost is that of both."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = nn.ModuleList([Point(0.1), Point(0.2)])

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"generator": self.generator}

    def phases(self, step: int) -> Sequence[Phase]:
        return [Phase("move", "generator", self._cost, part=self.generator[step % 2])]

    def _cost(self, batch: Batch) -> Tensor:
        return torch.stack([point.cost(batch) for point in self.generator]).sum()  # type: ignore[operator]


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "lbfgs"])
def test_a_phase_moves_its_part_alone(name: str) -> None:
    """Whatever the optimiser remembers of the other part, momentum and weight decay included."""
    pair = Pair()

    def positions() -> list[float]:
        return [point.at.item() for point in pair.generator]  # type: ignore[misc]

    seen = [positions()]
    moving = optimizer(pair.generator, name, weight_decay=0.1)
    run(pair, 4, optimizers={"generator": moving}, after_step=lambda *_: seen.append(positions()))
    moved = [[before != after for before, after in zip(*steps, strict=True)] for steps in pairwise(seen)]
    assert moved == [[True, False], [False, True]] * 2


def test_a_moving_average_is_what_torch_makes_of_it() -> None:
    torch.manual_seed(0)
    generator = TinyGenerator()
    average, torchs = (Average.of(generator, decay=0.9) for _ in range(2))
    for _ in range(3):
        for tensor in generator.state_dict().values():
            tensor.normal_()
        average.update(generator)
        torchs.model.update_parameters(generator)
    found, expected = average.model.state_dict(), torchs.model.state_dict()
    assert found.keys() == expected.keys() and all(found[name].equal(expected[name]) for name in found)


def test_a_moving_average_is_a_copy_with_the_buffers() -> None:
    generator = TinyGenerator()
    generator.prior.fill_(2.0)
    average = Average.of(generator, decay=0.9)
    assert average.generator is not generator
    average.update(generator)
    assert average.generator.prior.equal(generator.prior)
