"""The plugin host: finds plugins, isolates each of them, and knows every component by name.

A plugin is an entry point in the group ``ganlm`` of an installed distribution, or one local file. The distribution
``ganlm`` itself registers first, so that built-in components keep their names; a newcomer with the same name stays
reachable as ``distribution/name``. Whatever a plugin does when it is loaded (raise, exit, print, hang) ends in its
:class:`Health` and nowhere else, as far as :mod:`ganlm_core.plugins.isolation` can see to it.

Environment: ``GANLM_DISABLE_PLUGINS`` (entry points by name, with commas; ``all``: everything but the built-in
ones), ``GANLM_PLUGINS`` (besides the built-in ones, only these), ``GANLM_STRICT_PLUGINS=1`` (bad health is an error),
``GANLM_PLUGIN_TIMEOUT`` (seconds that one may take to be loaded).
"""

import functools
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pluggy

from ganlm_core.components import ComponentSpec, Options
from ganlm_core.errors import GanlmError, PluginError, UnknownName
from ganlm_core.plugins.discovery import (
    BUILT_IN,
    Candidate,
    Origin,
    installed,
    load_target,
    local,
    names_in,
    one_line,
    why_disabled,
)
from ganlm_core.plugins.isolation import TookTooLong, Watched, time_limit, watched
from ganlm_core.plugins.loading import Content, Refused, Status, with_place

OBSERVER_HOOKS = ("ganlm_run_started", "ganlm_step_ended", "ganlm_evaluated", "ganlm_run_ended")


@dataclass(frozen=True)
class Health:
    """What became of one plugin. ``components`` are ``"kind name"``; of a broken one, those it gave before it broke.

    ``reason`` is what its author should change, also where the status is ``ok``.
    """

    name: str
    distribution: str
    version: str
    status: Status
    reason: str = ""
    seconds: float = 0.0
    components: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        return self.status in ("ok", "duplicate")

    def __str__(self) -> str:
        owner = f" of {self.distribution}" if self.distribution else ""
        return f"plugin '{self.name}'{owner} is {self.status}: {self.reason}"


@dataclass(frozen=True)
class Command:
    """A subcommand from a plugin: the dotted target of a click command, and one line of help."""

    target: str
    help: str
    origin: Origin


