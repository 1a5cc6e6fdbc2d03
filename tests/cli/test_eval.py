"""``ganlm eval``: what it takes, and where the evaluation goes."""

import io
import json
import os
import sys
import threading
from pathlib import Path

import pytest

from tests.conftest import Ganlm

TEXT = [f"the {animal} sees the {other} {number}" for animal in ("cat", "dog") for other in ("cow", "hen")
        for number in range(60)]  # fmt: skip
OPTIONS = ["--data", "base.txt", "--metrics", "distinct", "--json"]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """The training text."""
    path = tmp_path / "base.txt"
    path.write_text("".join(f"{text}\n" for text in TEXT))
    return path


def titles(out: str) -> list[str]:
    return [row["title"] for row in json.loads(out)["rows"]]


@pytest.mark.usefixtures("base")
def test_samples_come_through_standard_input(ganlm: Ganlm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a cat\na dog\n" * 10)))
    code, out, _ = ganlm("eval", "-", *OPTIONS)
    assert code == 0 and "standard input" in titles(out)


@pytest.mark.usefixtures("base")
def test_samples_come_through_a_pipe(ganlm: Ganlm, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text("a cat\na dog\n" * 10))
    writer.start()
    code, out, _ = ganlm("eval", pipe, *OPTIONS)
    writer.join()
    assert code == 0 and str(pipe) in titles(out)


@pytest.mark.usefixtures("base")
def test_samples_come_from_any_column(ganlm: Ganlm, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("id,review\n" + "".join(f"{number},a cat {number}\n" for number in range(20)))
    code, _, err = ganlm("eval", "s.csv", *OPTIONS)
    assert code == 2 and "it has id, review; name one with --corpus.column" in err
    code, _, err = ganlm("eval", "s.csv", *OPTIONS, "--corpus.column", "review")
    assert code == 0


@pytest.mark.usefixtures("base")
def test_notes_are_quiet_and_the_result_is_not(ganlm: Ganlm, tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text("a cat\n" * 20)
    code, out, err = ganlm("--quiet", "eval", "s.txt", *OPTIONS)
    assert (code, err) == (0, "") and "s.txt" in titles(out)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--temperatures", "1,nan"], "Invalid value for '--temperatures': 'nan' is not a finite number"),
        (["--temperatures", ","], "Invalid value for '--temperatures': ',' is empty; give one or more"),
        (["--seed", "99999999999999999999999"], "Invalid value for '--seed': '99999999999999999999999' does not fit"),
        (["-n", "10000001"], "Invalid value for '-n': 10000001 is not in the range 0<=x<=10000000"),
        (["--metrics", "blue"], "there is no metric 'blue'; did you mean 'bleu'?"),
        (["--encoder", "hashed-ngrams,size=x"], "encoder 'hashed-ngrams' "),
        (["--encoder", "hashed-ngrams,size"], "--encoder has 'size'; write each option as OPTION=VALUE\n"),
    ],
)
@pytest.mark.usefixtures("base")
def test_options_that_are_refused(ganlm: Ganlm, tmp_path: Path, options: list[str], message: str) -> None:
    (tmp_path / "s.txt").write_text("a cat\n" * 20)
    code, out, err = ganlm("eval", "s.txt", "--data", "base.txt", *options)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
