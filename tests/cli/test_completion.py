"""Shell completion: the scripts, and the answers that the shells get."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ganlm_core.cli import COMPLETE, main
from ganlm_core.cli.completion import SHELLS
from tests.conftest import Ganlm
from tests.environments import ROOT


def completed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, line: str, shell: str) -> list[str]:
    """Return the answer to a line whose last word is incomplete, as the script of the shell asks for it."""
    words = line.split(" ")
    monkeypatch.setenv(COMPLETE, f"{shell}_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", words[-1] if shell == "fish" else str(len(words) - 1))
    try:
        main([])
    except SystemExit as stopped:
        assert stopped.code == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out.rstrip("\n").splitlines()


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_gets_its_script(ganlm: Ganlm, shell: str) -> None:
    code, out, err = ganlm("completion", shell)
    assert (code, err) == (0, "")
    assert f"{COMPLETE}={shell}_complete" in out


def test_another_shell_has_none(ganlm: Ganlm) -> None:
    code, out, err = ganlm("completion", "tcsh")
    assert (code, out) == (2, "")
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in err


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("ganlm sco", ["score"]),
        ("ganlm weights ver", ["verify"]),
        ("ganlm help weights ver", ["verify"]),
        ("ganlm run --gen.h", ["--gen.hidden-size"]),
        ("ganlm run --gen transformer --gen.he", ["--gen.heads"]),
        ("ganlm run --gen trans", ["transformer"]),
        ("ganlm run --recipe seqg", ["seqgan"]),
        ("ganlm run --gen nonsense --patie", ["--patience"]),
        ("ganlm run --data gra", ["grammar"]),
        ("ganlm sample zoo:conv", ["zoo:conv-conv.one-shot-grammar"]),
        ("ganlm sample BUNDLE --select rej", ["rejection"]),
        ("ganlm eval x --metrics bleu,frech", ["bleu,frechet"]),
        ("ganlm list lo", ["loss"]),
        ("ganlm show one-s", ["one-shot"]),
        ("ganlm plugins check leak", ["leakgan"]),
        ("ganlm nonsense --da", []),
        ("ganlm --plugin nowhere.py sam", []),
    ],
)
def test_commands_options_and_values_are_completed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, line: str, found: list[str]
) -> None:
    assert completed(capsys, monkeypatch, line, "bash") == [f"plain,{value}" for value in found]


def test_files_are_left_to_the_shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert completed(capsys, monkeypatch, "ganlm run --data ./te", "bash") == ["file,./te"]
    assert completed(capsys, monkeypatch, "ganlm sample run", "bash") == ["file,run"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_the_help_of_a_command_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, shell: str
) -> None:
    answer = "\n".join(completed(capsys, monkeypatch, "ganlm repo", shell))
    assert "report" in answer and "write a run as one HTML page" in answer


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_completes(tmp_path: Path) -> None:
    """In a real bash, with ``ganlm`` on its path; the colon of ``zoo:`` does not split the word."""
    program = tmp_path / "ganlm"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ganlm_core "$@"\n')
    program.chmod(0o755)
    script = """
    eval "$(ganlm completion bash)"
    compopt() { :; }
    COMP_WORDS=(ganlm run --gen trans); COMP_CWORD=3; _ganlm_completion ganlm; echo "${COMPREPLY[@]}"
    COMPREPLY=()
    COMP_WORDS=(ganlm sample zoo:conv); COMP_CWORD=2; _ganlm_completion ganlm; echo "${COMPREPLY[@]}"
    [[ $COMP_WORDBREAKS == *:* ]] || echo whole
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("transformer\nzoo:conv-conv.one-shot-grammar\nwhole\n", "")
