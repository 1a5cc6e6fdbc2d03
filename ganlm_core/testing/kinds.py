"""Building a component of each kind at the sizes of the checks."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from ganlm_core.components import Options
from ganlm_core.config.make_config import make_config
from ganlm_core.config.run_config import RunConfig
from ganlm_core.errors import GanlmError, UsageError
from ganlm_core.metrics.encoders import Encoder
from ganlm_core.metrics.metric import Metric
from ganlm_core.plugins.host import Host
from ganlm_core.protocol import Parts
from ganlm_core.testing import references
from ganlm_core.testing.case import Case
from ganlm_core.testing.references import SHAPE
from ganlm_core.training.building import plain_parts
from ganlm_core.training.checks import BASES, problem_with_kind

STEPS = 8
"""Training steps for an algorithm, whose phases may change from step to step."""


def build(case: Case, options: Options | None = None, seed: int = 0) -> Any:
    """Build the component with the arguments of its kind: a shape for networks, parts for an algorithm."""
    arguments: dict[str, Any] = {}
    if case.spec.kind in ("generator", "discriminator"):
        arguments = {"shape": SHAPE}
    elif case.spec.kind == "algorithm":
        arguments = {"parts": fitting_parts(case)}
    built = case.build(options, seed, **arguments)
    problem = problem_with_kind(built, {**BASES, "metric": Metric, "encoder": Encoder}[case.spec.kind])
    case.expect(not problem, problem)
    return built


def fitting_parts(case: Case) -> Parts:
    """Return new parts that an algorithm accepts: from a recipe that chooses it, else the reference networks.

    The recipe comes first because the algorithm may need special networks, and because users run the recipe.
    """
    for config in _recipes_of(case.host, case.spec.name):
        return plain_parts(case.host, config, SHAPE, STEPS)
    refusals = []
    for generator, discriminator in references.pairs():
        parts = references.parts(generator, discriminator, STEPS)
        try:
            case.build(parts=parts)
        except UsageError as error:
            refusals.append(str(error))
        else:
            return parts
    raise case.failed(
        f"accepts none of the reference networks ({refusals[0]}) and no recipe chooses it; "
        "add a recipe with networks that it accepts"
    )


def _recipes_of(host: Host, algorithm: str) -> Iterator[RunConfig]:
    """Yield the configurations of all valid recipes that choose an algorithm."""
    for recipe in host.recipes():
        with suppress(GanlmError):
            config = make_config(recipe=recipe, host=host)
            if config.algorithm.name == algorithm:
                yield config
