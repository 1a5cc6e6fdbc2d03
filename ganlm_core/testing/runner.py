"""The checks of each kind, and two ways to run them: as tests of pytest, and as a report."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from ganlm_core.components import ComponentSpec
from ganlm_core.discovery import describe, place_of
from ganlm_core.testing import (
    algorithms,
    component,
    corpora,
    discriminators,
    encoders,
    estimators,
    generators,
    losses,
    metrics,
    networks,
    penalties,
)
from ganlm_core.testing.case import Case, Skipped

if TYPE_CHECKING:
    import pytest

Status = Literal["passed", "failed", "excepted", "skipped"]


@dataclass(frozen=True)
class Check:
    """One promise, as a function that raises AssertionError with what to change, or Skipped."""

    function: Callable[[Case], None]

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def promise(self) -> str:
        """What is promised, in one line."""
        return (self.function.__doc__ or "").partition("\n")[0]

    def __call__(self, case: Case) -> None:
        """Raises AssertionError, also for whatever the component itself raises."""
        if _NEEDS_A_DEFAULT in case.spec.exceptions and not case.changes and self.function not in _WITHOUT_BUILDING:
            raise Skipped("it cannot be built without options")
        try:
            with torch.random.fork_rng(devices=[]):
                self.function(case)
        except (AssertionError, Skipped):
            raise
        except Exception as error:
            raise AssertionError(
                f"{case} raised {describe(error)}, {place_of(error)}, where this was promised: {self.promise}"
            ) from error


COMMON = component.CHECKS
CHECKS: Mapping[str, tuple[Check, ...]] = {
    kind: tuple(map(Check, (*COMMON, *own)))
    for kind, own in {
        "generator": (*networks.CHECKS, *generators.CHECKS),
        "discriminator": (*networks.CHECKS, *discriminators.CHECKS),
        "algorithm": algorithms.CHECKS,
        "loss": losses.CHECKS,
        "penalty": penalties.CHECKS,
        "estimator": estimators.CHECKS,
        "corpus": corpora.CHECKS,
        "metric": metrics.CHECKS,
        "encoder": encoders.CHECKS,
    }.items()
}
"""By kind, in the order in which they are best mended."""

_NEEDS_A_DEFAULT = component.check_defaults.__name__
_WITHOUT_BUILDING = COMMON[: COMMON.index(component.check_defaults) + 1]


@dataclass(frozen=True)
class Result:
    """What a check said: nothing if it passed; the failure; why it is an exception; or why it was skipped."""

    component: str
    check: str
    status: Status
    message: str = ""


def checks_of(spec: ComponentSpec) -> tuple[Check, ...]:
    """The checks of a component's kind. Raises ValueError for an exception to a check that there is none of."""
    checks = CHECKS[spec.kind]
    for name in spec.exceptions:
        if name not in {check.name for check in checks}:
            raise ValueError(
                f"{spec.kind} '{spec.name}' is excepted from {name}, and a {spec.kind} has no such check; "
                f"it has {', '.join(check.name for check in checks)}"
            )
    return checks


def run_checks(case: Case) -> Iterator[Result]:
    """Every check of a component. One that is excepted and passes has failed: the list would be out of date."""
    for check in checks_of(case.spec):
        excepted = case.spec.exceptions.get(check.name)
        status: Status = "passed"
        message = ""
        try:
            check(case)
            if excepted is not None:
                status, message = "failed", f"{case} passes it; take it off the exceptions of its ComponentSpec"
        except Skipped as reason:
            status, message = "skipped", str(reason)
        except AssertionError as error:
            status, message = ("failed", str(error)) if excepted is None else ("excepted", excepted)
        yield Result(str(case), check.name, status, message)


Given = ComponentSpec | tuple[ComponentSpec, Mapping[str, Any]]


def parametrize_with_checks(components: Iterable[Given]) -> "pytest.MarkDecorator":
    """A test of every check on each component, or pair of a component and options that differ from its defaults::

        @parametrize_with_checks(ganlm_components())
        def test_conformance(component, check):
            check(component)

    The exceptions that a ComponentSpec lists are expected to fail, strictly. After scikit-learn's function of the name.
    """
    import pytest

    cases = [Case(*given) if isinstance(given, tuple) else Case(given) for given in components]
    return pytest.mark.parametrize(
        ("component", "check"),
        [
            pytest.param(case, _skipping(check), id=f"{case.id}-{check.name}", marks=_marks(case, check))
            for case in cases
            for check in checks_of(case.spec)
        ],
    )


def _marks(case: Case, check: Check) -> "list[pytest.MarkDecorator]":
    import pytest

    reason = case.spec.exceptions.get(check.name)
    return [] if reason is None else [pytest.mark.xfail(raises=AssertionError, strict=True, reason=reason)]


def _skipping(check: Check) -> Callable[[Case], None]:
    """The check, as pytest is told of a skip."""

    def run(case: Case) -> None:
        import pytest

        try:
            check(case)
        except Skipped as reason:
            pytest.skip(str(reason))

    return run
