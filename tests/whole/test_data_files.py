"""Data files of every kind, through the command line."""

import json
from pathlib import Path

import pytest

from tests.conftest import Ganlm

LINES = [f"the {word} number {number} sleeps ." for number in range(60) for word in ("cat", "dog", "bird")]
SIZES = ["--gen", "ngram-mlp", "--disc", "mlp", "--gen.hidden-size", 8, "--disc.hidden-size", 8, "--device", "cpu"]
TINY = [*SIZES, "--steps", 4, "--batch-size", 8, "--evaluation-samples", 20]


def plan(ganlm: Ganlm, name: str, *more: object) -> str:
    code, out, err = ganlm("run", *SIZES, "--data", name, *more, "--dry-run")
    assert code == 0, err
    return next(line for line in out.splitlines() if line.startswith("# notes: "))


def test_an_unquoted_comma_does_not_cut_a_text(ganlm: Ganlm) -> None:
    Path("reviews.csv").write_text("id,text\n" + "\n".join(f"{i},good, but slow {i}" for i in range(200)))
    code, _, err = ganlm("run", *SIZES, "--data", "reviews.csv", "--dry-run")
    assert (code, err.splitlines()[-1]) == (
        1,
        "ganlm: error: reviews.csv, line 2 has 3 fields and the header has 2; "
        'put double quotes around text that contains the separator or a line break: "so, it is one field"',
    )


def test_tsv_and_json_give_the_sentences_of_plain_text(ganlm: Ganlm) -> None:
    Path("lines.txt").write_text("\n".join(LINES))
    Path("data.tsv").write_text("\n".join(["id\ttext", *(f"{i}\t{line}" for i, line in enumerate(LINES))]))
    Path("data.json").write_text(json.dumps([{"id": i, "text": line} for i, line in enumerate(LINES)], indent=1))
    wanted = plan(ganlm, "lines.txt").partition(" tokens at most")[0]
    assert wanted.endswith(" words, sequences of 7")
    for name in ("data.tsv", "data.json"):
        assert plan(ganlm, name).partition(" tokens at most")[0] == wanted.replace("lines.txt", name)


def test_plain_text_with_json_in_it_is_noted(ganlm: Ganlm) -> None:
    Path("lines.txt").write_text("\n".join(json.dumps({"text": line}) for line in LINES))
    assert plan(ganlm, "lines.txt").startswith("# notes: lines.txt looks like JSON but is read as plain text, ")


def test_unknown_words_are_noted_with_their_share(ganlm: Ganlm) -> None:
    Path("lines.txt").write_text("\n".join(LINES))
    assert ") of the training split are <unk>; raise --tokenizer.vocabulary to keep more" in plan(
        ganlm, "lines.txt", "--tokenizer.vocabulary", 8
    )
    assert "<unk>" not in plan(ganlm, "lines.txt")


@pytest.mark.parametrize("line_break", ["\r\n", "\r", "\v", "\x1f", "\x85", "\u2028"])
def test_the_samples_of_a_run_have_a_line_each(ganlm: Ganlm, line_break: str) -> None:
    Path("data.jsonl").write_text("\n".join(json.dumps({"text": f"a{line_break}b {i}"}) for i in range(150)))
    code, out, err = ganlm("run", *TINY, "--data", "data.jsonl", "--tokenizer", "char", "--out", "run", "--json")
    assert code == 0, err
    written = Path("run/samples/final.txt").read_bytes().decode()
    samples = json.loads(out)["samples"]
    assert written.split("\n")[: len(samples)] == samples
    assert len(written.splitlines()) == written.count("\n") == 20
    assert ganlm("sample", "run", "-n", 20, "--out", "s.txt")[0] == 0
    assert len(Path("s.txt").read_bytes().decode().splitlines()) == 20


def test_a_file_with_the_name_of_a_corpus_is_not_passed_over(ganlm: Ganlm) -> None:
    Path("grammar").write_text("\n".join(LINES))
    code, _, err = ganlm("run", *SIZES, "--data", "grammar", "--dry-run")
    assert (code, err) == (
        2,
        "ganlm: error: 'grammar' is a corpus and a file here; --data ./grammar reads the file, or rename it\n",
    )
    assert plan(ganlm, "./grammar").startswith("# notes: ./grammar: ")
