"""Standard streams that are closed, full or left by their reader."""

import io
import sys

import pytest

from ganlm_core.cli import main
from ganlm_core.cli.streams import steady_streams
from ganlm_core.errors import WriteError


class Full(io.StringIO):
    """A stream on a full disk."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


class Left(io.StringIO):
    """A pipe without a reader."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def test_a_standard_output_that_is_closed_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", None)
        patch.setattr("ganlm_core.cli.streams._occupy_descriptors", lambda: None)
        patch.setattr(sys, "stderr", error := io.StringIO())
        for arguments in (["list"], ["--help"], ["recipes", "show", "mle"], ["--version"]):
            assert main(arguments) == 1
    message = "ganlm: error: standard output is closed; send it to a file, to a pipe or to /dev/null\n"
    assert error.getvalue() == 4 * message


def test_a_standard_output_that_is_full_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Full())
    with steady_streams(), pytest.raises(WriteError, match="cannot write to standard output: No space left on device"):
        sys.stdout.write("a")


def test_a_reader_that_left_is_no_other_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Left())
    with steady_streams(), pytest.raises(BrokenPipeError):
        sys.stdout.write("a")


@pytest.mark.parametrize("stream", [Full, Left, lambda: None])
def test_no_message_is_worth_an_end(monkeypatch: pytest.MonkeyPatch, stream: type[io.StringIO]) -> None:
    monkeypatch.setattr("ganlm_core.cli.streams._occupy_descriptors", lambda: None)
    monkeypatch.setattr(sys, "stderr", stream())
    with steady_streams():
        sys.stderr.write("a note\n")
        sys.stderr.flush()


def test_the_streams_are_given_back() -> None:
    before = sys.stdout, sys.stderr
    with steady_streams():
        assert (sys.stdout, sys.stderr) != before
        assert sys.stdout.encoding == before[0].encoding
    assert (sys.stdout, sys.stderr) == before
