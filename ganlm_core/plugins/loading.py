"""Load one plugin: call its hooks and check what they return."""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pluggy

from ganlm_core import hookspecs
from ganlm_core.components import ComponentSpec, check_name, check_spec, check_target
from ganlm_core.errors import PluginError, did_you_mean
from ganlm_core.hookspecs import GANLM_PLUGIN_API
from ganlm_core.plugins.discovery import Candidate
from ganlm_core.plugins.wording import place_of

HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("ganlm_"))

Status = Literal["ok", "broken", "incompatible", "duplicate", "disabled"]


@dataclass
class Content:
    """The checked results of one plugin's hooks; incomplete if :meth:`read` raised."""

    manager: pluggy.PluginManager = field(default_factory=lambda: pluggy.PluginManager("ganlm"))
    components: dict[tuple[str, str], ComponentSpec] = field(default_factory=dict)
    recipes: dict[str, Path] = field(default_factory=dict)
    commands: dict[str, tuple[str, str]] = field(default_factory=dict)
    deprecations: list[str] = field(default_factory=list)

    def read(self, candidate: Candidate) -> None:
        plugin = candidate.load()
        _check_api(plugin)
        self.manager.add_hookspecs(hookspecs)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            self.manager.register(plugin, candidate.name)
        self.deprecations.extend(str(one.message) for one in warned)
        for hook in self._unknown_hooks():
            raise PluginError(f"it implements {hook}, which is no hook{did_you_mean(hook, HOOKS)}")
        if not self.manager.get_hookcallers(plugin):
            raise PluginError("it has no hooks; decorate its functions with ganlm_core.hookspecs.hookimpl")
        for spec in self._items("ganlm_components"):
            key = check_spec(spec).kind, spec.name
            if key in self.components:
                raise ValueError(f"it gives {' '.join(key)} twice")
            self.components[key] = spec
        for path in map(Path, self._items("ganlm_recipes")):
            if path.suffix != ".toml" or not path.is_file():
                raise ValueError(f"recipe {path} is not a TOML file")
            if path.stem in self.recipes:
                raise ValueError(f"it gives recipe {path.stem} twice")
            self.recipes[path.stem] = path
        for commands in self._results("ganlm_commands"):
            self.commands |= _checked_commands(commands)

    def names(self) -> list[tuple[str, str]]:
        """Return all that is registered: each component's kind and name, recipes and commands."""
        recipes = [("recipe", name) for name in self.recipes]
        return [*self.components, *recipes, *(("command", name) for name in self.commands)]

    def _unknown_hooks(self) -> list[str]:
        callers = vars(self.manager.hook).items()
        return [name for name, caller in callers if isinstance(caller, pluggy.HookCaller) and not caller.has_spec()]

    def _items(self, hook: str) -> Iterator[Any]:
        """Yield the items that the plugin's implementation of a hook gives."""
        for items in self._results(hook):
            if isinstance(items, str) or not isinstance(items, Iterable):
                raise TypeError(f"{hook} gave {items!r}; let it yield what it has, or return a list")
            yield from items

    def _results(self, hook: str) -> list[Any]:
        """Return what the plugin's implementation of a hook gives. Pluggy leaves out a result of None."""
        caller = getattr(self.manager.hook, hook)
        return caller() or [None] * len(caller.get_hookimpls())


class Refused(Exception):
    """Raised when a plugin is not loaded although its code did not fail."""

    def __init__(self, status: Status, reason: str) -> None:
        self.status, self.reason = status, reason


def checked_pictures(pictures: Any) -> Mapping[str, str]:
    """Return what ``ganlm_pictures`` gave if a report can show it. An empty picture has only a title."""
    if not isinstance(pictures, Mapping):
        raise PluginError(f"it gave a value of type {type(pictures).__name__}; return a dict: title -> <svg> element")
    for title, picture in pictures.items():
        drawn = isinstance(picture, str) and (not picture or picture.startswith("<svg"))
        if not (isinstance(title, str) and drawn):
            raise PluginError(f"picture {title!r} is not a title with a text that begins with <svg")
    return pictures


def with_place(reason: str, error: BaseException) -> str:
    """Return ``reason`` with the file and line where a plugin raised the error, if that is known."""
    place = "" if isinstance(error, PluginError | SyntaxError) else place_of(error)
    return f"{reason} ({place})" if place else reason


def _checked_commands(commands: Any) -> Mapping[str, tuple[str, str]]:
    if not isinstance(commands, Mapping):
        raise TypeError(f"ganlm_commands gave {commands!r}; return a dict: name -> (dotted target, one line of help)")
    for name, command in commands.items():
        where = f"command {name!r}"
        check_name(where, name)
        if not (isinstance(command, tuple) and [type(part) for part in command] == [str, str]):
            raise TypeError(f"{where} is {command!r}; give a pair of texts: (dotted target, one line of help)")
        check_target(where, command[0])
    return commands


def _check_api(plugin: object) -> None:
    wanted = getattr(plugin, "GANLM_PLUGIN_API", GANLM_PLUGIN_API)
    if type(wanted) is not int:
        raise PluginError(f"GANLM_PLUGIN_API is {wanted!r}; wanted a whole number, such as {GANLM_PLUGIN_API}")
    if wanted != GANLM_PLUGIN_API:
        raise Refused(
            "incompatible", f"it is for plugin API {wanted}, this is {GANLM_PLUGIN_API}; install a version that fits"
        )
