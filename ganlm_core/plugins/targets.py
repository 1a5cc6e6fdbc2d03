"""Targets: the objects that components name as ``package.module:attribute``."""

import importlib
import importlib.util
from pathlib import Path
from typing import Any

from ganlm_core.errors import did_you_mean
from ganlm_core.plugins.discovery import Origin
from ganlm_core.plugins.wording import blaming, described


def load_target(target: str, what: str, origin: Origin) -> Any:
    """Import the object that ``package.module:attribute`` names. Raises PluginError with ``what`` and its origin."""
    module, _, attribute = target.partition(":")
    with blaming(f"{what} of {origin}", f"cannot be imported from {target}"):
        return getattr(importlib.import_module(module), attribute)


def missing_target(target: str) -> str:
    """Return why a target cannot exist, from its source, without running it; empty if it may exist."""
    import ast

    module, _, attribute = target.partition(":")
    try:
        spec = importlib.util.find_spec(module)
        if spec is None:
            return f"there is no module {module}"
        if not spec.origin or not spec.origin.endswith(".py"):
            return ""
        tree = ast.parse(Path(spec.origin).read_bytes(), spec.origin)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # finding a module imports the packages that it is in
        return described(error)
    if {name for node in ast.walk(tree) for name in _names_bound(node)} & {attribute, "*", "__getattr__"}:
        return ""
    written = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    return f"{spec.origin} has no {attribute}{did_you_mean(attribute, written)}"


def _names_bound(node: Any) -> list[str]:
    """Return the names that a node of a syntax tree binds."""
    match type(node).__name__:
        case "Import" | "ImportFrom":
            return [alias.asname or alias.name for alias in node.names]
        case "FunctionDef" | "ClassDef":
            return [node.name]
        case "Name" if type(node.ctx).__name__ == "Store":
            return [node.id]
    return []
