"""Recipes: the ``[about]`` table, the settings beside the paper's, the measured results, and the method's name.

::

    [about]
    summary = "one line"
    paper = "Yu et al. 2017, Alg. 1"
    needs = "the networks that it needs: an autoregressive generator"

    [about.paper_values]
    "training.batch_size" = "64"
    "estimator.rollout.samples" = "16"
    "discriminator" = "a CNN with highway layers"

A key of ``paper_values`` is the place of an option in a configuration, or a section; the value of a section is the
choice. A recipe names the paper's value of everything that changes the objective: anchor, blur, baseline, penalty.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ganlm_core.config.options import TrainingOptions
from ganlm_core.config.run_config import (
    DEFAULT_RECIPE,
    DEFAULTS,
    KIND_SECTIONS,
    Layer,
    RunConfig,
    name_in,
    options_of,
    read_recipe,
    resolve,
    sections,
    settings_of,
)
from ganlm_core.errors import OptionError, UnknownName, UsageError
from ganlm_core.plugins.host import Host, default_host
from ganlm_core.system.printable import shown

MEASURED = "measured.json"
"""The file with the measured results of recipes, in the folder of the recipes."""

METHOD = ("algorithm", "loss", "penalty", "estimator")
"""The sections that make up a training method."""


@dataclass(frozen=True)
class About:
    """The ``[about]`` table. It is shown and does not change a run."""

    summary: str = ""
    paper: str = ""
    needs: str = ""
    paper_values: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, layer: Layer) -> "About":
        """Read the table of a recipe or configuration file. Raises UnknownName or OptionError."""
        table, known = layer.get("about", {}), [each.name for each in fields(cls)]
        if not isinstance(table, Mapping):
            raise OptionError(f"about is {shown(table)}; wanted a table with any of {', '.join(known)}")
        for key, value in table.items():
            if key not in known:
                raise UnknownName("key", key, known, hint=f"the keys are {', '.join(known)}", where="[about]")
            if key != "paper_values":
                _check_text(f"about.{key}", value)
        papers = table.get("paper_values", {})
        if not isinstance(papers, Mapping):
            raise OptionError(
                f"about.paper_values is {shown(papers)}; wanted a table of settings and the paper's values"
            )
        for setting, value in papers.items():
            _check_text(f'about.paper_values."{setting}"', value)
        return cls(**table)


@dataclass(frozen=True)
class Setting:
    """A setting with its value in the recipe and in the paper; None if the recipe does not set it."""

    name: str
    here: Any
    paper: str | None

    @property
    def differs(self) -> bool:
        """Whether the recipe names a value of the paper, and has another one itself."""
        if self.paper is None:
            return False
        try:
            return float(self.paper) != self.here
        except ValueError:
            return self.paper != str(self.here).lower()


def check_about(host: Host, layer: Layer) -> None:
    """Raise UnknownName or OptionError for a wrong key, setting or value of ``[about]``."""
    for setting in About.of(layer).paper_values:
        _check_setting(host, setting)


def check_recipe(host: Host, recipe: str) -> None:
    """Raise UsageError or PluginError for a recipe that is not TOML, or that cannot be run or shown."""
    check_about(host, read_recipe(host, recipe))
    resolve(host, [{"recipe": recipe}])


def choices_of(host: Host, recipe: str) -> dict[str, str]:
    """Return the names that a recipe chooses, by section."""
    config = resolve(host, [{"recipe": recipe}])
    chosen = {section for section, _ in sections(read_recipe(host, recipe))}
    return {section: choice.name for section, choice in config.choices().items() if section in chosen}


def method_of(config: RunConfig | Layer, host: Host | None = None) -> str:
    """Return the name of the training method: its recipe, and what differs from it, such as
    ``autoregressive with algorithm two, loss focal``.

    ``config`` is resolved: a RunConfig, or its TOML form as a dict. If ``host`` (by default the installed plugins)
    lacks the recipe, all sections of METHOD are named. Raises UsageError for an impossible configuration.
    """
    config = config.to_dict() if isinstance(config, RunConfig) else config
    recipe, chosen = str(config.get("recipe", DEFAULT_RECIPE)), _method(config)
    by_recipe = _method_of_recipe(host or default_host(), recipe)
    changed = [f"{section} {name}" for section, name in chosen.items() if name != by_recipe.get(section)]
    return f"{recipe} with {', '.join(changed)}" if changed else recipe


def _method_of_recipe(host: Host, recipe: str) -> dict[str, str]:
    try:
        return _method(read_recipe(host, recipe))
    except UsageError:
        return {}


def _method(layer: Layer) -> dict[str, str]:
    """Return the choice of each section of METHOD by a layer over the defaults."""
    tables = dict(sections(layer))
    return {section: name_in(section, tables.get(section, {})) or DEFAULTS[section] for section in METHOD}


def beside_paper(host: Host, recipe: str) -> list[Setting]:
    """Return every option that a recipe or its paper sets, in the order of a configuration.

    Settings of the paper that this recipe does not have come last.
    """
    layer, config = read_recipe(host, recipe), resolve(host, [{"recipe": recipe}])
    here = settings_of(config) | {section: choice.name for section, choice in config.choices().items()}
    tables = {f"{section}.{name}": table for section, named in sections(layer) for name, table in named.items()}
    tables["training"] = layer.get("training", {})
    names = [f"{table}.{key.replace('-', '_')}" for table, values in tables.items() for key in values]
    papers = About.of(layer).paper_values
    found = {*names, *papers}
    ordered = [name for name in here if name in found] + [name for name in papers if name not in here]
    return [Setting(name, here.get(name), papers.get(name)) for name in ordered]


def measured(recipe: Path) -> dict[str, Any]:
    """Return the measured results of the recipe in this file, by corpus; empty if there are none that can be read.

    A result holds the ``command`` of the runs without their seed, and ``seeds``: for each seed the metrics ``before``
    and ``after`` adversarial training, and the ``cpu_seconds``.
    """
    import json

    try:
        found = json.loads(recipe.with_name(MEASURED).read_text(encoding="utf-8"))["recipes"][recipe.stem]
        return {corpus: result for corpus, result in found.items() if result["command"] and result["seeds"]}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def _check_text(key: str, value: Any) -> None:
    if not isinstance(value, str):
        raise OptionError(f"{key} is {shown(value)}; wanted text in quotes")


def _check_setting(host: Host, setting: str) -> None:
    """Raise UnknownName or OptionError unless a configuration can have this setting."""
    *place, last = setting.split(".")
    if setting in DEFAULTS or place == ["optimizer"]:
        return
    if place == ["training"]:
        TrainingOptions.field(last, "training")
        return
    depth = 2 if place[:1] == ["optimizer"] else 1
    section, name = ".".join(place[:depth]), ".".join(place[depth:])
    if not name or place[0] not in (*KIND_SECTIONS, "tokenizer", "optimizer"):
        raise OptionError(
            f"about.paper_values has '{setting}'; wanted a section, such as discriminator, or an option by its place, "
            "such as training.batch_size or estimator.rollout.samples"
        )
    options_of(host, section, name).field(last, f"{place[0]} '{name}'")
