"""The list of mutants: what each breaks, and what its author is told."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from ganlm_core.algorithms.options import AdversarialOptions, NonSaturatingOptions, PenaltyOptions, ReinforceOptions
from ganlm_core.components import ComponentSpec, Kind, NoOptions, Options

OPTIONS: dict[Kind, type[Options]] = {
    "algorithm": AdversarialOptions,
    "estimator": ReinforceOptions,
    "loss": NonSaturatingOptions,
    "penalty": PenaltyOptions,
}
"""Those of what the mutants of a kind are derived from."""

Target = TypeVar("Target", bound=Callable[..., Any])


class Mutant(NamedTuple):
    """``check`` is the module and name of the check; ``message`` goes on from the component's name, ... is anything."""

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
    """Put what is decorated on the list."""

    def add(target: Target) -> Target:
        spec = mutant(kind, f"{target.__module__}:{target.__name__}", options)
        MUTANTS.append(Mutant(spec, check, message))
        return target

    return add
