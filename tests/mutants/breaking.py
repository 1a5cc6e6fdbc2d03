"""The list of mutants: the check that each breaks, and the message for its author."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from ganlm_core.algorithms.options import AdversarialOptions, NonSaturatingOptions, PenaltyOptions, ReinforceOptions
from ganlm_core.components import ComponentSpec, Kind, NoOptions, Options, RewardOptions

OPTIONS: dict[Kind, type[Options]] = {
    "algorithm": AdversarialOptions,
    "estimator": ReinforceOptions,
    "loss": NonSaturatingOptions,
    "penalty": PenaltyOptions,
    "reward": RewardOptions,
}
"""Options of the base class of the mutants of a kind."""

Target = TypeVar("Target", bound=Callable[..., Any])


class Mutant(NamedTuple):
    """``check`` is the module and name of the check. ``message`` follows the component's name, ... is any text."""

    spec: ComponentSpec
    check: str
    message: str

    def __str__(self) -> str:
        return f"{self.check}-{self.spec.target.partition(':')[2]}"


MUTANTS: list[Mutant] = []


def mutant(kind: Kind, target: str, options: type[Options] | None = None, **others: Any) -> ComponentSpec:
    options = options or OPTIONS.get(kind, NoOptions)
    return ComponentSpec(kind, "wrong", target, options, **{"summary": "breaks a promise"} | others)


def breaks(kind: Kind, check: str, message: str, options: type[Options] | None = None) -> Callable[[Target], Target]:
    """Decorate a mutant: add it to the list with the check that it breaks and the message."""

    def add(target: Target) -> Target:
        spec = mutant(kind, f"{target.__module__}:{target.__name__}", options)
        MUTANTS.append(Mutant(spec, check, message))
        return target

    return add
