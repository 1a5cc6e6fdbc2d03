"""The plugin host: finds plugins, loads each in isolation, and knows every component by name.

A plugin is an entry point in the group ``ganlm`` of an installed distribution, or one local file. The distribution
``ganlm`` itself registers first, so that built-in components keep their names. A later component with the same name
stays reachable as ``distribution/name``. A plugin that raises, exits, prints or hangs while it is loaded affects only
its own :class:`Health`, within the limits stated in :mod:`ganlm_core.plugins.isolation`.

Environment variables: ``GANLM_DISABLE_PLUGINS`` (names of entry points, comma-separated; ``all`` disables all but the
built-in plugins), ``GANLM_PLUGINS`` (load only these and the built-in plugins), ``GANLM_STRICT_PLUGINS=1`` (a plugin
in bad health is an error), ``GANLM_PLUGIN_TIMEOUT`` (seconds that loading one plugin may take).
"""

import copy
import functools
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pluggy

from ganlm_core.components import ComponentSpec, Options
from ganlm_core.errors import PluginError, UnknownName
from ganlm_core.plugins.commands import COMMANDS, Command
from ganlm_core.plugins.discovery import (
    BUILT_IN,
    Candidate,
    Origin,
    installed,
    local,
    names_in,
    why_disabled,
)
from ganlm_core.plugins.isolation import LoadReport, TookTooLong, preserve_process_state, time_limit, watched
from ganlm_core.plugins.loading import Content, Refused, Status, checked_pictures, with_place
from ganlm_core.plugins.targets import load_target
from ganlm_core.plugins.wording import blaming, described
from ganlm_core.system.version import __version__


@dataclass(frozen=True, eq=False)
class Health:
    """The health of one plugin after loading. Two plugins are never equal; their files may have one name.

    ``components`` are ``"kind name"``; for a broken plugin, the components that it registered before it failed.
    ``reason`` says what its author should change, also when the status is ``ok``.
    """

    name: str
    distribution: str
    version: str
    status: Status
    reason: str = ""
    seconds: float = 0.0
    components: tuple[str, ...] = ()

    @property
    def origin(self) -> Origin:
        return Origin(self.distribution, self.version)

    @property
    def usable(self) -> bool:
        return self.status in ("ok", "duplicate")

    def __str__(self) -> str:
        owner = f" of {self.distribution}" if self.distribution else ""
        return f"plugin '{self.name}'{owner} is {self.status}: {self.reason}"


