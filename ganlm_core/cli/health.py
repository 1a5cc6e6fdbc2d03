"""Health of plugins, with missing targets and broken recipes."""

from collections.abc import Iterator
from dataclasses import replace

from ganlm_core.errors import GanlmError
from ganlm_core.plugins.host import Health, Host
from ganlm_core.plugins.targets import missing_target


def health_in_full(host: Host) -> list[Health]:
    """Return the health of all plugins.

    If a plugin is not built in, the reason also names its missing targets and the recipes that cannot be run.
    """
    return [replace(one, reason="; ".join(filter(None, (one.reason, *_lost(host, one))))) for one in host.health]


def _lost(host: Host, health: Health) -> Iterator[str]:
    if not health.origin.built_in:
        for spec in host.specs_of(health):
            if reason := missing_target(spec.target):
                yield f"{spec.kind} '{spec.name}' cannot be built: {reason}"
        for recipe in host.recipes_of(health):
            if reason := why_not(host, recipe):
                yield f"recipe '{recipe}' cannot be run: {reason}"


def why_not(host: Host, recipe: str) -> str:
    """Return the error of a recipe, or nothing."""
    from ganlm_core.config.recipes import check_recipe

    try:
        check_recipe(host, recipe)
    except GanlmError as error:
        return str(error)
    return ""
