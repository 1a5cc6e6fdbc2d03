"""``ganlm sample``: what it prints and refuses."""

import gzip
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from ganlm_core.bundle import load, stream
from tests.conftest import Ganlm


def test_command_sample(command, saved, host):
    texts = load.load(saved, host).sample(4, seed=3, top_k=2)
    code, out, err = command("sample", saved, "-n", 4, "--seed", 3, "--top-k", 2)
    assert (code, out.split("\n"), err) == (0, [*texts, ""], "")
    texts = load.load(saved, host).sample(4, prompt="the")
    assert command("sample", saved, "-n", 4, "--prompt", "the") == (0, "".join(f"{text}\n" for text in texts), "")
    code, out, _ = command("sample", saved, "-n", 4, "--prompt", "the", "--json")
    assert [json.loads(line)["text"] for line in out.splitlines()] == texts


def test_command_sample_refuses(command, saved, tmp_path):
    assert command("sample", tmp_path)[0] == 4
    code, _, err = command("sample", saved, "--top-p", 2)
    assert code == 2 and "--top-p" in err
    code, _, err = command("sample", saved, "--device", "abacus")
    assert code == 2 and "there is no device 'abacus'" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--candidates", "2"], "--candidates has no effect without --select; add it, or leave --candidates out"),
        (["--data", "grammar"], "--data has no effect without --select or --novel"),
        (["--corpus.column", "text"], "--corpus.column has no effect without --data or --novel"),
        (["--set", "a=1"], "--set has no effect without --reward-min"),
        (["--label", ""], "--label '' is no label; name one, or leave it out"),
        (["--tries", "2"], "--tries has no effect without --novel or --match or --reward-min"),
    ],
)
def test_an_option_without_effect_is_refused(command, saved, words, message):
    code, out, err = command("sample", saved, *words)
    assert (code, out) == (2, "") and message in err


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("the yak", "the vocabulary has no 'yak'; take other words for the prompt"),
        (
            "the cat the cat the cat",
            "the prompt has 6 tokens, and a sequence of this generator has 6 at most; give a shorter one",
        ),
    ],
)
def test_command_sample_refuses_a_prompt(command, saved, prompt, message):
    assert command("sample", saved, "--prompt", prompt) == (2, "", f"ganlm: error: {message}\n")


def test_a_file_that_is_continued_is_the_file_of_one_command(command: Ganlm, saved: Path, tmp_path: Path) -> None:
    arguments = ["sample", saved, "--unique", "--seed", 2]
    code, whole, err = command(*arguments, "-n", 900)
    assert code == 0 and len(set(whole.splitlines())) == 900
    assert err == ""
    parts = tmp_path / "parts.txt.gz"
    offset = 0
    for _ in range(3):
        code, out, err = command(*arguments, "-n", 300, "--offset", offset, "--out", parts)
        assert (code, out) == (0, "")
        offset = int(err.removesuffix("\n").rpartition(" ")[2])
        assert err == f"go on with --offset {offset}\n"
    assert gzip.decompress(parts.read_bytes()).decode() == whole


def test_json_lines_are_recognised_when_a_file_is_continued(command: Ganlm, saved: Path, tmp_path: Path) -> None:
    out = tmp_path / "lines.jsonl"
    for offset in (0, 512):
        assert command("sample", saved, "--unique", "--json", "-n", 400, "--offset", offset, "--out", out)[0] == 0
    texts = [json.loads(line)["text"] for line in out.read_text().splitlines()]
    assert len(set(texts)) == len(texts) == 800


def test_a_file_is_never_overwritten(command: Ganlm, saved: Path, tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear\n")
    code, out, err = command("sample", saved, "--out", tmp_path / "letters.txt")
    assert (code, out) == (2, "")
    assert err == (
        f"ganlm: error: {tmp_path}/letters.txt already exists; choose another file, or append to it with "
        "--offset and the number of sentences drawn for it so far\n"
    )
    assert (tmp_path / "letters.txt").read_text() == "dear\n"


@pytest.mark.parametrize("name", ["cut.txt", "cut.txt.gz"])
def test_a_file_that_was_cut_short_is_not_continued(command: Ganlm, saved: Path, tmp_path: Path, name: str) -> None:
    data = b"one\ntwo\nthr"
    (tmp_path / name).write_bytes(gzip.compress(data + b"ee\n")[:-3] if name.endswith(".gz") else data)
    code, _, err = command("sample", saved, "--unique", "--offset", 1, "--out", tmp_path / name)
    assert code == 1
    assert err == (
        f"ganlm: error: {tmp_path}/{name} was cut short; unpack it, remove its last line and continue with the rest\n"
    )


def test_an_interrupted_stream_ends_with_a_whole_batch(
    command: Ganlm, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = command("sample", saved, "-n", 700)[1]
    drawn = stream.draw

    def interrupted(*arguments: Any) -> Any:
        for batch in drawn(*arguments):
            if batch.start == 256:
                signal.raise_signal(signal.SIGINT)
            yield batch

    monkeypatch.setattr(stream, "draw", interrupted)
    out = tmp_path / "out.txt"
    assert command("sample", saved, "-n", 700, "--out", out) == (
        130, "", "ganlm: error: interrupted after 512 sentences; go on with --offset 512\n"
    )  # fmt: skip
    monkeypatch.setattr(stream, "draw", drawn)
    assert command("sample", saved, "-n", 188, "--offset", 512, "--out", out)[0] == 0
    assert out.read_text() == whole


def test_select_reports_the_acceptance_rate(command: Ganlm, saved: Path) -> None:
    code, out, err = command("sample", saved, "-n", 5, "--select", "rerank", "--candidates", 4)
    assert code == 0 and len(out.splitlines()) == 5
    assert err.startswith("64 of 256 candidates accepted (acceptance rate 25.0%); effective sample size ")
    assert err.endswith("% of the candidates\n") and err.count("\n") == 1
    assert command("sample", saved, "-n", 5, "--select", "rerank", "--candidates", 4)[1] == out


def test_select_at_another_temperature_needs_a_calibration(command: Ganlm, saved: Path) -> None:
    code, _, err = command("sample", saved, "--select", "mh", "--temperature", 0.5)
    assert code == 2 and err == (
        "ganlm: error: the bundle's discriminator is calibrated for temperature 1 and all words; "
        "add --data FILE|CORPUS to calibrate it for these options\n"
    )
