"""Facts about this machine and problems of plugins, with advice, for ``ganlm plugins doctor``."""

import importlib.metadata
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from ganlm_core.cli.health import health_in_full
from ganlm_core.hookspecs import GANLM_PLUGIN_API
from ganlm_core.plugins.discovery import BUILT_IN
from ganlm_core.plugins.host import Health, Host
from ganlm_core.system.devices import pick_device
from ganlm_core.training.run_folder import versions

LIBRARIES = ("torch", "numpy", "pluggy", "click", "safetensors", "tokenizers", "rich")
SLOW = 0.5
"""Seconds of loading beyond which a user notices it in every command."""


@dataclass(frozen=True)
class Problem:
    what: str
    advice: str


@dataclass(frozen=True)
class Report:
    """``failed`` are the plugins that cannot be used. Problems include plugins that are only slow or unclean."""

    facts: dict[str, str]
    problems: tuple[Problem, ...]
    failed: tuple[str, ...]


def examine(host: Host) -> Report:
    health = health_in_full(host)
    failed = [one.name for one in health if not one.usable and one.status != "disabled"]
    return Report(dict(_facts(health)), tuple(problem for one in health for problem in _problems(one)), tuple(failed))


def _facts(health: list[Health]) -> Iterator[tuple[str, str]]:
    yield "ganlm", f"{versions()['ganlm']}, plugin API {GANLM_PLUGIN_API}"
    yield "python", f"{platform.python_version()} on {platform.platform()}"
    for library in LIBRARIES:
        yield library, importlib.metadata.version(library)
    yield "device", _device()
    for name in sorted(os.environ):
        if name.startswith("GANLM_"):
            yield name, os.environ[name]
    for one in health:
        if one.distribution and not one.origin.built_in:
            yield f"plugin {one.name}", f"{one.origin}, {one.status}"


def _device() -> str:
    device = pick_device("auto")
    if device.type == "cuda":
        return f"cuda, {torch.cuda.device_count()} x {torch.cuda.get_device_name(device)}"
    return f"{device.type}, {torch.get_num_threads()} threads"


def _problems(health: Health) -> Iterator[Problem]:
    name, where = health.name, f"plugin '{health.name}'" + (f" of {health.distribution}" * bool(health.distribution))
    leave_out = f"GANLM_DISABLE_PLUGINS={name} leaves it out"
    if health.status == "broken" and not health.distribution:
        yield Problem(str(health), "install it, or take its name out of GANLM_PLUGINS")
    elif health.status == "broken":
        yield Problem(str(health), f"repair it, upgrade it or 'pip uninstall {health.distribution}'; {leave_out}")
    elif health.status == "incompatible":
        yield Problem(str(health), f"'pip install --upgrade {health.distribution} {BUILT_IN}'; {leave_out}")
    elif health.status == "duplicate":
        yield Problem(str(health), f"use the long names of its components; {leave_out}")
    elif health.status == "ok" and health.reason:
        yield Problem(f"{where}: {health.reason}", "tell its author")
    if health.usable and not health.origin.built_in and health.seconds > SLOW:
        yield Problem(f"{where} takes {health.seconds:.1f} s to load, in every command", "tell its author")
