"""Running a plugin in isolation: what it prints, imports and waits for."""

import os
import random
import re
import signal
import sys
from pathlib import Path
from textwrap import indent

import numpy as np
import pytest
import torch

from ganlm_core.errors import UsageError
from ganlm_core.plugins.host import Host
from ganlm_core.plugins.isolation import preserve_process_state
from tests.guests import GOOD, Install, health_of, place


def test_output_of_a_plugin_is_captured(install: Install, capfd: pytest.CaptureFixture[str]) -> None:
    install("import sys\nprint('hello')\nprint('hello', file=sys.stderr)\n" + GOOD)
    assert health_of(Host.discover(), "guest") == ("ok", "it printed 'hello hello' while it was loaded")
    assert capfd.readouterr() == ("", "")


def test_a_heavy_library_that_a_plugin_imports_is_reported(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "jax.py").touch()
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    install("import jax\n" + GOOD)
    assert health_of(Host.discover(), "guest") == (
        "ok",
        "it imports jax when it is loaded, which slows every command; import it in its targets",
    )
    monkeypatch.delitem(sys.modules, "jax", raising=False)


HANGS = {
    "in a loop": "while True: pass",
    "asleep": "import time; time.sleep(60)",
    "in a lock": "import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "that expects failures": "while True:\n    try:\n        while True: pass\n    except Exception: pass",
    "that expects everything": "while (n := globals().get('n', 0) + 1) < 4:\n    try:\n        while True: pass\n"
    "    except BaseException: pass\nwhile True: pass",
}


@pytest.mark.parametrize("source", HANGS.values(), ids=HANGS)
def test_a_plugin_that_hangs_is_stopped_and_reported(
    install: Install, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """The alarm may go off before the first line of so short a time: the place is not always known."""
    monkeypatch.setenv("GANLM_PLUGIN_TIMEOUT", "0.05")
    before = signal.getsignal(signal.SIGALRM)
    install(source)
    install("@hookimpl\ndef ganlm_components():\n" + indent(source, "    "), name="hook", distribution="hook")
    host = Host.discover()
    for name in ("guest", "hook"):
        status, reason = health_of(host, name)
        assert status == "broken"
        assert re.fullmatch(r"it took longer than 0\.05 s( \(.*\))?; GANLM_PLUGIN_TIMEOUT allows more", reason)
    assert {one.status for one in host.health if one.distribution == "ganlm"} == {"ok"}
    assert (signal.getitimer(signal.ITIMER_REAL), signal.getsignal(signal.SIGALRM)) == ((0, 0), before)


def test_a_library_is_not_left_half_imported(install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An alarm while something heavy is imported, which others will need, waits; the next one does not."""
    alarm = "import signal; signal.raise_signal(signal.SIGALRM)\n"
    (tmp_path / "jax.py").write_text(f"{alarm}whole = True\n")
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    monkeypatch.setenv("GANLM_PLUGIN_TIMEOUT", "600")
    module = install(f"import jax\n{alarm}")
    assert health_of(Host.discover(), "guest") == (
        "broken",
        f"it took longer than 600 s ({place(module, 6)}); GANLM_PLUGIN_TIMEOUT allows more; it imports jax when it is "
        "loaded, which slows every command; import it in its targets",
    )
    assert sys.modules.pop("jax").whole


def test_the_alarm_of_a_program_is_left_alone(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANLM_PLUGIN_TIMEOUT", "0.01")
    install("import time\ntime.sleep(0.05)\n" + GOOD)
    signal.setitimer(signal.ITIMER_REAL, 6000)
    try:
        assert health_of(Host.discover(), "guest") == ("ok", "")
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("soon", "'soon' is not a valid float"),
        ("-1", "-1.0 is not in the range 0.0<=x<=1000000.0"),
        ("1e300", "1e+300 is not in the range 0.0<=x<=1000000.0"),
        ("nan", "'nan' is not a finite number"),
        ("inf", "'inf' is not a finite number"),
    ],
)
def test_a_time_limit_is_a_number(install: Install, monkeypatch: pytest.MonkeyPatch, text: str, reason: str) -> None:
    install(GOOD)
    monkeypatch.setenv("GANLM_PLUGIN_TIMEOUT", text)
    with pytest.raises(UsageError) as caught:
        Host.discover()
    assert str(caught.value) == f"GANLM_PLUGIN_TIMEOUT: {reason}; wanted seconds, or 0 for no limit"


def test_random_states_and_settings_are_restored_after_the_code_of_a_plugin() -> None:
    def draw() -> list[float]:
        return [random.random(), np.random.rand(), torch.rand(1).item()]

    with preserve_process_state() as changed:
        first = draw()
        torch.set_default_dtype(torch.float64)
    with preserve_process_state() as unchanged:
        assert draw() == first
    assert (changed, unchanged, torch.get_default_dtype()) == (["torch's default dtype"], [], torch.float32)


def test_a_working_folder_that_was_removed_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    with preserve_process_state() as changed:
        os.chdir(tmp_path)
    assert changed == ["the working folder"]
