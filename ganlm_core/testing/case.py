"""A case: one component with options, for the checks to build."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ganlm_core.components import ComponentSpec, Options
from ganlm_core.plugins.host import Host, default_host


class Skipped(Exception):
    """A check does not apply; the message says why."""


class Failed(AssertionError):
    """A check failed; the message names the component and says what its author should change."""


@dataclass(frozen=True, repr=False)
class Case:
    """A component, the options that differ from its defaults, and the host that knows the recipes."""

    spec: ComponentSpec
    changes: Mapping[str, Any] = field(default_factory=dict)
    host: Host = field(default_factory=default_host)

    def __str__(self) -> str:
        changes = ", ".join(f"{name}={value}" for name, value in self.changes.items())
        return f"{self.spec.kind} '{self.host.name_of(self.spec)}'{f' with {changes}' if changes else ''}"

    def __repr__(self) -> str:
        return f"<{self}>"

    @property
    def id(self) -> str:
        """Return the id of a test: ``generator-lstm`` or ``generator-lstm-layers=2``."""
        return "-".join([self.spec.kind, self.spec.name, *(f"{name}={value}" for name, value in self.changes.items())])

    @property
    def options(self) -> Options:
        return self.spec.options.of(self.changes, str(self))

    @property
    def target(self) -> Any:
        """Import and return the target that builds the component."""
        module, _, attribute = self.spec.target.partition(":")
        return getattr(importlib.import_module(module), attribute)

    def build(self, options: Options | None = None, seed: int = 0, **arguments: Any) -> Any:
        """Build the component with these options and this seed. Raises the errors of the target."""
        torch.manual_seed(seed)
        arguments["options"] = self.options if options is None else options
        try:
            return self.target(**arguments)
        except TypeError as error:
            inside = error.__traceback__ is not None and error.__traceback__.tb_next is not None
            if inside:
                raise
            names = " and ".join(f"{name}=" for name in arguments)
            raise self.failed(f"does not accept the arguments {names} ({error}); accept them") from error

    def expect(self, condition: Any, advice: str) -> None:
        """Raise Failed with ``advice`` unless ``condition`` holds."""
        __tracebackhide__ = True  # pytest then shows the line of the check
        if not condition:
            raise self.failed(advice)

    def scalar(self, value: Any, what: str = "") -> Tensor:
        """Return a value that must be a tensor of one number, else raise Failed. ``what``: where it is from."""
        __tracebackhide__ = True
        self.expect(isinstance(value, Tensor), f"gives a value of type {type(value).__name__}{what}; return a tensor")
        shape = tuple(value.shape)
        self.expect(not shape, f"gives a tensor of shape {shape}{what}; take the mean over the batch")
        found: Tensor = value
        return found

    def failed(self, advice: str) -> Failed:
        """Return the error of a failed check: the component's name, then ``advice``, which says what to change."""
        return Failed(f"{self} {advice}")
