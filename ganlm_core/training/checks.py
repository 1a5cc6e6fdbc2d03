"""What a built component must be for a run to start, told in the words that its author can act on.

Each function says what is wrong, as it goes on from the component's name, or nothing. A run asks before its first step;
the conformance kit asks the same and then much more.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from ganlm_core.data.corpus import Corpus
from ganlm_core.protocol import Algorithm, Discriminator, Estimator, Generator, Loss, Penalty, Phase

BASES: Mapping[str, type] = {
    "generator": Generator,
    "discriminator": Discriminator,
    "algorithm": Algorithm,
    "loss": Loss,
    "penalty": Penalty,
    "estimator": Estimator,
    "corpus": Corpus,
}
"""What the targets of the kinds that a run is made of must give."""

_NETWORKS = {"generator": Generator, "discriminator": Discriminator}
"""What a network of an algorithm must be, by its name; any other is a module."""


def problem_with_kind(built: object, base: type) -> str:
    if isinstance(built, base):
        return ""
    return f"gave {_told(built)}, and must be a {_path(base)}; derive it from that"


def problem_with_algorithm(algorithm: Algorithm, steps: int) -> str:
    """Asks for the phases where a course of training begins, changes and ends: a run may have a million steps."""
    start: Any = algorithm.adversarial_from
    if not isinstance(start, int):
        return f"gave {_told(start)} as adversarial_from; give the number of a step"
    problem = problem_with_networks(algorithm)
    for step in sorted({0, min(start, steps - 1), steps - 1}):
        problem = problem or problem_with_phases(algorithm, step)
    return problem


def problem_with_networks(algorithm: Algorithm) -> str:
    networks: Any = algorithm.networks
    if not isinstance(networks, Mapping):
        return f"gave {_told(networks)} as its networks; return a dict of modules by name"
    for name, network in networks.items():
        base = _NETWORKS.get(name, nn.Module)
        if not isinstance(network, base):
            return f"gave {_told(network)} as its network '{name}'; give a {_path(base)}"
    return "" if "generator" in networks else "has no 'generator' among its networks; name it so"


def problem_with_phases(algorithm: Algorithm, step: int) -> str:
    """A list and no iterator: the loop goes through the phases of a step more than once."""
    phases: Any = algorithm.phases(step)
    if not isinstance(phases, Sequence):
        return f"gave {_told(phases)} as the phases of step {step}; return a list of Phase"
    networks = algorithm.networks
    for phase in phases:
        if not isinstance(phase, Phase):
            return f"gave {_told(phase)} among the phases of step {step}; return a list of Phase"
        if phase.network not in networks:
            return f"has a phase of '{phase.network}'; name one of its networks: {', '.join(networks)}"
        if not callable(phase.loss):
            return f"gave {_told(phase.loss)} as the loss of phase '{phase.name}'; give a function of a batch"
    return ""


def _told(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"


def _path(base: type) -> str:
    return "torch.nn.Module" if base is nn.Module else f"{base.__module__}.{base.__name__}"