class Host:
    """All plugins of one process and what they registered. See :meth:`discover`.

    ``files`` are the local plugins; a file that is given twice counts once. ``renamed`` has a line for each file
    that gives names which are taken.
    """

    def __init__(self, files: Iterable[str | Path] = ()) -> None:
        self.files = tuple({os.path.realpath(file): str(file) for file in files}.values())
        self.health: list[Health] = []
        self.renamed: list[str] = []
        own = Candidate("cli", Origin(BUILT_IN, __version__), load=tuple)
        self._owners = {("command", name): own for name in COMMANDS}
        self._given: dict[Health, Content] = {}
        self._specs: dict[tuple[str, str], ComponentSpec] = {}
        self._recipes: dict[str, Path] = {}
        self._commands: dict[str, Command] = {}
        self._managers: list[tuple[str, pluggy.PluginManager]] = []
        self._silenced: set[pluggy.PluginManager] = set()

    @classmethod
    def discover(
        cls, files: Iterable[str | Path] = (), *, no_plugins: bool = False, strict: bool | None = None
    ) -> "Host":
        """Load the built-in plugins, then the local ``files``, then the other installed plugins unless ``no_plugins``.

        This is also their order of precedence for names. ``strict`` follows ``GANLM_STRICT_PLUGINS`` by default. Raises
        PluginError when a file cannot be loaded, and, if strict, when any plugin is broken, incompatible or duplicate.
        """
        host = cls(files)
        built_in, others = installed()
        for candidate in built_in:
            host._add(candidate, why_disabled(candidate, no_plugins))
        for file in host.files:
            health = host._add(local(Path(file)))
            if not health.usable:
                raise PluginError(f"--plugin {file}: {health.reason}")
            if health.status == "duplicate":
                host.renamed.append(f"--plugin {file}: {health.reason}")
        for candidate in others:
            host._add(candidate, why_disabled(candidate, no_plugins))
        host._miss(names_in("GANLM_PLUGINS"))
        if strict if strict is not None else os.environ.get("GANLM_STRICT_PLUGINS") == "1":
            host._require_health()
        return host

    def specs(self, kind: str) -> dict[str, ComponentSpec]:
        """Return the components of a kind by name, sorted."""
        return {name: spec for (of, name), spec in sorted(self._specs.items()) if of == kind}

    def specs_of(self, health: Health) -> tuple[ComponentSpec, ...]:
        """Return the components that one plugin registered, in its order; none if it is not usable."""
        return tuple(self._given[health].components.values()) if health in self._given else ()

    def recipes_of(self, health: Health) -> tuple[str, ...]:
        """Return the names of the recipes that one plugin registered, in its order; none if it is not usable."""
        return tuple(self._given[health].recipes) if health in self._given else ()

    def commands_of(self, health: Health) -> tuple[str, ...]:
        """Return the names of the commands that one plugin registered, in its order; none if it is not usable."""
        return tuple(self._given[health].commands) if health in self._given else ()

    def name_of(self, spec: ComponentSpec) -> str:
        """Return the name that a component has here, also where its own name was taken."""
        return next((name for (_, name), known in self._specs.items() if known is spec), spec.name)

    def spec(self, kind: str, name: str) -> ComponentSpec:
        """Return the component. Raises UnknownName, or PluginError when the plugin that has this name did not load."""
        return self._find(kind, name)[0]

    def origin(self, kind: str, name: str) -> Origin:
        """Return the distribution of a component and its version. Raises the errors of :meth:`spec`."""
        return self._find(kind, name)[1]

    def target(self, kind: str, name: str) -> Any:
        """Import and return the target of a component. Raises PluginError if it cannot be imported."""
        spec, origin = self._find(kind, name)
        return load_target(spec.target, f"{kind} '{name}'", origin)

    def build(self, kind: str, name: str, options: Options | None = None, **arguments: Any) -> Any:
        """Return ``target(options=options, **arguments)``, by default with its default options.

        Raises PluginError or a GanlmError of the component.
        """
        target, own = self.target(kind, name), self.spec(kind, name).options
        with self.blaming(kind, name, "cannot be built"):
            return target(options=own() if options is None else options, **arguments)

    @contextmanager
    def blaming(self, kind: str, name: str, what: str) -> Iterator[None]:
        """Blame a component for an exception in the block, as :func:`ganlm_core.plugins.wording.blaming` does."""
        with blaming(self.full_name(kind, name), what):
            yield

    def full_name(self, kind: str, name: str) -> str:
        """Return a component's kind, name and origin for messages. Raises the errors of :meth:`spec`."""
        return f"{kind} '{name}' of {self.origin(kind, name)}"

    def flags(self) -> list[str]:
        """Return the command-line flags that load the local files again."""
        return [word for file in self.files for word in ("--plugin", file)]

    def recipes(self) -> dict[str, Path]:
        """Return the recipe files by name, sorted."""
        return dict(sorted(self._recipes.items()))

    def commands(self) -> dict[str, Command]:
        """Return the commands from plugins by name, sorted."""
        return dict(sorted(self._commands.items()))

    def notify(self, hook: str, **arguments: Any) -> list[str]:
        """Call an observer hook with copies of the arguments, so that observers cannot change the run.

        Return a line for each observer that raised or changed the process; it is not called again in this run.
        """
        if hook == "ganlm_run_started":
            self._silenced.clear()
        warnings = []
        for name, manager in self._managers:
            call = getattr(manager.hook, hook)
            if manager in self._silenced or not call.get_hookimpls():
                continue
            try:
                with preserve_process_state() as changed:
                    call(**copy.deepcopy(arguments))
                if changed:
                    raise PluginError(f"it changes {' and '.join(changed)}; leave the process as it is")
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                self._silenced.add(manager)
                warnings.append(
                    f"observer '{name}' failed in {hook} and is switched off for this run: {described(error)}"
                )
        return warnings

    def pictures(self, config: Mapping[str, Any], samples: list[str]) -> dict[str, str]:
        """Return the pictures of all plugins by title, as SVG; the title says why if a plugin fails to draw."""
        found: dict[str, str] = {}
        for name, manager in self._managers:
            try:
                for pictures in manager.hook.ganlm_pictures(**copy.deepcopy({"config": config, "samples": samples})):
                    found |= checked_pictures(pictures)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                found[f"plugin '{name}' cannot draw: {described(error)}"] = ""
        return found

    def _find(self, kind: str, name: str) -> tuple[ComponentSpec, Origin]:
        spec = self._specs.get((kind, name))
        if spec is None:
            self._explain_loss(kind, name)
            raise UnknownName(kind, name, self.specs(kind), hint=f"'ganlm list {kind}' shows them")
        return spec, self._owners[kind, name].origin

    def _explain_loss(self, kind: str, name: str) -> None:
        """Raise PluginError if ``name`` belongs, as far as is known, to a plugin that did not load."""
        if not any(health.origin.built_in for health in self.health):
            raise PluginError(
                f"{kind} '{name}' cannot be found: the distribution {BUILT_IN} is not installed in this Python; "
                "install it with pip, from a checkout with 'pip install -e .'"
            )
        for health in self.health:
            names = (health.name, f"{health.distribution}/{health.name}")
            if not health.usable and (f"{kind} {name}" in health.components or name in names):
                raise PluginError(f"{kind} '{name}' cannot be used: {health}; 'ganlm plugins' shows all of them")

    def _add(self, candidate: Candidate, why_disabled: str = "") -> Health:
        content, origin, watch = Content(), candidate.origin, LoadReport()
        limit = 0 if origin.built_in else time_limit()
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
            status, reason = "broken", with_place(described(error), error)
        components = tuple(" ".join(key) for key in content.components)
        reason = "; ".join(filter(None, (reason, *watch.remarks, *content.deprecations)))
        health = Health(candidate.name, *origin, status, reason, watch.seconds, components)
        self.health.append(health)
        if health.usable:
            self._given[health] = content
        return health

    def _register(self, candidate: Candidate, content: Content) -> list[str]:
        """Register the content, under ``distribution/name`` where a name is taken. Return the taken names.

        Raises PluginError, before anything is registered, if a longer name is taken too.
        """
        names = {key: self._free_name(*key, candidate) for key in content.names()}
        self._owners |= {(what, name): candidate for (what, _), name in names.items()}
        self._specs |= {(kind, names[kind, name]): spec for (kind, name), spec in content.components.items()}
        content.recipes = {names["recipe", name]: path for name, path in content.recipes.items()}
        self._recipes |= content.recipes
        content.commands = {names["command", name]: command for name, command in content.commands.items()}
        self._commands |= {name: Command(*command, candidate.origin) for name, command in content.commands.items()}
        self._managers.append((candidate.name, content.manager))
        return [f"{what} {name} (this one is {own})" for (what, name), own in names.items() if own != name]

    def _free_name(self, what: str, name: str, candidate: Candidate) -> str:
        """Return ``name``, or ``distribution/name`` if that is taken. Raises PluginError if both are."""
        longer = f"{candidate.origin.distribution}/{name}"
        if (what, name) not in self._owners:
            return name
        if (what, longer) in self._owners:
            raise PluginError(
                f"{what} {name} is taken by {self._owners[what, name]}, and {what} {longer} by "
                f"{self._owners[what, longer]}; give this one another name"
            )
        return longer

    def _miss(self, wanted: Iterable[str]) -> None:
        """Report the plugins that ``GANLM_PLUGINS`` names but no distribution has."""
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
    """Return the host of the installed plugins, which is discovered once per process."""
    return Host.discover()
