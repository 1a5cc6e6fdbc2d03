"""``ganlm plugins doctor``: facts, problems and advice."""

import pytest

from ganlm_core.cli.doctor import Problem, examine
from ganlm_core.plugins.host import Health, Host
from tests.conftest import Ganlm


def test_the_doctor_finds_a_healthy_machine(ganlm: Ganlm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANLM_PLUGIN_TIMEOUT", "7")
    code, out, err = ganlm("--no-plugins", "plugins", "doctor")
    assert (code, err) == (0, "")
    facts = dict(line.split(maxsplit=1) for line in out.splitlines()[1:] if len(line.split(maxsplit=1)) == 2)
    assert facts["ganlm"].endswith("plugin API 1")
    assert facts["device"].startswith(("cpu, ", "cuda, ", "mps, "))
    assert facts["GANLM_PLUGIN_TIMEOUT"] == "7"
    assert out.endswith("\nno problems\n")


def test_the_doctor_has_advice_for_every_status() -> None:
    host = Host()
    host.health = [
        Health("a", "zoo-a", "1", "broken", "ValueError: no"),
        Health("b", "zoo-b", "1", "incompatible", "it is for plugin API 2"),
        Health("c", "zoo-c", "1", "duplicate", "already taken: loss hinge (this one is zoo-c/hinge)"),
        Health("d", "zoo-d", "1", "ok", "it printed 'x' while it was loaded", seconds=0.7),
        Health("e", "", "", "broken", "GANLM_PLUGINS names it, and no installed distribution has it"),
        Health("f", "zoo-f", "1", "disabled", "GANLM_DISABLE_PLUGINS names it"),
        Health("algorithms", "ganlm", "1", "ok", seconds=9.0),
    ]
    report = examine(host)
    assert report.failed == ("a", "b", "e")
    assert report.problems == (
        Problem(
            "plugin 'a' of zoo-a is broken: ValueError: no",
            "repair it, upgrade it or 'pip uninstall zoo-a'; GANLM_DISABLE_PLUGINS=a leaves it out",
        ),
        Problem(
            "plugin 'b' of zoo-b is incompatible: it is for plugin API 2",
            "'pip install --upgrade zoo-b ganlm'; GANLM_DISABLE_PLUGINS=b leaves it out",
        ),
        Problem(
            "plugin 'c' of zoo-c is duplicate: already taken: loss hinge (this one is zoo-c/hinge)",
            "use the long names of its components; GANLM_DISABLE_PLUGINS=c leaves it out",
        ),
        Problem("plugin 'd' of zoo-d: it printed 'x' while it was loaded", "tell its author"),
        Problem("plugin 'd' of zoo-d takes 0.7 s to load, in every command", "tell its author"),
        Problem(
            "plugin 'e' is broken: GANLM_PLUGINS names it, and no installed distribution has it",
            "install it, or take its name out of GANLM_PLUGINS",
        ),
    )
