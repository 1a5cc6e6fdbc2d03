"""The conformance kit: checks that a component of any kind keeps the protocol.

A plugin tests its components like this; ``ganlm plugins check NAME`` runs the same checks::

    @parametrize_with_checks(ganlm_components())
    def test_conformance(component, check):
        check(component)

Each check builds the component at small sizes, and in float64 where two computations must agree. It raises
AssertionError with the name of the component and what its author should change. A component lists the checks that it
cannot pass, with reasons, in the ``exceptions`` of its ComponentSpec.
"""

from ganlm_core.testing.case import Case, Skipped
from ganlm_core.testing.kinds import build
from ganlm_core.testing.runner import CHECKS, Check, Result, checks_of, parametrize_with_checks, run_checks

__all__ = [
    "CHECKS",
    "Case",
    "Check",
    "Result",
    "Skipped",
    "build",
    "checks_of",
    "parametrize_with_checks",
    "run_checks",
]
