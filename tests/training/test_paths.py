"""Paths in a configuration."""

import os
from pathlib import Path

import pytest

from ganlm_core.config.make_config import make_config
from ganlm_core.errors import DataError
from ganlm_core.training.paths import is_read_once, with_absolute_paths, with_data_at

CONFIG = make_config("lstm", "conv", data="grammar")


def test_absolute_paths_of_data_and_of_bundles_that_rewards_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bundle").mkdir()
    reward = {"classifier": {"path": "bundle"}}
    found = with_absolute_paths(make_config("lstm", "conv", data="my.txt", reward=reward))
    assert found.corpus.options.as_dict()["path"] == str(tmp_path / "my.txt")
    assert found.rewards["classifier"].options.as_dict()["path"] == str(tmp_path / "bundle")
    assert with_absolute_paths(found) == found
    assert with_absolute_paths(CONFIG) == with_data_at(CONFIG, lambda path: "elsewhere") == CONFIG


def test_a_path_of_data_that_is_not_utf8_is_refused() -> None:
    """A configuration is UTF-8, and could not be saved."""
    with pytest.raises(
        DataError, match=r"caf.\.txt is not UTF-8, which a configuration is; rename the file or folder$"
    ):
        with_absolute_paths(make_config("lstm", "conv", data="caf\udce9.txt"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="FIFOs are POSIX's")
def test_paths_that_can_be_read_only_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "plain").touch()
    found = {path: is_read_once(path) for path in ("-", "/dev/stdin", "/dev/fd/63", f"{tmp_path}/fifo")}
    assert all(found.values()), found
    assert not any(is_read_once(f"{tmp_path}/{name}") for name in ("plain", "missing"))
