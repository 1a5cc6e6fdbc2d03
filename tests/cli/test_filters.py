"""The filters of ``ganlm sample``: what is kept, told and refused."""

from pathlib import Path

import pytest

from ganlm_core.bundle.verify import verify
from ganlm_core.data.text import lines
from tests.conftest import Ganlm

ZOO = "zoo:lstm-conv.autoregressive-grammar"
TINY = ("run", "--steps", 4, "--batch-size", 8, "--evaluation-samples", 20, "--gen.hidden-size", 8, "--disc.filters", 4,
        "--recipe", "autoregressive")  # fmt: skip


def printed(ganlm: Ganlm, *arguments: object) -> tuple[list[str], str]:
    """Return the lines and the notes of ``ganlm sample``."""
    code, out, err = ganlm("sample", *arguments)
    assert code == 0, err
    return lines(out), err


def refused(ganlm: Ganlm, *arguments: object, code: int = 2) -> str:
    found, out, err = ganlm("sample", *arguments)
    assert (found, out) == (code, "")
    return err.removeprefix("ganlm: error: ").rstrip("\n")


def test_only_matches_are_kept_in_the_order_of_the_stream(ganlm: Ganlm) -> None:
    every, _ = printed(ganlm, ZOO, "-n", 256)
    kept, told = printed(ganlm, ZOO, "-n", 3, "--match", "^a")
    assert kept == [text for text in every if text.startswith("a")][:3]
    matching = sum(text.startswith("a") for text in every)
    assert told == f"--match kept {matching} of 256\n"


def test_the_same_seed_gives_the_same_and_more_begin_with_fewer(ganlm: Ganlm) -> None:
    arguments = (ZOO, "--match", "dog", "--novel", "--seed", 5)
    few, many = (printed(ganlm, *arguments, "-n", n)[0] for n in (5, 40))
    assert many[:5] == few and printed(ganlm, *arguments, "-n", 5)[0] == few


def test_the_filters_of_a_reward(ganlm: Ganlm) -> None:
    found, told = printed(
        ganlm, ZOO, "-n", 5, "--reward", "length", "--set", "longest=4", "--reward-min", 1
    )  # fmt: skip
    assert all(len(text.split()) <= 4 for text in found)
    assert told.startswith("--reward-min (length) kept ")


def test_a_file_is_continued_where_it_ended(ganlm: Ganlm) -> None:
    arguments = (ZOO, "--match", "cat", "--unique")
    whole, _ = printed(ganlm, *arguments, "-n", 60)
    _, told = printed(ganlm, *arguments, "-n", 20, "--out", "cats.txt")
    printed(ganlm, *arguments, "-n", 40, "--out", "cats.txt", "--offset", told.strip().rpartition(" ")[2])
    assert lines(Path("cats.txt").read_text()) == whole


@pytest.fixture
def trained(ganlm: Ganlm, tmp_path: Path) -> Path:
    """Train a run on a file with every sentence that its generator can write, but for one."""
    words = ("a", "b")
    texts = [" ".join((x, y)) for x in words for y in words]
    (tmp_path / "text.txt").write_text("\n".join(texts * 10 + [f"{x} {x} {x}" for x in "cdefghijklmnopqrstuvwxyz"]))
    paid = ("--reward", "regex", "--reward.regex.pattern", "a")
    assert ganlm(*TINY, "--data", "text.txt", *paid, "--out", "run")[0] == 0
    return tmp_path / "run"


def test_novel_sentences_are_not_in_the_training_text(ganlm: Ganlm, trained: Path) -> None:
    known = set(lines(Path("text.txt").read_text()))
    found, told = printed(ganlm, trained, "-n", 50, "--novel")
    assert found and not known & set(found)
    assert told.startswith("--novel kept ")


def test_the_reward_of_the_run_is_the_default(ganlm: Ganlm, trained: Path) -> None:
    found, told = printed(ganlm, trained, "-n", 5, "--reward-min", 1)
    assert all("a" in text for text in found)
    assert told.startswith("--reward-min (regex) kept ")


