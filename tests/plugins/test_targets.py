"""Targets of components: imported, or looked for without running them."""

from pathlib import Path

import pytest

from ganlm_core.components import NoOptions
from ganlm_core.errors import PluginError
from ganlm_core.plugins.host import Host
from ganlm_core.plugins.targets import missing_target
from tests.guests import Install


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("nowhere.at_all:Thing", "ModuleNotFoundError: No module named 'nowhere'"),
        ("ganlm_core.errors:Thing", "AttributeError: module 'ganlm_core.errors' has no attribute 'Thing'"),
    ],
)
def test_a_target_that_cannot_be_imported_names_its_plugin(install: Install, target: str, error: str) -> None:
    install(f"@hookimpl\ndef ganlm_components():\n    yield ComponentSpec('loss', 'x', '{target}')")
    with pytest.raises(PluginError) as caught:
        Host.discover().build("loss", "x", NoOptions())
    assert (
        str(caught.value) == f"loss 'x' of some-zoo 2.5 cannot be imported from {target}: {error}; --debug shows where"
    )


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("json:loads", ""),
        ("json:nothing", "json/__init__.py has no nothing"),
        ("nowhere:x", "there is no module nowhere"),
        ("leaving.inner:x", "SystemExit: 3"),
        ("unparsed:x", "SyntaxError: invalid syntax (unparsed.py, line 1)"),
        ("math:anything", ""),
    ],
)
def test_a_target_that_cannot_exist_is_told_without_running_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, reason: str
) -> None:
    (tmp_path / "leaving").mkdir()
    (tmp_path / "leaving" / "__init__.py").write_text("raise SystemExit(3)")
    (tmp_path / "unparsed.py").write_text("def f(:")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = missing_target(target)
    assert found.endswith(reason) and bool(found) == bool(reason)
