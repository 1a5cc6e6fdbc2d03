"""Checks of built components: a problem is told in words before a run begins."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from torch import Tensor, nn

from ganlm_core.algorithms.adversarial import Adversarial
from ganlm_core.algorithms.losses import Hinge
from ganlm_core.algorithms.options import AdversarialOptions
from ganlm_core.components import NoOptions
from ganlm_core.data.corpus import Corpus
from ganlm_core.protocol import Loss
from ganlm_core.testing import references
from ganlm_core.training.checks import (
    CHECKED,
    problem_with_algorithm,
    problem_with_corpus,
    problem_with_kind,
    problem_with_loss,
)

STEPS = 8
PARTS = references.parts(*next(iter(references.pairs())), STEPS)
"""An algorithm that has these goes adversarial at the eighth step."""


class Given(Adversarial):
    """An algorithm of which some things are what a test gives."""

    def __init__(self, networks: Any = None, phases: Callable[[int, Any], Any] = lambda step, own: own) -> None:
        super().__init__(PARTS, AdversarialOptions())
        self.change, self.changed = networks or (lambda own: own), phases

    @property
    def networks(self) -> Any:
        return self.change(super().networks)

    def phases(self, step: int) -> Any:
        return self.changed(step, super().phases(step))


class Frozen(Given):
    frozen = ("generator",)


def test_a_phase_of_a_frozen_network_is_refused() -> None:
    assert problem_with_algorithm(Frozen(), STEPS) == (
        "has a phase of 'generator', which is among its frozen networks; take it out of one of them"
    )
    alone = Frozen(phases=lambda step, own: [phase for phase in own if phase.network == "discriminator"])
    assert problem_with_algorithm(alone, STEPS) == ""


def test_an_algorithm_that_keeps_the_contract_has_no_problem() -> None:
    assert problem_with_algorithm(Given(), STEPS) == ""


NETWORKS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "nothing": (lambda own: None, "gave None as its networks; return a dict of modules by name"),
    "a list": (
        lambda own: list(own.values()),
        "gave a value of type list as its networks; return a dict of modules by name",
    ),
    "no generator": (
        lambda own: {"writer": own["generator"]},
        "has no 'generator' among its networks; name it so",
    ),
    "a generator that is none": (
        lambda own: {"generator": nn.Linear(1, 1)},
        "gave a value of type Linear as its network 'generator'; give a ganlm_core.protocol.Generator",
    ),
    "a discriminator that is none": (
        lambda own: own | {"discriminator": own["generator"]},
        f"gave a value of type {type(PARTS.generator).__name__} as its network 'discriminator'; "
        "give a ganlm_core.protocol.Discriminator",
    ),
    "no module": (
        lambda own: own | {"judge": min},
        "gave a value of type builtin_function_or_method as its network 'judge'; give a torch.nn.Module",
    ),
}


@pytest.mark.parametrize(("networks", "problem"), NETWORKS.values(), ids=NETWORKS)
def test_networks(networks: Callable[[Any], Any], problem: str) -> None:
    assert problem_with_algorithm(Given(networks), STEPS) == problem


PHASES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "nothing": (lambda own: None, "gave None as the phases of step {}; return a list of Phase"),
    "an iterator, which the loop cannot go through twice": (
        iter,
        "gave a value of type list_iterator as the phases of step {}; return a list of Phase",
    ),
    "names": (
        lambda own: [phase.name for phase in own],
        "gave a value of type str among the phases of step {}; return a list of Phase",
    ),
    "a network that there is not": (
        lambda own: [replace(phase, network="writer") for phase in own],
        "has a phase of 'writer'; name one of its networks: generator, discriminator",
    ),
    "no function": (
        lambda own: [replace(phase, name="mine", loss=None) for phase in own],
        "gave None as the loss of phase 'mine'; give a function of a batch",
    ),
}


@pytest.mark.parametrize("when", [0, 6, 7], ids=["first", "adversarial", "last"])
@pytest.mark.parametrize(("phases", "problem"), PHASES.values(), ids=PHASES)
def test_phases_are_checked_where_training_changes(phases: Callable[[Any], Any], problem: str, when: int) -> None:
    algorithm = Given(phases=lambda step, own: phases(own) if step == when else own)
    algorithm.adversarial_from = 6
    assert problem_with_algorithm(algorithm, STEPS) == problem.format(when)


def test_an_algorithm_without_any_phase_trains_nothing() -> None:
    assert problem_with_algorithm(Given(phases=lambda step, own: []), STEPS) == (
        "has no phases in steps 0, 7, so nothing is trained; return at least one Phase"
    )
    assert problem_with_algorithm(Given(phases=lambda step, own: own if step else []), STEPS) == ""


def test_an_adversarial_start_that_is_no_step() -> None:
    algorithm = Given()
    algorithm.adversarial_from = None  # type: ignore[assignment]
    assert problem_with_algorithm(algorithm, STEPS) == "gave None as adversarial_from; give the number of a step"
    algorithm.adversarial_from = 10**9
    assert problem_with_algorithm(algorithm, STEPS) == ""


def test_kinds() -> None:
    assert problem_with_kind(Hinge(NoOptions()), Loss) == ""
    assert problem_with_kind("hinge", Loss) == (
        "gave a value of type str, and must be a ganlm_core.protocol.Loss; derive it from that"
    )


def same(found: Any) -> Any:
    return found


class Odd(Hinge):
    """A loss whose costs are what a test makes of right ones."""

    def __init__(self, discriminator: Callable[[Any], Any], generator: Callable[[Any], Any]) -> None:
        self.change, self.changed = discriminator, generator

    def discriminator(self, real: Tensor, generated: Tensor) -> Any:
        return self.change(super().discriminator(real, generated))

    def generator(self, generated: Tensor, real: Tensor) -> Any:
        return self.changed(super().generator(generated, real))


GAVE = "gave a value of type"
MEAN = "gave costs {} for logits (4,) from {}(); return a cost for each logit, not their mean"


@pytest.mark.parametrize(
    ("discriminator", "generator", "problem"),
    [
        (same, same, ""),
        (
            sum,
            same,
            "gave a value of type Tensor from discriminator(); return two costs, of real and of generated logits",
        ),
        (
            lambda pair: (pair[0], 1.0),
            same,
            "gave a value of type float as a cost from discriminator(); return a tensor",
        ),
        (lambda pair: (pair[0].mean(), pair[1]), same, MEAN.format("()", "discriminator")),
        (same, lambda cost: cost[:3], MEAN.format("(3,)", "generator")),
        (
            same,
            lambda cost: cost.round().long(),
            "gave costs of type torch.int64 for logits of type torch.float32 from generator(); keep their type",
        ),
        (
            same,
            lambda cost: cost.detach(),
            "gave costs without a gradient from generator(); compute them from the logits, and detach nothing",
        ),
        (
            same,
            lambda cost: 0 * cost / 0,
            "gave the costs [nan, nan, nan, nan] from generator() for logits from -3 to 3; return finite costs",
        ),
    ],
)
def test_costs_of_a_loss(discriminator: Callable[[Any], Any], generator: Callable[[Any], Any], problem: str) -> None:
    assert problem_with_loss(Odd(discriminator, generator)) == problem


@pytest.mark.parametrize(
    ("train", "problem"),
    [
        (["a b", "c"], ""),
        ("a b", "gave a value of type str as its train split; give a list of sentences"),
        (iter(["a b"]), "gave a value of type list_iterator as its train split; give a list of sentences"),
        (["a", None], "gave None in its train split; give sentences as text"),
        (["a", "b\nc"], "has a sentence in its train split that is not one line of text, 'b\\nc'; clean it"),
    ],
)
def test_the_splits_of_a_corpus_are_lists_of_lines(train: Any, problem: str) -> None:
    assert problem_with_corpus(Corpus("", train, ["a"], ["a"])) == problem


def test_a_large_corpus_is_not_read_whole() -> None:
    class Large(Sequence[str]):
        read = 0

        def __len__(self) -> int:
            return 10**9

        def __getitem__(self, index: Any) -> Any:
            Large.read += 1
            return "a"

    assert problem_with_corpus(Corpus("", Large(), ["a"], ["a"])) == "" and Large.read == CHECKED
