"""The conformance kit: for every check there is a component that it catches, and a message that says what to change."""

import ast
import functools
import inspect
import re
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ganlm_core.algorithms.adversarial import Adversarial
from ganlm_core.components import ComponentSpec, Kind
from ganlm_core.plugins.host import Host
from ganlm_core.testing import CHECKS, Case, Check, Skipped, build, checks_of, parametrize_with_checks, run_checks
from tests import mutants
from tests.mutants import MUTANTS, mutant


def place(check: Check) -> str:
    return f"{check.function.__module__.rpartition('.')[2]}.{check.name}"


EVERY = {place(check): check for checks in CHECKS.values() for check in checks}


@functools.cache
def caught(number: int) -> AssertionError | Skipped | None:
    """What the check of a mutant raises."""
    wrong = MUTANTS[number]
    try:
        EVERY[wrong.check](Case(wrong.spec))
    except (AssertionError, Skipped) as error:
        return error
    return None


def expectations() -> Iterator[tuple[str, ast.Call]]:
    """Where the kit says what to change: the module and the call. Not of CUDA, which not every machine has."""
    for name in sorted(name for name in sys.modules if name.startswith("ganlm_core.testing.")):
        for function in ast.parse(inspect.getsource(sys.modules[name])).body:
            if isinstance(function, ast.FunctionDef) and function.name != "check_cuda":
                for node in ast.walk(function):
                    if isinstance(node, ast.Call) and ast.unparse(node.func) == "case.expect":
                        yield name, node


def test_every_check_has_a_mutant() -> None:
    """A check without one might pass whatever it is given."""
    assert {one.check for one in MUTANTS} == EVERY.keys()


def test_everything_that_is_expected_has_a_mutant() -> None:
    """A condition without one might never be false."""
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


@pytest.mark.parametrize("number", range(len(MUTANTS)), ids=[str(one) for one in MUTANTS])
def test_a_component_that_breaks_a_promise_is_told_which(number: int) -> None:
    wrong, error = MUTANTS[number], caught(number)
    if str(error) == "this machine has no CUDA":
        pytest.skip(str(error))
    assert isinstance(error, AssertionError), error
    message = f"{wrong.spec.kind} 'wrong'{' ' * (wrong.message[0] != ':')}{wrong.message}"
    pattern = re.escape(message).replace(re.escape("..."), ".*")
    assert re.fullmatch(pattern, str(error), flags=re.DOTALL)


def test_every_function_called_check_is_among_the_checks() -> None:
    modules = {check.function.__module__: check.function.__globals__ for check in EVERY.values()}
    written = {
        f"{module.rpartition('.')[2]}.{name}"
        for module, names in modules.items()
        for name, value in names.items()
        if name.startswith("check_") and value.__module__ == module
    }
    assert written == EVERY.keys()
    assert all(check.promise.endswith(".") for check in EVERY.values())


def statuses(spec: ComponentSpec, **options: Any) -> dict[str, tuple[str, str]]:
    return {result.check: (result.status, result.message) for result in run_checks(Case(spec, options))}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("generator", "Recurrent"),
        ("generator", "OneShot"),
        ("discriminator", "Bag"),
        ("discriminator", "BagByPosition"),
    ],
)
def test_the_references_keep_what_is_asked_of_others(kind: Kind, name: str) -> None:
    exceptions = {"check_light_import": "the kit is imported when something is checked, and never listed"}
    found = statuses(mutant(kind, f"ganlm_core.testing.references:{name}", exceptions=exceptions))
    assert {check: told for check, told in found.items() if told[0] == "failed"} == {}


def unused(name: str = "wrong", **exceptions: str) -> ComponentSpec:
    """A network with a parameter that nothing uses."""
    target = f"{mutants.networks.__name__}:Unused"
    return ComponentSpec("discriminator", name, target, mutants.components.Size, "?", exceptions=exceptions)


def test_an_exception_is_expected_to_fail_and_gives_its_reason() -> None:
    found = statuses(unused(check_gradients="the spare one is for later"))
    assert found["check_gradients"] == ("excepted", "the spare one is for later")
    assert found["check_padding"] == ("passed", "")


def test_an_exception_that_passes_has_failed() -> None:
    found = statuses(unused(check_padding="it once did"))
    assert found["check_padding"] == (
        "failed",
        "discriminator 'wrong' passes it; take it off the exceptions of its ComponentSpec",
    )
    assert found["check_gradients"][0] == "failed"


def test_an_exception_to_no_check_is_refused() -> None:
    with pytest.raises(ValueError) as error:
        checks_of(mutant("metric", "math:pi", exceptions={"check_gradients": "it has none"}))
    assert str(error.value) == (
        "metric 'wrong' is excepted from check_gradients, and a metric has no such check; it has check_declaration, "
        "check_light_import, check_options, check_defaults, check_smallest, check_values, check_missing, "
        "check_same_again"
    )


def test_what_follows_from_a_failure_is_not_held_against_a_component() -> None:
    """A generator of the wrong shape fails at every other thing that is asked of its logits."""
    target, options = f"{mutants.generators.__name__}:WrongShape", mutants.components.Size
    found = statuses(mutant("generator", target, options))
    failed = [check for check, (status, _) in found.items() if status == "failed"]
    skipped = {told for status, told in found.values() if status == "skipped"}
    assert failed == ["check_light_import", "check_shapes"]
    assert "check_shapes comes first" in skipped
    expected = mutant("generator", target, options, exceptions={"check_causal": "so it is"})
    assert statuses(expected)["check_causal"] == ("excepted", "so it is")


def test_what_cannot_be_built_without_options_is_checked_with_them() -> None:
    target = f"{mutants.components.__name__}:NotSmall"
    exceptions = {"check_defaults": "nobody knows the size"}
    wanting = mutant("loss", target, mutants.components.OneIsTooFew, exceptions=exceptions)
    assert statuses(wanting)["check_shapes"] == ("skipped", "it cannot be built without options")
    assert statuses(wanting)["check_options"] == ("passed", "")
    assert statuses(wanting, size=2)["check_shapes"] == ("passed", "")
    assert statuses(wanting, size=2)["check_defaults"] == ("excepted", "nobody knows the size")


BAD_RECIPE = """
from pathlib import Path
from ganlm_core.hookspecs import hookimpl

@hookimpl
def ganlm_recipes():
    return [Path(__file__).with_name("aaa.toml")]
"""


def test_an_algorithm_is_checked_whatever_the_recipes_of_others_are(tmp_path: Path) -> None:
    (tmp_path / "aaa.toml").write_text("[training")
    (tmp_path / "bad.py").write_text(BAD_RECIPE)
    host = Host.discover([tmp_path / "bad.py"], no_plugins=True)
    assert next(iter(host.recipes())) == "aaa"
    assert isinstance(build(Case(host.spec("algorithm", "adversarial"), {}, host)), Adversarial)


def test_pytest_is_told_of_names_of_strict_exceptions_and_of_skips() -> None:
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
    with pytest.raises(pytest.skip.Exception, match=r"^it has no option called dropout$"):
        check(case)
