"""What a check looks at: one component with options, and how to build it."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from ganlm_core.components import ComponentSpec, Options
from ganlm_core.plugins.host import Host, default_host


class Skipped(Exception):
    """A check has nothing to say here; the message says why."""


@dataclass(frozen=True, repr=False)
class Case:
    """A component, what its options are beside their defaults, and the host that has the recipes around it."""

    spec: ComponentSpec
    changes: Mapping[str, Any] = field(default_factory=dict)
    host: Host = field(default_factory=default_host)

    def __str__(self) -> str:
        changes = ", ".join(f"{name}={value}" for name, value in self.changes.items())
        return f"{self.spec.kind} '{self.spec.name}'{f' with {changes}' if changes else ''}"

    def __repr__(self) -> str:
        return f"<{self}>"

    @property
    def id(self) -> str:
        """For the name of a test: ``generator-lstm`` or ``generator-lstm-layers=2``."""
        return "-".join([self.spec.kind, self.spec.name, *(f"{name}={value}" for name, value in self.changes.items())])

    @property
    def options(self) -> Options:
        return self.spec.options.of(self.changes, str(self))

    @property
    def target(self) -> Any:
        """What builds the component."""
        module, _, attribute = self.spec.target.partition(":")
        return getattr(importlib.import_module(module), attribute)

    def build(self, options: Options | None = None, seed: int = 0, **arguments: Any) -> Any:
        """What the target gives for these options, and for this seed. Raises whatever it raises."""
        torch.manual_seed(seed)
        arguments["options"] = self.options if options is None else options
        try:
            return self.target(**arguments)
        except TypeError as error:
            inside = error.__traceback__ is not None and error.__traceback__.tb_next is not None
            if inside:
                raise
            names = " and ".join(f"{name}=" for name in arguments)
            raise AssertionError(f"{self} is called with {names} and refuses ({error}); let it take these") from error

    def expect(self, condition: Any, advice: str) -> None:
        """``advice`` goes on from the component's name and says what its author should change."""
        __tracebackhide__ = True  # pytest then shows the line of the check
        if not condition:
            raise AssertionError(f"{self} {advice}")
