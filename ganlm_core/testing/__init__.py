"""The conformance kit: what the protocol promises of components of every kind, as checks.

A plugin's test, which is also behind ``ganlm plugins check NAME``::

    @parametrize_with_checks(ganlm_components())
    def test_conformance(component, check):
        check(component)

Each check builds the component at small sizes and, where two ways to a number must agree, in float64. It raises
AssertionError naming the component and what its author should change. What a component cannot keep it lists, with
the reason, as the ``exceptions`` of its ComponentSpec.
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
