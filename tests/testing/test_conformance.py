"""Every component that comes with ganlm keeps the protocol. Exceptions are listed where the component is declared.

The names come from the plugin host, so what a new plugin registers is tested without a line here; the options of each
that change what is computed are tested beside the plugin.
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
}
"""Corpora as large as a check needs; a file that is there."""


def built_in() -> Iterator[ComponentSpec | tuple[ComponentSpec, dict[str, object]]]:
    for kind in KINDS:
        for name, spec in HOST.specs(kind).items():
            yield (spec, SMALL[f"{kind} {name}"]) if f"{kind} {name}" in SMALL else spec


@parametrize_with_checks(built_in())
def test_conformance(component: Case, check: Callable[[Case], None]) -> None:
    check(component)
