"""Plugins that are installed for one test."""

import functools
from pathlib import Path

import pytest

from tests.guests import Install, write_guest


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return :func:`write_guest` for a folder on ``sys.path``."""
    for variable in ("GANLM_PLUGINS", "GANLM_DISABLE_PLUGINS", "GANLM_STRICT_PLUGINS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    return functools.partial(write_guest, tmp_path)
