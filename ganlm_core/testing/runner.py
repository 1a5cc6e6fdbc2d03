"""The checks of each kind, and two ways to run them: as tests of pytest, and as a report."""

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from ganlm_core.components import ComponentSpec
from ganlm_core.plugins.discovery import one_line, place_of
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

Function = Callable[[Case], None]
Status = Literal["passed", "failed", "excepted", "skipped"]


@dataclass(frozen=True)
class Check:
    """One promise, as a function that raises AssertionError with what to change, or Skipped.

    ``after`` are those that it stands on. Where one of them fails too, what this one finds is a consequence.
    """

    function: Function
    after: tuple["Check", ...] = ()

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def promise(self) -> str:
        """What is promised, in one line."""
        return (self.function.__doc__ or "").partition("\n")[0]

    def __call__(self, case: Case) -> None:
        """Raises AssertionError, also for whatever the component itself raises, and Skipped."""
        __tracebackhide__ = True
        if _NEEDS_A_DEFAULT in case.spec.exceptions and not case.changes and self.function not in _WITHOUT_BUILDING:
            raise Skipped("it cannot be built without options")
        try:
            self._try(case)
        except AssertionError:
            for check in self._earlier(case):
                if check.fails(case):
                    raise Skipped(f"{check.name} comes first") from None
            raise

    def fails(self, case: Case) -> bool:
        try:
            self._try(case)
        except AssertionError:
            return True
        except Skipped:
            return False
        return False

    def _earlier(self, case: Case) -> list["Check"]:
        """What may have made it fail, where that is not expected anyway."""
        exceptions = case.spec.exceptions
        return [check for check in self.after if not exceptions.keys() & {self.name, check.name}]

    def _try(self, case: Case) -> None:
        __tracebackhide__ = True
        try:
            with torch.random.fork_rng(devices=[]):
                self.function(case)
        except (AssertionError, Skipped):
            raise
        except Exception as error:
            raise AssertionError(f"{case} {_told(error)} where this was promised: {self.promise}") from error


def _told(error: Exception) -> str:
    """What went wrong, and where as far as it was in the plugin's own code."""
    if isinstance(error, NotImplementedError) and not str(error):
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
        base, _, method = frame.f_code.co_qualname.rpartition(".")
        return f"has no {method}, which {base} leaves to it,"
    place = place_of(error)
    return f"raised {one_line(error)}" + f" ({place})" * bool(place)


COMMON = component.CHECKS


def _in_order(first: Sequence[Function], others: Sequence[Function]) -> Iterator[Check]:
    """Checks as they are best mended. What is ``first`` the later ones stand on, as on those of the declaration."""
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
    )
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

        __tracebackhide__ = True
        try:
            check(case)
        except Skipped as reason:
            pytest.skip(str(reason))

    return run
