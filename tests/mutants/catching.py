"""Running the checks of the conformance kit on the mutants."""

import functools
import re

import pytest

from ganlm_core.testing import CHECKS, Case, Check, Skipped
from tests.mutants.breaking import MUTANTS


@functools.cache
def every_check() -> dict[str, Check]:
    """Return every check by its module and name, such as ``losses.check_shapes``."""
    checks = (check for checks in CHECKS.values() for check in checks)
    return {f"{check.function.__module__.rpartition('.')[2]}.{check.name}": check for check in checks}


@functools.cache
def caught(number: int) -> AssertionError | Skipped | None:
    """Return the error that the check of a mutant raises."""
    wrong = MUTANTS[number]
    try:
        every_check()[wrong.check](Case(wrong.spec))
    except (AssertionError, Skipped) as error:
        return error
    return None


def mutants_of(module: str) -> pytest.MarkDecorator:
    """Parametrize a test with the number of each mutant of a module of the kit."""
    numbers = [number for number, one in enumerate(MUTANTS) if one.check.partition(".")[0] == module]
    return pytest.mark.parametrize("number", numbers, ids=[str(MUTANTS[number]) for number in numbers])


def assert_told(number: int) -> None:
    """Assert that the check of a mutant fails with the message that the mutant expects, word for word."""
    wrong, error = MUTANTS[number], caught(number)
    if str(error) == "this machine has no CUDA":
        pytest.skip(str(error))
    assert isinstance(error, AssertionError), error
    message = f"{wrong.spec.kind} 'wrong'{' ' * (wrong.message[0] != ':')}{wrong.message}"
    pattern = re.escape(message).replace(re.escape("..."), ".*")
    assert re.fullmatch(pattern, str(error), flags=re.DOTALL)
