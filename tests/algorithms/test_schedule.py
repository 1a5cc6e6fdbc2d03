"""The schedule of adversarial methods: the phases of each step, and their progress."""

from typing import Any

import pytest
import torch
from torch import Tensor

from ganlm_core import sampling
from ganlm_core.algorithms.adversarial import Adversarial
from ganlm_core.algorithms.catgan import CatGAN
from ganlm_core.algorithms.options import (
    AdversarialOptions,
    CatGANOptions,
    ClippedOptions,
    ReinforceOptions,
    ScheduleOptions,
)
from ganlm_core.algorithms.policy_gradients import Clipped, Reinforce
from ganlm_core.algorithms.schedule import ScheduledAlgorithm
from ganlm_core.errors import UsageError
from ganlm_core.protocol import EOS, Batch, Cost, Generator, Sequences
from ganlm_core.sampling import shared
from tests.tiny import Fixed, TinyOneShot, batch_of, make_parts, plan


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


def test_a_round_has_the_generator_steps_of_its_estimator() -> None:
    parts = make_parts(estimator=Clipped(ClippedOptions(steps=3)))
    algorithm = Adversarial(parts, AdversarialOptions(warmup=0.8, discriminator_steps=2, interleave=2))
    assert plan(algorithm) == ["m"] * 8 + ["ddggg", "ddgggm"]


def test_annealing_starts_at_the_first_adversarial_step() -> None:
    """Six of ten steps are warm-up. The progress runs from 0 to 1 over the last four."""
    seen: list[float] = []

    class Annealed(Fixed):
        def forward(self, generator: Generator, batch: Batch, cost: Cost) -> Tensor:
            seen.append(batch.progress)
            return batch.noise.sum()

        def draw(self, generator: Generator, batch: Batch) -> Sequences:
            seen.append(batch.progress)
            return self.sequences

    parts = make_parts(estimator=Annealed(torch.tensor([[5, EOS, 0], [3, 3, 3]])), steps=10)
    algorithm = Adversarial(parts, AdversarialOptions(warmup=0.5, discriminator_warmup=0.1))
    for step in range(5, 10):
        for phase in algorithm.phases(step):
            phase(batch_of([[3, 4, EOS], [4, EOS, 0]], step=step))
    assert seen == pytest.approx([0, 0, 0, 1 / 3, 1 / 3, 2 / 3, 2 / 3, 1, 1])


def test_a_one_shot_generator_is_refused_where_the_schedule_has_maximum_likelihood() -> None:
    parts = make_parts(generator=TinyOneShot())
    rest = (
        "needs an autoregressive generator, and TinyOneShot writes all positions at once; "
        "choose another with --gen, or train it with --recipe one-shot"
    )
    with pytest.raises(UsageError) as caught:
        Adversarial(parts, AdversarialOptions(warmup=0.5))
    assert str(caught.value) == f"a maximum likelihood warm-up {rest}"
    with pytest.raises(UsageError) as caught:
        Adversarial(parts, AdversarialOptions(interleave=5))
    assert str(caught.value) == f"interleaved maximum likelihood {rest}"
    assert plan(Adversarial(parts, AdversarialOptions(warmup=0.01))) == ["dg"] * 10


@pytest.mark.parametrize(("algorithm", "options"), [(Adversarial, AdversarialOptions), (CatGAN, CatGANOptions)])
def test_an_anchor_is_kept_with_the_networks_and_adds_to_the_loss_of_the_generator(
    algorithm: type[ScheduledAlgorithm], options: type[ScheduleOptions]
) -> None:
    """Moved away from its start, the generator pays the weight times its distance, with the same samples."""

    def losses(anchor: float) -> tuple[float, Batch]:
        torch.manual_seed(1)
        found = algorithm(make_parts(), options(anchor=anchor))
        assert any(name.startswith("anchor.start.") for name in found.state_dict()) == (anchor > 0)
        batch = batch_of([[3, 4, EOS], [4, EOS, 0]], step=1)
        with torch.no_grad():
            found.generator.prior.add_(torch.arange(found.generator.prior.shape[-1]))
        return found.phases(1)[-1](batch).item(), batch

    free, batch = losses(0.0)
    assert "distance_from_start" not in batch.metrics
    held, batch = losses(3.0)
    distance = batch.metrics["distance_from_start"].item()
    assert distance > 0.01 and held == pytest.approx(free + 3 * distance, rel=1e-5)


def test_an_anchor_reads_the_samples_of_the_estimator(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def counted(*arguments: Any, **others: Any) -> sampling.Sample:
        drawn.append(arguments)
        return sampling.sample(*arguments, **others)

    monkeypatch.setattr(shared, "sample", counted)
    found = Adversarial(make_parts(estimator=Reinforce(ReinforceOptions())), AdversarialOptions(anchor=1.0))
    batch = batch_of([[3, 4, EOS], [4, EOS, 0]], step=1)
    for count in (1, 2):
        assert found.phases(1)[-1](batch).isfinite()
        assert len(drawn) == count
