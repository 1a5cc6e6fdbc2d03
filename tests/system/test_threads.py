"""The variables that torch's threads read."""

import os
import subprocess
import sys

import pytest

from ganlm_core.system.threads import BRIEFLY, wait_briefly


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in BRIEFLY:
        monkeypatch.delenv(name, raising=False)


def test_threads_spin_briefly_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    wait_briefly()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE" and "GOMP_SPINCOUNT" not in os.environ
    monkeypatch.delenv("OMP_WAIT_POLICY")
    for name in BRIEFLY:  # so that they are restored
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    wait_briefly()
    assert {name: os.environ[name] for name in BRIEFLY} == BRIEFLY


def test_a_command_sets_them_before_torch_is_there() -> None:
    program = "import os, sys, ganlm_core.cli; print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"
    environment = {name: value for name, value in os.environ.items() if name not in BRIEFLY}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split()[1] == "False"