def test_a_bundle_knows_its_text_by_shared_hashes_only(ganlm: Ganlm, trained: Path) -> None:
    expected, _ = printed(ganlm, trained, "-n", 30, "--novel")
    assert ganlm("weights", "export", trained, "--out", "plain")[0] == 0
    assert ganlm("weights", "export", trained, "--out", "hashed", "--share-hashes")[0] == 0
    assert ganlm("weights", "export", "hashed", "--out", "again")[0] == 0
    Path("text.txt").rename("elsewhere.txt")
    for bundle in ("hashed", "again"):
        assert printed(ganlm, bundle, "-n", 30, "--novel")[0] == expected
        assert "training sentences" in {check.name: check.detail for check in verify(bundle)}["training.hashes"]
    told = refused(ganlm, "plain", "--novel", code=1)
    assert "the training text of plain is not here" in told and "--data FILE" in told and "--share-hashes" in told
    named, _ = printed(ganlm, "plain", "-n", 30, "--novel", "--data", "elsewhere.txt")
    assert named == expected


def test_hashes_that_were_changed_do_not_verify(ganlm: Ganlm, trained: Path) -> None:
    assert ganlm("weights", "export", trained, "--out", "hashed", "--share-hashes")[0] == 0
    with Path("hashed/training.hashes").open("ab") as file:
        file.write(b"12345678")
    assert ganlm("sample", "hashed", "--novel")[0] == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--match", "("], "--match '(' is no regular expression (missing ), unterminated subpattern at position 0); "
         "correct it"),
        (["--match", ""], "--match '' is in every sentence; give a pattern, or leave it out"),
        (["--reward", "length"], "--reward needs the least reward to keep; add --reward-min X"),
        (["--reward-min", 1], "--reward-min needs to know the reward, and it was trained without one; name it with "
         "--reward"),
        (["--reward-min", 1, "--reward", "regex", "--set", "pattern"], "--set has 'pattern'; write each option as "
         "OPTION=VALUE"),
        (["--reward-min", 1, "--reward", "length", "--set", "a=3"], "there is no reward 'length' option 'a'; it takes "
         "weight, shortest, longest, unit"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(ganlm: Ganlm, arguments: list[object], message: str) -> None:
    assert refused(ganlm, ZOO, *arguments) == message


def test_a_stream_without_end_and_without_result_ends(ganlm: Ganlm) -> None:
    assert refused(ganlm, ZOO, "--match", "zzz", "--tries", 500, code=1) == (
        "none of the last 512 sentences passed (--match kept 0 of 512); ask for less, raise --temperature, or raise "
        "--tries"
    )


def test_a_mean_is_compared_with_the_training_text_of_its_bundles(ganlm: Ganlm) -> None:
    mean = "mean:zoo:lstm.mle-grammar,zoo:lstm.cot-grammar"
    every, _ = printed(ganlm, mean, "-n", 256)
    kept, told = printed(ganlm, mean, "-n", 20, "--novel")
    assert kept == [text for text in every if text in set(kept)][:20]
    assert told.startswith("--novel kept ")
    assert printed(ganlm, mean, "-n", 2, "--reward", "length", "--reward-min", 0.0)[0] == every[:2]


def test_the_offset_goes_on_after_the_last_sentence_that_was_kept(ganlm: Ganlm) -> None:
    whole, _ = printed(ganlm, ZOO, "-n", 90, "--match", "^a")
    offset = 0
    for n in (10, 50, 30):
        more = ("--match", "^a", "--out", "kept.txt", *(("--offset", offset) if offset else ()))
        _, told = printed(ganlm, ZOO, "-n", n, *more)
        offset = int(told.splitlines()[-1].removeprefix("go on with --offset "))
    assert lines(Path("kept.txt").read_text()) == whole
