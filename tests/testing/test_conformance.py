"""Every built-in component keeps the protocol, with its default options.

The names come from the plugin host, so the components of a new plugin are tested without a change here. The tests of
each plugin cover options that change the computation. A ComponentSpec lists the exceptions of its component.
"""

from collections.abc import Callable, Iterator

from ganlm_core.components import KINDS, ComponentSpec
from ganlm_core.plugins.host import Host
from ganlm_core.testing import Case, parametrize_with_checks

HOST = Host.discover(no_plugins=True)
SMALL = {
    "corpus grammar": {"size": 300},
    "corpus oracle": {"size": 300, "vocabulary": 50, "length": 5},
    "corpus file": {"path": __file__},
    "reward classifier": {"path": "zoo:lstm-conv.autoregressive-grammar"},
}
"""Sizes that suffice for the checks, a file and a bundle that exist."""


def built_in() -> Iterator[ComponentSpec | tuple[ComponentSpec, dict[str, object]]]:
    for kind in KINDS:
        for name, spec in HOST.specs(kind).items():
            yield (spec, SMALL[f"{kind} {name}"]) if f"{kind} {name}" in SMALL else spec


@parametrize_with_checks(built_in())
def test_conformance(component: Case, check: Callable[[Case], None]) -> None:
    check(component)