class Host:
    """Everything that the plugins of one process registered. ``files`` are the local ones. Made by :meth:`discover`."""

    def __init__(self, files: Iterable[str | Path] = ()) -> None:
        self.files = tuple(map(str, files))
        self.health: list[Health] = []
        self._specs: dict[tuple[str, str], tuple[ComponentSpec, Origin]] = {}
        self._given: dict[tuple[str, str], tuple[tuple[ComponentSpec, ...], tuple[str, ...]]] = {}
        self._recipes: dict[str, Path] = {}
        self._commands: dict[str, Command] = {}
        self._managers: list[tuple[str, pluggy.PluginManager]] = []
        self._silenced: set[pluggy.PluginManager] = set()

    @classmethod
    def discover(
        cls, files: Iterable[str | Path] = (), *, no_plugins: bool = False, strict: bool | None = None
    ) -> "Host":
        """The built-in plugins, the local ``files``, and the other installed ones unless ``no_plugins``.

        In that order: a file that somebody names goes before what lies about, and nothing goes before what is built in.
        ``strict`` follows ``GANLM_STRICT_PLUGINS`` by default. Raises PluginError when a file cannot be loaded, and,
        if strict, when any plugin is broken, incompatible or duplicate.
        """
        host = cls(files)
        built_in, others = installed()
        for candidate in built_in:
            host._add(candidate, why_disabled(candidate, no_plugins))
        for file in host.files:
            health = host._add(local(Path(file)))
            if not health.usable:
                raise PluginError(f"--plugin {file}: {health.reason}")
        for candidate in others:
            host._add(candidate, why_disabled(candidate, no_plugins))
        host._miss(names_in("GANLM_PLUGINS"))
        if strict if strict is not None else os.environ.get("GANLM_STRICT_PLUGINS") == "1":
            host._require_health()
        return host

    def specs(self, kind: str) -> dict[str, ComponentSpec]:
        """The components of a kind by name, sorted."""
        return {name: spec for (of, name), (spec, _) in sorted(self._specs.items()) if of == kind}

    def specs_of(self, health: Health) -> tuple[ComponentSpec, ...]:
        """The components that one plugin registered, in its order; none if it is not usable."""
        return self._given.get((health.distribution, health.name), ((), ()))[0]

    def recipes_of(self, health: Health) -> tuple[str, ...]:
        """The names of the recipes that one plugin registered, in its order; none if it is not usable."""
        return self._given.get((health.distribution, health.name), ((), ()))[1]

    def spec(self, kind: str, name: str) -> ComponentSpec:
        """Raises UnknownName, or PluginError when the plugin that has this name did not load."""
        return self._find(kind, name)[0]

    def origin(self, kind: str, name: str) -> tuple[str, str]:
        """The distribution and the version that a component comes from. Raises as :meth:`spec`."""
        origin = self._find(kind, name)[1]
        return origin.distribution, origin.version

    def target(self, kind: str, name: str) -> Any:
        """What a component is made by. Raises PluginError if it cannot be imported."""
        spec, origin = self._find(kind, name)
        return load_target(spec.target, f"{kind} '{name}'", origin)

    def build(self, kind: str, name: str, options: Options, **arguments: Any) -> Any:
        """The component: ``target(options=options, **arguments)``. Raises PluginError, or a GanlmError of its own."""
        target = self.target(kind, name)
        with self.blaming(kind, name, "cannot be built"):
            return target(options=options, **arguments)

    @contextmanager
    def blaming(self, kind: str, name: str, what: str) -> Iterator[None]:
        """Make what a component raises a PluginError that says ``what`` went wrong; a GanlmError of its own stays."""
        try:
            yield
        except GanlmError:
            raise
        except Exception as error:
            raise PluginError(f"{self.full_name(kind, name)} {what}: {one_line(error)}; --debug shows where") from error

    def full_name(self, kind: str, name: str) -> str:
        """A component and where it is from, for messages. Raises as :meth:`spec`."""
        return f"{kind} '{name}' of {self._find(kind, name)[1]}"

    def flags(self) -> list[str]:
        """What a command line needs to load the local files again."""
        return [word for file in self.files for word in ("--plugin", file)]

    def recipes(self) -> dict[str, Path]:
        """The recipe files by name, sorted."""
        return dict(sorted(self._recipes.items()))

    def commands(self) -> dict[str, Command]:
        """The subcommands from plugins by name, sorted."""
        return dict(sorted(self._commands.items()))

    def notify(self, hook: str, **arguments: Any) -> list[str]:
        """Call an observer hook; give a line for each observer that raised, which is silent until the next run."""
        if hook == "ganlm_run_started":
            self._silenced.clear()
        warnings = []
        for name, manager in self._observers():
            if manager in self._silenced:
                continue
            try:
                getattr(manager.hook, hook)(**arguments)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                self._silenced.add(manager)
                warnings.append(
                    f"observer '{name}' failed in {hook} and is switched off for this run: {one_line(error)}"
                )
        return warnings

    def _observers(self) -> list[tuple[str, pluggy.PluginManager]]:
        return [
            (name, manager)
            for name, manager in self._managers
            if any(getattr(manager.hook, hook).get_hookimpls() for hook in OBSERVER_HOOKS)
        ]

    def _find(self, kind: str, name: str) -> tuple[ComponentSpec, Origin]:
        found = self._specs.get((kind, name))
        if found is None:
            self._explain_loss(kind, name)
            raise UnknownName(kind, name, self.specs(kind), hint=f"'ganlm list {kind}' shows them")
        return found

    def _explain_loss(self, kind: str, name: str) -> None:
        """Raises PluginError if ``name`` belongs, as far as can be known, to a plugin that did not load."""
        if not any(health.distribution == BUILT_IN for health in self.health):
            raise PluginError(
                f"{kind} '{name}' cannot be found: the distribution {BUILT_IN} is not installed in this Python; "
                "install it with pip, from a checkout with 'pip install -e .'"
            )
        for health in self.health:
            names = (health.name, f"{health.distribution}/{health.name}")
            if not health.usable and (f"{kind} {name}" in health.components or name in names):
                raise PluginError(f"{kind} '{name}' cannot be used: {health}; 'ganlm plugins' shows all of them")

    def _add(self, candidate: Candidate, why_disabled: str = "") -> Health:
        content, origin, watch = Content(), candidate.origin, Watched()
        limit = time_limit() if origin.distribution != BUILT_IN else 0
        status: Status
        try:
            if why_disabled:
                raise Refused("disabled", why_disabled)
            with watched(limit) as watch:
                content.read(candidate)
            taken = self._register(candidate, content)
            status, reason = ("duplicate", f"already taken: {', '.join(taken)}") if taken else ("ok", "")
        except Refused as refusal:
            status, reason = refusal.status, refusal.reason
        except KeyboardInterrupt:
            raise
        except TookTooLong as stop:
            status, reason = "broken", f"{with_place(str(stop), stop)}; GANLM_PLUGIN_TIMEOUT allows more"
        except BaseException as error:
            status, reason = "broken", with_place(one_line(error), error)
        components = tuple(" ".join(key) for key in content.components)
        reason = "; ".join(filter(None, (reason, *watch.remarks, *content.deprecations)))
        self.health.append(
            Health(candidate.name, origin.distribution, origin.version, status, reason, watch.seconds, components)
        )
        return self.health[-1]

    def _register(self, candidate: Candidate, content: Content) -> list[str]:
        """Take the content in, what is taken already as ``distribution/name``; give the names that were taken."""
        origin, taken = candidate.origin, []

        def free(what: str, name: str, is_taken: bool) -> str:
            if not is_taken:
                return name
            taken.append(f"{what} {name} (this one is {origin.distribution}/{name})")
            return f"{origin.distribution}/{name}"

        for (kind, name), spec in content.components.items():
            self._specs[kind, free(kind, name, (kind, name) in self._specs)] = spec, origin
        recipes = {free("recipe", name, name in self._recipes): path for name, path in content.recipes.items()}
        self._recipes |= recipes
        for name, (target, help) in content.commands.items():
            self._commands[free("command", name, name in self._commands)] = Command(target, help, origin)
        self._given[origin.distribution, candidate.name] = tuple(content.components.values()), tuple(recipes)
        self._managers.append((candidate.name, content.manager))
        return taken

    def _miss(self, wanted: Iterable[str]) -> None:
        """Report the plugins that ``GANLM_PLUGINS`` names and no distribution has."""
        found = {health.name for health in self.health}
        for name in sorted(set(wanted) - found):
            self.health.append(
                Health(name, "", "", "broken", "GANLM_PLUGINS names it, and no installed distribution has it")
            )

    def _require_health(self) -> None:
        for health in self.health:
            if health.status not in ("ok", "disabled"):
                raise PluginError(str(health))


@functools.cache
def default_host() -> Host:
    """The host of the installed plugins, discovered once in a process."""
    return Host.discover()
