"""The conformance kit as a whole: its checks, its exceptions, its skips, and its view of what a component raises."""

import ast
import inspect
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from ganlm_core.algorithms.losses import NonSaturating
from ganlm_core.components import ComponentSpec, Options
from ganlm_core.testing import CHECKS, Case, checks_of, parametrize_with_checks, run_checks
from tests import mutants
from tests.mutants import MUTANTS, caught, every_check, mutant


def expectations() -> Iterator[tuple[str, ast.Call]]:
    """Yield the module and the call of every failure of the kit, except those of CUDA, which some machines lack."""
    for name in sorted(name for name in sys.modules if name.startswith("ganlm_core.testing.")):
        for function in ast.parse(inspect.getsource(sys.modules[name])).body:
            if isinstance(function, ast.FunctionDef) and function.name != "check_cuda":
                for node in ast.walk(function):
                    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("case.expect", "case.failed"):
                        yield name, node


def test_every_check_has_a_mutant() -> None:
    """A check without a mutant might pass everything."""
    assert {one.check for one in MUTANTS} == every_check().keys()


def test_every_expectation_has_a_mutant() -> None:
    """A condition without a mutant might never be false."""
    errors = (error for error in map(caught, range(len(MUTANTS))) if error is not None)
    reached = {
        (frame.f_globals["__name__"], line)
        for error in errors
        for frame, line in traceback.walk_tb(error.__traceback__)
    }
    assert [
        f"{name}: {ast.unparse(call)}"
        for name, call in expectations()
        if not reached & {(name, line) for line in range(call.lineno, (call.end_lineno or call.lineno) + 1)}
    ] == []


def test_every_function_named_check_is_registered() -> None:
    modules = {check.function.__module__: check.function.__globals__ for check in every_check().values()}
    written = {
        f"{module.rpartition('.')[2]}.{name}"
        for module, names in modules.items()
        for name, value in names.items()
        if name.startswith("check_") and value.__module__ == module
    }
    assert written == every_check().keys()
    assert all(check.promise.endswith(".") for check in every_check().values())


def statuses(spec: ComponentSpec, **options: Any) -> dict[str, tuple[str, str]]:
    return {result.check: (result.status, result.message) for result in run_checks(Case(spec, options))}


def unused(name: str = "wrong", **exceptions: str) -> ComponentSpec:
    """Return the spec of a network with an unused parameter."""
    target = f"{mutants.networks.__name__}:Unused"
    return ComponentSpec("discriminator", name, target, mutants.components.Size, "?", exceptions=exceptions)


def test_a_listed_exception_fails_with_its_reason() -> None:
    found = statuses(unused(check_gradients="the spare one is for later"))
    assert found["check_gradients"] == ("excepted", "the spare one is for later")
    assert found["check_padding"] == ("passed", "")


def test_a_listed_exception_that_passes_is_a_failure() -> None:
    found = statuses(unused(check_padding="it once did"))
    assert found["check_padding"] == (
        "failed",
        "discriminator 'wrong' passes it; remove it from the exceptions of its ComponentSpec",
    )
    assert found["check_gradients"][0] == "failed"


def test_an_exception_to_an_unknown_check_is_refused() -> None:
    with pytest.raises(ValueError) as error:
        checks_of(mutant("metric", "math:pi", exceptions={"check_gradients": "it has none"}))
    assert str(error.value) == (
        "metric 'wrong' lists an exception to check_gradients, and a metric has no such check; it has "
        "check_declaration, check_light_import, check_options, check_defaults, check_smallest, check_values, "
        "check_missing, check_same_again"
    )


def test_checks_that_build_on_a_failed_check_are_skipped() -> None:
    """A generator with logits of the wrong shape would fail every later check."""
    target, options = f"{mutants.generators.__name__}:WrongShape", mutants.components.Size
    found = statuses(mutant("generator", target, options))
    failed = [check for check, (status, _) in found.items() if status == "failed"]
    skipped = {told for status, told in found.values() if status == "skipped"}
    assert failed == ["check_light_import", "check_shapes"]
    assert "check_shapes fails first" in skipped
    expected = mutant("generator", target, options, exceptions={"check_causal": "so it is"})
    assert statuses(expected)["check_causal"] == ("excepted", "so it is")


def test_a_component_that_needs_options_is_checked_with_them() -> None:
    target = f"{mutants.components.__name__}:NotSmall"
    exceptions = {"check_defaults": "the size has no default"}
    wanting = mutant("loss", target, mutants.components.OneIsTooFew, exceptions=exceptions)
    assert statuses(wanting)["check_shapes"] == ("skipped", "it cannot be built without options")
    assert statuses(wanting)["check_options"] == ("passed", "")
    assert statuses(wanting, size=2)["check_shapes"] == ("passed", "")
    assert statuses(wanting, size=2)["check_defaults"] == ("excepted", "the size has no default")


def test_pytest_gets_names_strict_xfails_and_skips() -> None:
    mark = parametrize_with_checks([unused("one", check_gradients="for later"), (unused("two"), {"size": 2})])
    names, parameters = mark.args
    assert names == ("component", "check")
    by_id = {parameter.id: parameter for parameter in parameters}
    assert len(by_id) == 2 * len(CHECKS["discriminator"])
    (excepted,) = by_id["discriminator-one-check_gradients"].marks
    assert (excepted.name, excepted.kwargs["strict"], excepted.kwargs["reason"]) == ("xfail", True, "for later")
    assert not by_id["discriminator-two-size=2-check_gradients"].marks
    case, check = by_id["discriminator-two-size=2-check_gradients"].values
    with pytest.raises(AssertionError, match=r"^discriminator 'two' with size=2 has a parameter, spare, "):
        check(case)
    case, check = by_id["discriminator-one-check_dropout"].values
    with pytest.raises(pytest.skip.Exception, match=r"^it has no option named dropout$"):
        check(case)


class TextRaises(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Raising(NonSaturating):
    """A loss whose constructor raises ``error``."""

    error: BaseException

    def __init__(self, options: Options) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (SystemExit(0), "SystemExit: 0"),
        (GeneratorExit(), "GeneratorExit"),
        (AssertionError("the component's own"), "AssertionError: the component's own"),
        (TextRaises(), "TextRaises: (its text raises RuntimeError)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_exception_of_a_component_is_a_failure(
    error: BaseException, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Raising, "error", error, raising=False)
    status, message = statuses(mutant("loss", f"{__name__}:Raising"))["check_defaults"]
    assert status == "failed"
    assert message.startswith(f"loss 'wrong' raised {told} ({__file__}, line ")


def test_an_interrupt_of_the_user_ends_the_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Raising, "error", KeyboardInterrupt(), raising=False)
    with pytest.raises(KeyboardInterrupt):
        statuses(mutant("loss", f"{__name__}:Raising"))
