"""Components, recipes and trained models as ``ganlm list``, ``ganlm recipes list`` and ``ganlm show`` describe them."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ganlm_core.bundle import zoo
from ganlm_core.components import KINDS, Option
from ganlm_core.config.recipes import About, beside_paper, choices_of, measured
from ganlm_core.config.run_config import PREFIXES, REWARD, catalog, read_layer, read_recipe
from ganlm_core.errors import UsageError
from ganlm_core.evaluation.scores import TITLES
from ganlm_core.metrics.formatting import format_metric
from ganlm_core.plugins.host import Host

CHOOSABLE = (*KINDS, "tokenizer", "optimizer")
WEIGHTS = "weights"

Entry = Mapping[str, Any]


def summarize(host: Host, kind: str, name: str) -> dict[str, Any]:
    """Return one line of a list. Tokenizers and optimisers belong to the core and have only a name."""
    entry = {"kind": kind, "name": name, "summary": "", "source": ""}
    if kind not in KINDS:
        return entry
    spec, origin = host.spec(kind, name), host.origin(kind, name)
    return entry | {"summary": spec.summary, "source": spec.source, **origin._asdict()}


def summarize_weights(entry: zoo.Entry) -> dict[str, Any]:
    """Return one line for a trained model of the zoo: its size, its scores and a sentence."""
    scores = [
        f"{title} {format_metric(name, entry.metrics[name])}" for name, title in TITLES.items() if name in entry.metrics
    ]
    facts = ", ".join([f"{entry.size / 1e6:.1f} MB", *scores])
    return {
        "kind": WEIGHTS,
        "name": f"{zoo.PREFIX}{entry.name}",
        "summary": f"{facts}: {entry.sample}",
        "source": "",
        "size": entry.size,
        "metrics": entry.metrics,
        "sample": entry.sample,
    }


def summarize_recipe(name: str, path: Path) -> dict[str, str]:
    """Return one line for a recipe; the summary of an unreadable recipe is its error."""
    try:
        about = About.of(read_layer(path))
    except UsageError as error:
        about = About(summary=str(error))
    return {
        "name": name,
        "path": str(path),
        "summary": about.summary,
        "paper": about.paper,
        "needs": about.needs,
    }


def describe(host: Host, kind: str, name: str) -> dict[str, Any]:
    """Return the whole declaration of a component or, for the kind ``recipe``, of a recipe."""
    if kind == "recipe":
        return _describe_recipe(host, name)
    options = catalog(host, kind)[name].fields()
    return summarize(host, kind, name) | {"options": [_option(kind, name, option) for option in options]}


def _describe_recipe(host: Host, name: str) -> dict[str, Any]:
    """Return a recipe's line with its choices, its settings beside the paper's, and its results."""
    read_recipe(host, name)  # raises for an unreadable recipe
    path = host.recipes()[name]
    return {
        "kind": "recipe",
        **summarize_recipe(name, path),
        "choices": choices_of(host, name),
        "settings": [asdict(setting) for setting in beside_paper(host, name)],
        "measured": measured(path),
    }


def _option(kind: str, name: str, option: Option) -> dict[str, Any]:
    prefixes = [prefix for section, prefix in PREFIXES.items() if section.partition(".")[0] == kind]
    prefixes += [REWARD + name] * (kind == "reward")
    return {
        "name": option.name,
        "flags": [f"--{prefix}.{option.flag}" for prefix in prefixes],
        "type": option.type.__name__,
        "default": option.default,
        "min": option.min,
        "max": option.max,
        "choices": list(option.choices),
        "help": option.help,
    }
