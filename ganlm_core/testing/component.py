"""Checks of components of every kind."""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Sequence

from ganlm_core.components import check_spec
from ganlm_core.errors import GanlmError, did_you_mean
from ganlm_core.plugins.isolation import HEAVY
from ganlm_core.plugins.targets import missing_target
from ganlm_core.testing.case import Case, Skipped
from ganlm_core.testing.kinds import build


def check_declaration(case: Case) -> None:
    """The spec is well formed, has a one-line summary, and names a target and a recipe that exist."""
    try:
        check_spec(case.spec)
    except (TypeError, ValueError) as error:
        raise case.failed(f"is not well formed: {error}") from error
    summary = case.spec.summary
    case.expect(summary.strip() and "\n" not in summary, "has no one-line summary; 'ganlm list' shows it")
    missing = missing_target(case.spec.target)
    case.expect(not missing, f"has a target, {case.spec.target}, that does not exist: {missing}")
    case.expect(callable(case.target), f"has a target, {case.spec.target}, that cannot be called; name a class")
    unwritten = ", ".join(sorted(getattr(case.target, "__abstractmethods__", ())))
    case.expect(not unwritten, f"does not implement {unwritten}, which its base class requires; write it")
    recipe, known = case.spec.recipe, case.host.recipes()
    case.expect(
        not recipe or recipe in known,
        f"names the recipe '{recipe}', which does not exist{did_you_mean(recipe, known)}",
    )


def check_light_import(case: Case) -> None:
    """Its package and the module of its options do not import heavy libraries, such as torch."""
    module = case.spec.target.partition(":")[0].split(".")
    parents = {".".join(module[:depth]) for depth in range(1, len(module))}
    names = {*parents, case.spec.options.__module__}
    if any(name.startswith("ganlm_plugin_") for name in names):
        raise Skipped("a local plugin file is imported only with --plugin")
    imported, problem = imports_of(tuple(sorted(names)))
    case.expect(not problem, f"cannot be imported in a new interpreter: {problem}")
    heavy = next((name for name in HEAVY if name in imported), "")
    case.expect(not heavy, f"imports {heavy} when it is listed; import that only in the module of its target")


def check_options(case: Case) -> None:
    """Every option has one line of help and bounds, and options survive a round trip through JSON."""
    for option in case.spec.options.fields():
        help, flag = option.help, option.flag
        case.expect(help.strip() and "\n" not in help, f"has an option, {flag}, without one line of help")
        bounded = option.type in (bool, str) or (option.min, option.max) != (None, None)
        case.expect(bounded, f"has an option, {flag}, without bounds; give option() a min or a max")
    case.expect(
        case.spec.options.of(json.loads(json.dumps(case.options.as_dict())), str(case)) == case.options,
        "has options that change in a round trip through JSON; let __post_init__ check values, not change them",
    )


def check_defaults(case: Case) -> None:
    """It can be built from its default options, and the result has the base class of its kind."""
    try:
        build(case, options=case.spec.options())
    except GanlmError as error:
        raise case.failed(f"cannot be built from its defaults: {error}; choose defaults that work") from error


def check_smallest(case: Case) -> None:
    """It can be built with every integer option at its minimum."""
    fields = case.spec.options.fields()
    smallest = {field.name: int(field.min) for field in fields if field.type is int and field.min is not None}
    if not smallest:
        raise Skipped("it has no integer option")
    try:
        build(case, options=case.spec.options.of({**case.changes, **smallest}, str(case)))
    except GanlmError as error:
        sizes = ", ".join(f"{name}={value}" for name, value in smallest.items())
        raise case.failed(f"cannot be built with {sizes}: {error}; raise the min of these options") from error


@functools.cache
def imports_of(modules: Sequence[str]) -> tuple[Sequence[str], str]:
    """Import modules in a new interpreter; return all modules that are then loaded, and the last line of an error."""
    code = f"import sys, {', '.join(modules)}; print(); print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    imported = found.stdout.rpartition("\n\n")[2].split()
    if "sys" in imported:
        return imported, ""
    return [], (found.stderr.strip() or f"it exits with {found.returncode}").splitlines()[-1]


FIRST = (check_declaration, check_defaults)
CHECKS = (check_declaration, check_light_import, check_options, check_defaults, check_smallest)
