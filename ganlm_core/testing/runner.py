"""The checks of each kind, and two ways to run them: as pytest tests, and as a report."""

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from ganlm_core.components import ComponentSpec
from ganlm_core.plugins.wording import described, place_of, text_of
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
    rewards,
)
from ganlm_core.testing.case import Case, Failed, Skipped

if TYPE_CHECKING:
    import pytest

Function = Callable[[Case], None]
Status = Literal["passed", "failed", "excepted", "skipped"]


@dataclass(frozen=True)
class Check:
    """A check: a function that raises Failed with what to change, or Skipped.

    ``after`` are the checks that it builds on. If one of them fails too, this check is skipped, because its failure
    follows from the earlier failure.
    """

    function: Function
    after: tuple["Check", ...] = ()

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def promise(self) -> str:
        """Return the promise that the check tests, in one line."""
        return (self.function.__doc__ or "").partition("\n")[0]

    def __call__(self, case: Case) -> None:
        """Run the check. Raises Failed, also for any exception of the component, and Skipped."""
        __tracebackhide__ = True
        if _NEEDS_A_DEFAULT in case.spec.exceptions and not case.changes and self.function not in _WITHOUT_BUILDING:
            raise Skipped("it cannot be built without options")
        try:
            self._try(case)
        except Failed:
            for check in self._earlier(case):
                if check.fails(case):
                    raise Skipped(f"{check.name} fails first") from None
            raise

    def fails(self, case: Case) -> bool:
        try:
            self._try(case)
        except Failed:
            return True
        except Skipped:
            return False
        return False

    def _earlier(self, case: Case) -> list["Check"]:
        """Return the checks that may explain a failure, without those that are expected to fail."""
        exceptions = case.spec.exceptions
        return [check for check in self.after if not exceptions.keys() & {self.name, check.name}]

    def _try(self, case: Case) -> None:
        __tracebackhide__ = True
        try:
            with torch.random.fork_rng(devices=[]):
                self.function(case)
        except (Failed, Skipped, KeyboardInterrupt):
            raise
        except BaseException as error:  # SystemExit and GeneratorExit too are errors of the component
            raise case.failed(f"{_told(error)} in the check of: {self.promise}") from error


def _told(error: BaseException) -> str:
    """Return the exception of the component, and the line of the plugin's code that raised it."""
    if isinstance(error, NotImplementedError) and not text_of(error):
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
        base, _, method = frame.f_code.co_qualname.rpartition(".")
        return f"does not implement {method} of {base}, which is needed"
    place = place_of(error)
    return f"raised {described(error)}" + f" ({place})" * bool(place)


COMMON = component.CHECKS


def _in_order(first: Sequence[Function], others: Sequence[Function]) -> Iterator[Check]:
    """Yield checks in the best order for repairs. Later checks build on ``first`` and on the declaration."""
    after: tuple[Check, ...] = ()
    for function in dict.fromkeys((*COMMON, *first, *others)):
        yield (check := Check(function, after))
        if function in (*component.FIRST, *first):
            after = (*after, check)


CHECKS: Mapping[str, tuple[Check, ...]] = {
    kind: tuple(_in_order(module.FIRST, others))
    for kind, module, others in (
        ("generator", generators, (*networks.CHECKS, *generators.CHECKS)),
        ("discriminator", discriminators, (*networks.CHECKS, *discriminators.CHECKS)),
        ("algorithm", algorithms, algorithms.CHECKS),
        ("loss", losses, losses.CHECKS),
        ("penalty", penalties, penalties.CHECKS),
        ("estimator", estimators, estimators.CHECKS),
        ("corpus", corpora, corpora.CHECKS),
        ("metric", metrics, metrics.CHECKS),
        ("encoder", encoders, encoders.CHECKS),
        ("reward", rewards, rewards.CHECKS),
    )
}
"""The checks by kind, in the best order for repairs."""

_NEEDS_A_DEFAULT = component.check_defaults.__name__
_WITHOUT_BUILDING = COMMON[: COMMON.index(component.check_defaults) + 1]


@dataclass(frozen=True)
class Result:
    """The result of a check. ``message`` is the failure, the reason of an exception or of a skip; "" if it passed."""

    component: str
    check: str
    status: Status
    message: str = ""


def checks_of(spec: ComponentSpec) -> tuple[Check, ...]:
    """Return the checks of a component's kind. Raises ValueError for an exception to a check that does not exist."""
    checks = CHECKS[spec.kind]
    for name in spec.exceptions:
        if name not in {check.name for check in checks}:
            raise ValueError(
                f"{spec.kind} '{spec.name}' lists an exception to {name}, and a {spec.kind} has no such check; "
                f"it has {', '.join(check.name for check in checks)}"
            )
    return checks


def run_checks(case: Case) -> Iterator[Result]:
    """Run every check of a component. A check that is listed as an exception and passes counts as failed."""
    for check in checks_of(case.spec):
        excepted = case.spec.exceptions.get(check.name)
        status: Status = "passed"
        message = ""
        try:
            check(case)
            if excepted is not None:
                status, message = "failed", f"{case} passes it; remove it from the exceptions of its ComponentSpec"
        except Skipped as reason:
            status, message = "skipped", str(reason)
        except Failed as error:
            status, message = ("failed", str(error)) if excepted is None else ("excepted", excepted)
        yield Result(str(case), check.name, status, message)


Given = ComponentSpec | tuple[ComponentSpec, Mapping[str, Any]]


def parametrize_with_checks(components: Iterable[Given]) -> "pytest.MarkDecorator":
    """Parametrize a test with every check of each component, or of each pair of a component and changed options::

        @parametrize_with_checks(ganlm_components())
        def test_conformance(component, check):
            check(component)

    Checks that a ComponentSpec lists as exceptions must fail (strict xfail). Named after scikit-learn's function.
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
    """Return the check with Skipped turned into pytest's skip."""

    def run(case: Case) -> None:
        import pytest

        __tracebackhide__ = True
        try:
            check(case)
        except Skipped as reason:
            pytest.skip(str(reason))

    return run
