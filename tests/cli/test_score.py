"""``ganlm score``, through its real entry point."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ganlm_core.bundle import load
from ganlm_core.cli.context import Invocation
from ganlm_core.cli.score import score
from ganlm_core.plugins.host import Host
from tests.bundles import TEXTS, write
from tests.conftest import Ganlm


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "lines.txt"
    path.write_text("a cat sees the dog\n\n dog the zebra \n")
    return path


def test_a_line_for_each_sentence_with_its_probability(command: Ganlm, saved: Path, host: Host, lines: Path) -> None:
    model = load.load(saved, host)
    first, second = model.probability(["a cat sees the dog", "dog the zebra"])
    code, out, _ = command("score", saved, lines)
    assert (code, out) == (0, f"{first:.3f}  a cat sees the dog\n{second:.3f}  dog the zebra\n")
    calibration, logit = model.require_calibration(), model.score(["dog the zebra"])[0]
    assert second == pytest.approx(1 / (1 + 2.718281828 ** -(calibration.slope * logit + calibration.offset)))


def test_the_bundle_comes_first(command: Ganlm, saved: Path, lines: Path) -> None:
    told = f"{lines} is a file; the bundle comes first: ganlm score BUNDLE {lines}"
    assert command("score", lines, saved) == (2, "", f"ganlm: error: {told}\n")


def test_explanations_name_what_the_network_read(command: Ganlm, saved: Path, host: Host, lines: Path) -> None:
    explained = load.load(saved, host).explain("dog the zebra")
    assert [token for token, _ in explained] == ["dog", "the", "<unk>"]
    code, out, _ = command("score", saved, lines, "--explain", "--json")
    found = json.loads(out.splitlines()[1])
    assert code == 0 and found["text"] == "dog the zebra" and 0 < found["probability"] < 1
    assert [(one["token"], one["attribution"]) for one in found["tokens"]] == explained
    told = "show how much the log-odds of real fall if each token is left out: + for real, - for generated; "
    assert f"{told}the numbers do not add up to the sentence's" in " ".join(command("score", "--help")[1].split())
    shown = " ".join(f"{token}({weight:+.2f})" for token, weight in explained)
    assert command("score", saved, lines, "--explain")[1].splitlines()[1] == f"{found['probability']:.3f}  {shown}"


def test_a_terminal_gets_colours_unless_it_refuses(
    saved: Path, host: Host, lines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Invocation, "host", host)
    arguments = [str(saved), str(lines), "--explain"]
    assert "\x1b[3" in CliRunner().invoke(score, arguments, color=True).output
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in CliRunner().invoke(score, arguments, color=True).output


def test_sentences_that_are_too_long_are_counted(command: Ganlm, saved: Path, tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("a a a a a\na a a a a a\n")
    _, out, err = command("score", saved, tmp_path / "long.txt")
    assert len(out.splitlines()) == 2
    assert err == "1 of 2 sentences were cut: the bundle takes 6 tokens at most\n"


def test_blank_lines_and_words_that_the_bundle_does_not_know_are_counted(
    command: Ganlm, saved: Path, lines: Path
) -> None:
    told = f"{lines}: 1 blank lines skipped\n1 of 8 tokens (12.5%) are <unk>: the bundle does not know them\n"
    assert command("score", saved, lines)[2] == told
    assert command("score", saved, lines, "--quiet")[2] == ""


def test_sentences_come_from_any_column(command: Ganlm, saved: Path, tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_text('id,review\n1,"a cat sees the dog"\n')
    code, out, _ = command("score", saved, tmp_path / "reviews.csv", "--corpus.column", "review")
    assert (code, out[7:]) == (0, "a cat sees the dog\n")
    code, _, err = command("score", saved, tmp_path / "reviews.csv")
    assert code == 2 and "it has id, review; name one with --corpus.column" in err
    code, _, err = command("score", saved, tmp_path / "reviews.csv", "--corpus.max-line", 5)
    assert code == 1 and "raise --corpus.max-line" in err


def test_other_real_text_calibrates_anew(command: Ganlm, copy: Path, lines: Path, tmp_path: Path) -> None:
    (copy / "calibration.json").unlink()
    write(copy, "README.md", "")
    assert command("score", copy, lines) == (
        2, "", "ganlm: error: this bundle has no calibration, which turns logits into probabilities; "
        "give real text that it was not trained on (--data FILE, or Model.calibrated)\n"
    )  # fmt: skip
    held_out = tmp_path / "held-out.txt"
    held_out.write_text("".join(f"{text} {number}\n" for number in range(200) for text in TEXTS))
    code, out, _ = command("score", copy, lines, "--data", held_out)
    assert code == 0 and len(out.splitlines()) == 2


def test_a_file_that_is_missing(command: Ganlm, saved: Path) -> None:
    assert command("score", saved, "nowhere.txt") == (
        1, "", "ganlm: error: there is no file nowhere.txt; check the path\n"
    )  # fmt: skip
