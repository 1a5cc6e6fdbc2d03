"""Plugin files with a space and an umlaut in their names, from training to a loaded bundle."""

import json
import shutil
from pathlib import Path

import pytest

from ganlm_core.bundle.load import load
from ganlm_core.bundle.verify import verify
from ganlm_core.errors import PluginError
from ganlm_core.plugins.discovery import Origin
from ganlm_core.plugins.host import Host
from ganlm_core.training.setup import prepare
from tests.conftest import Ganlm, tiny_config

PLUGIN = """
from ganlm_core.components import ComponentSpec
from ganlm_core.hookspecs import hookimpl
from ganlm_lstm.networks import LSTMGenerator
from ganlm_lstm.options import LSTMGeneratorOptions

@hookimpl
def ganlm_components():
    yield ComponentSpec("generator", "mine", f"{__name__}:LSTMGenerator", LSTMGeneratorOptions, "an LSTM of mine")
"""
NAME = "mein plügin.py"
SMALL = ("--gen", "mine", "--gen.hidden-size", 8, "--gen.embedding-size", 8, "--disc.filters", 4, "--corpus.size", 300,
         "--recipe", "autoregressive", "--steps", 4, "--batch-size", 8, "--evaluation-samples", 20)  # fmt: skip


def test_a_plugin_file_with_any_printable_name_trains_and_is_shared(ganlm: Ganlm, tmp_path: Path) -> None:
    file = tmp_path / NAME
    file.write_text(PLUGIN, encoding="utf-8")
    code, _, err = ganlm("--plugin", file, "run", *SMALL, "--out", "run")
    assert code == 0, err
    assert "there is no report" not in err
    config = json.loads(Path("run/bundle/config.json").read_text(encoding="utf-8"))
    assert config["components"]["generator"]["distribution"] == NAME
    card = Path("run/bundle/README.md").read_text(encoding="utf-8")
    assert f"| {NAME} |" in card and "pip install ganlm\n" in card

    host = Host.discover([file])
    assert verify("run", host)[-1].detail == "identical"
    assert len(load("run", host).sample(2)) == 2
    assert ganlm("--plugin", file, "weights", "export", "run", "--out", "copy")[0] == 0
    assert ganlm("--plugin", file, "sample", "copy", "-n", 1)[0] == 0


def test_a_bundle_of_a_plugin_file_that_is_missing_says_how_to_load_it(ganlm: Ganlm, tmp_path: Path) -> None:
    file = tmp_path / NAME
    file.write_text(PLUGIN, encoding="utf-8")
    assert ganlm("--plugin", file, "run", *SMALL, "--out", "run")[0] == 0
    code, _, err = ganlm("sample", "run/bundle")
    assert code == 3 and err == (
        "ganlm: error: run/bundle/config.json: the generator 'mine' is from mein plügin.py, which is not installed; "
        "if you trust it: load it with --plugin 'mein plügin.py'\n"
    )
    shutil.rmtree("run")


def test_a_name_that_no_bundle_can_have_is_refused_before_anything_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_config("lstm", "conv")
    monkeypatch.setattr(Host, "origin", lambda self, kind, name: Origin("two\nlines.py", ""))
    with pytest.raises(PluginError, match=r"is from 'two\\nlines\.py', a name that a bundle cannot have; rename it"):
        prepare(config)
