"""``ganlm eval``: its rows, its notes and messages word for word, and known facts."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ganlm_core.system.files import read_json
from ganlm_core.training.train import execute
from tests.conftest import WARM, Ganlm, tiny_config

REAL = [
    f"the {animal} {verb} ." for animal in ("dog", "cat", "fox", "owl", "hen") for verb in ("runs", "sleeps", "eats")
]


TEST = [f"the {animal} {verb} ." for animal in ("cow", "pig") for verb in ("runs", "hides")]


def write(name: str, lines: list[str]) -> str:
    Path(name).write_text("".join(f"{line}\n" for line in lines))
    return name


@pytest.fixture
def files(ganlm: Ganlm) -> list[str]:
    """The arguments that name training and test text in the empty folder."""
    return ["--data", write("train.txt", REAL), "--test", write("test.txt", TEST)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a second with a warm-up, on 300 sentences of the grammar."""
    config = tiny_config("ngram-mlp", "mlp", algorithm_options=WARM, noise_size=2)
    return execute(config, out=tmp_path_factory.mktemp("runs") / "small").path


def rows(ganlm: Ganlm, *arguments: object) -> dict[str, dict[str, Any]]:
    """The rows by title, with the temperature where there is one."""
    code, out, err = ganlm("eval", *arguments, "--json")
    assert code == 0, err
    return {f"{row['title']} {row['temperature'] or ''}".strip(): row for row in json.loads(out)["rows"]}


def notes(ganlm: Ganlm, *arguments: object) -> list[str]:
    code, _, err = ganlm("eval", *arguments, "--json")
    assert code == 0, err
    return [line.removeprefix("note: ") for line in err.splitlines() if line.startswith("note: ")]


def test_samples_stand_beside_real_text_and_two_floors(ganlm: Ganlm, files: list[str]) -> None:
    found = rows(
        ganlm, write("samples.txt", ["the dog hides .", "a cow eats .", "the cat runs .", "the cat runs ."]), *files
    )
    assert list(found) == ["samples.txt", "real", "shuffled", "unigram"]
    samples = found["samples.txt"]["values"]
    assert samples["distinct"] == 0.75
    assert samples["copied"] == 0.5
    assert "test_nll" not in samples and "valid" not in samples
    assert found["samples.txt"]["protocol"]["bleu"] == "4 hypotheses, 4 references"
    assert samples["bleu2"] > found["unigram"]["values"]["bleu2"]
    assert found["real"]["values"]["copied"] == 0
    assert found["unigram"]["values"]["test_nll"] > 0


def test_every_row_has_as_many_sentences_as_all_can_have(ganlm: Ganlm, files: list[str]) -> None:
    few, many = write("few.txt", REAL[:3]), write("many.txt", REAL * 2)
    assert {row["sentences"] for row in rows(ganlm, few, many, *files).values()} == {3}
    assert {row["sentences"] for row in rows(ganlm, many, *files).values()} == {4}
    assert {row["sentences"] for row in rows(ganlm, many, *files, "-n", 2).values()} == {2}


def test_two_evaluations_are_the_same(ganlm: Ganlm, files: list[str]) -> None:
    samples = write("samples.txt", TEST)
    assert ganlm("eval", samples, *files) == ganlm("eval", samples, *files)


def test_metrics_are_chosen_by_name(ganlm: Ganlm, files: list[str]) -> None:
    found = rows(ganlm, write("samples.txt", TEST), *files, "--metrics", "bleu, self-bleu")
    assert found["samples.txt"]["protocol"].keys() == {"bleu", "self-bleu"}


def test_a_run_is_measured_at_every_temperature_beside_its_own_warm_up(ganlm: Ganlm, run: Path) -> None:
    found = rows(ganlm, run, "--temperatures", "0.5,1", "--out", "kept.json")
    models = ["small 0.5", "small 1.0", "small before 0.5", "small before 1.0"]
    assert list(found) == [*models, "real", "process", "shuffled", "unigram"]
    assert [found[name]["kind"] for name in models] == ["model", "model", "baseline", "baseline"]
    assert found["process"]["values"]["valid"] == found["real"]["values"]["valid"] == 1
    assert found["small 0.5"]["values"]["distinct1"] < found["small 1.0"]["values"]["distinct1"]
    likelihoods = {found[name]["values"]["test_nll"] for name in models}
    assert len(likelihoods) == 4
    assert found["small 1.0"]["protocol"]["likelihood"].endswith("; upper bound from 8 draws of the noise")
    assert found["real"]["protocol"]["likelihood"].endswith("; exact")
    kept = read_json(run / "bundle" / "evaluation.json")
    assert found["small 1.0"]["values"]["test_nll"] == kept["after"]["test_nll"]
    assert found["small before 1.0"]["values"]["test_nll"] == kept["before"]["test_nll"]


def test_how_likely_samples_are_never_comes_without_how_likely_real_text_is(ganlm: Ganlm, run: Path) -> None:
    found = rows(ganlm, run, "--metrics", "validity", "--temperatures", "1", "--out", "kept.json")
    assert found["small 1.0"]["values"].keys() == {"valid", "process_nll", "test_nll"} - (
        set() if found["small 1.0"]["values"]["valid"] else {"process_nll"}
    )


def test_another_baseline_takes_the_place_of_the_warm_up(ganlm: Ganlm, run: Path, files: list[str]) -> None:
    others = ["--baseline", run / "before", "--baseline", write("other.txt", TEST)]
    found = rows(ganlm, run / "bundle", "--temperatures", "1", "--metrics", "distinct", *others)
    assert {name: row["kind"] for name, row in found.items() if row["kind"] in ("model", "baseline")} == {
        "bundle 1.0": "model",
        "before 1.0": "baseline",
        "other.txt": "baseline",
    }


def test_a_run_keeps_its_evaluation_and_says_where(ganlm: Ganlm, run: Path) -> None:
    options = ["--metrics", "distinct", "--temperatures", "1"]
    code, out, err = ganlm("eval", run, *options)
    assert (code, err.splitlines()[-1]) == (0, f"kept in {run / 'evaluation.json'}")
    assert "before" in out and "real text" in out
    again = f"{run / 'evaluation.json'} already exists; add --force to replace it, or choose another --out"
    assert ganlm("eval", run, *options) == (2, "", f"ganlm: error: {again}\n")
    assert ganlm("eval", run, *options, "--force")[0] == 0


def test_models_of_different_text_need_one_named_for_both(ganlm: Ganlm, run: Path) -> None:
    other = execute(tiny_config("ngram-mlp", "mlp", steps=1, corpus_options={"size": 200}), out=Path("other")).path
    message = "small and other were trained on different text; name one for both with --data FILE"
    assert ganlm("eval", run, other) == (2, "", f"ganlm: error: {message}\n")


def test_folders_of_one_name_are_told_apart_by_their_paths(ganlm: Ganlm, run: Path) -> None:
    """Keyed by the last part of the path, one run would hide from the other that its text is different."""
    config = tiny_config("ngram-mlp", "mlp", steps=1, corpus_options={"size": 200})
    other = execute(config, out=Path("other/small")).path
    message = f"{run} and other/small were trained on different text; name one for both with --data FILE"
    assert ganlm("eval", run, other) == (2, "", f"ganlm: error: {message}\n")
    found = rows(ganlm, run, other, run, "--data", "grammar", "--metrics", "distinct", "--temperatures", "1")
    titles = [str(run), "other/small", f"{run} (2)", f"{run} before", f"{run} (2) before"]
    assert list(found)[:5] == [f"{title} 1.0" for title in titles]


def test_files_of_one_name_are_each_warned_of(ganlm: Ganlm, files: list[str]) -> None:
    for folder in ("a", "b"):
        Path(folder).mkdir()
    few = [write("a/samples.txt", TEST[:1]), write("b/samples.txt", TEST[:2])]
    assert notes(ganlm, *few, *files, "-n", 4)[-2:] == [
        "a/samples.txt has 1 sentences and other rows have 4, so their diversity does not compare; "
        "-n 1 makes them equal",
        "b/samples.txt has 2 sentences and other rows have 4, so their diversity does not compare; "
        "-n 2 makes them equal",
    ]


def test_text_that_is_gone_is_asked_for(ganlm: Ganlm) -> None:
    write("gone.txt", [f"{text} {number}" for text in REAL for number in range(10)])
    path = execute(tiny_config("ngram-mlp", "mlp", steps=1, data="gone.txt", corpus_options={}), out=Path("run")).path
    Path("gone.txt").unlink()
    message = (
        "what run was trained on is not here (there is no file gone.txt; check the path); name it with --data FILE"
    )
    assert ganlm("eval", path) == (1, "", f"ganlm: error: {message}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("empty.txt --data train.txt", "empty.txt is empty; give a file with one sentence per line"),
        ("blank.txt --data train.txt", "blank.txt has no text; give a file with one sentence per line"),
        ("test.txt --data empty.txt", "empty.txt is empty; give a file with one sentence per line"),
        ("nothing", "there is nothing at nothing; give a bundle, a run or a file with a sentence a line"),
        (
            "test.txt",
            "samples are scored beside real text; name the text of their training with --data FILE",
        ),
        (
            "test.txt --data train.txt --temperatures 1,hot",
            "--temperatures is '1,hot'; wanted numbers above 0 with commas, such as 0.8,1,1.2",
        ),
        (
            "test.txt --data train.txt --temperatures 0",
            "--temperatures is '0'; wanted numbers above 0 with commas, such as 0.8,1,1.2",
        ),
        (
            "test.txt --data train.txt --metrics blue",
            "there is no metric 'blue'; did you mean 'bleu'? 'ganlm list metric' shows them",
        ),
        (
            "test.txt --data train.txt --out train.txt",
            "train.txt already exists; add --force to replace it, or choose another --out",
        ),
        ("test.txt --data train.txt --out . --force", ". is a folder; choose another --out"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_in_a_line(
    ganlm: Ganlm, files: list[str], arguments: str, message: str
) -> None:
    write("empty.txt", [])
    write("blank.txt", ["", " "])
    code, out, err = ganlm("eval", *arguments.split())
    assert (code > 0, out, err) == (True, "", f"ganlm: error: {message}\n")
    assert Path("train.txt").read_text().splitlines() == REAL


def test_one_sentence_has_no_self_bleu(ganlm: Ganlm, files: list[str]) -> None:
    found = rows(ganlm, write("one.txt", TEST[:1]), *files)["one.txt"]
    assert found["protocol"]["self-bleu"] == "not defined: one sentence has no others to be compared with"
    assert "self_bleu2" not in found["values"]
    code, out, _ = ganlm("eval", "one.txt", *files)
    assert code == 0
    assert "self-bleu: not defined: one sentence has no others to be compared with" in out


def test_of_large_parts_a_sample_stands_for_all(
    monkeypatch: pytest.MonkeyPatch, ganlm: Ganlm, files: list[str]
) -> None:
    monkeypatch.setattr("ganlm_core.evaluation.evaluate.MOST_REFERENCES", 3)
    monkeypatch.setattr("ganlm_core.metrics.variety.SAMPLE", 2)
    monkeypatch.setattr("ganlm_core.metrics.language_model.SAMPLE", 2)
    chosen = ["--metrics", "bleu,copies,copied-span,lm-score"]
    protocol = rows(ganlm, write("samples.txt", REAL[:2]), *files, *chosen)["samples.txt"]["protocol"]
    assert protocol == {
        "bleu": "2 hypotheses, 3 references",
        "copies": "2 sentences, 15 to copy",
        "copied-span": "2 sentences, 2 to copy",
        "lm-score": "a Kneser-Ney model of 4 words, of 2 real sentences for 2; of 2 for 3 real ones",
    }


def test_warnings_tell_what_may_be_wrong_with_the_text(ganlm: Ganlm, files: list[str]) -> None:
    files = ["--baseline", "train.txt", *files]
    assert notes(ganlm, write("samples.txt", TEST), *files) == []
    write("overlap.txt", [*TEST, *REAL[:2]])
    assert notes(ganlm, "samples.txt", *files[:-1], "overlap.txt") == [
        "2 of 6 test sentences are in the training text too"
    ]
    assert notes(ganlm, write("odd.txt", ["the cat meows .", "the cat purrs ."]), *files) == [
        "odd.txt: 2 of 8 words (25.0%) are in no real sentence, the first is 'meows'"
    ]
    assert notes(ganlm, write("raw.txt", ["the cat runs."]), *files) == [
        "raw.txt: 1 of 3 words (33.3%) are in no real sentence, the first is 'runs.'",
        "raw.txt: 33% of the words end in a punctuation mark, and 0% in the training text; if they are tokenised in "
        "different ways, no number below means anything",
    ]
    assert notes(ganlm, write("capital.txt", ["The cat runs ."]), *files) == [
        "capital.txt: 1 of 4 words (25.0%) are in no real sentence, the first is 'The'",
        "capital.txt: 25% of the words have a capital letter, and 0% in the training text; if they are tokenised in "
        "different ways, no number below means anything",
    ]
    short = "has 4 sentences and other rows have 6, so their diversity does not compare; -n 4 makes them equal"
    assert notes(ganlm, "samples.txt", *files, "-n", 6) == [f"the test part {short}", f"samples.txt {short}"]


def test_lines_of_a_word_are_warned_of_by_characters_as_the_metrics_count_them(ganlm: Ganlm) -> None:
    cities = write("cities.txt", ["Paris", "Rome", "New York", "Oslo"])
    files = ["--baseline", cities, "--data", cities, "--test", cities, "-n", 4]
    overlap = "4 of 4 test sentences are in the training text too"
    assert notes(ganlm, write("known.txt", ["Pars", "Romo", "Yerk", "Sole"]), *files)[:1] == [overlap]
    assert notes(ganlm, write("strange.txt", ["Pars", "Romo", "Yerk", "Zole"]), *files)[1:2] == [
        "strange.txt: 1 of 16 characters (6.2%) are in no real sentence, the first is 'Z'"
    ]


def test_a_table_without_maximum_likelihood_says_so(ganlm: Ganlm, run: Path, files: list[str]) -> None:
    message = (
        "no row was trained by maximum likelihood alone, without whose curve nobody knows what a GAN adds; train one "
        "(ganlm run --recipe mle) and name it with --baseline RUN"
    )
    options = ["--metrics", "distinct", "--temperatures", "1", "--out"]
    assert message in notes(ganlm, write("samples.txt", TEST), *files)
    assert message in notes(ganlm, run / "bundle", *options, "one.json")
    assert message not in notes(ganlm, run, *options, "two.json")
    assert message not in notes(ganlm, run / "bundle", "--baseline", run / "before", *options, "three.json")
    mle = execute(tiny_config("ngram-mlp", "mlp", recipe="mle", steps=1), out=Path("mle")).path
    assert message not in notes(ganlm, mle, *options, "four.json")


def test_an_evaluation_is_kept_and_not_overwritten(ganlm: Ganlm, files: list[str]) -> None:
    samples = write("samples.txt", TEST)
    code, out, err = ganlm("eval", samples, *files, "--out", "kept.json", "--json")
    assert (code, err.splitlines()[-1]) == (0, "kept in kept.json")
    kept = json.loads(Path("kept.json").read_text())
    assert kept == json.loads(out)
    Path("kept.json").write_text("mine")
    assert ganlm("eval", samples, *files, "--out", "kept.json")[0] == 2
    assert Path("kept.json").read_text() == "mine"
    assert ganlm("eval", samples, *files, "--out", "kept.json", "--force")[0] == 0
    assert json.loads(Path("kept.json").read_text()) == kept


@pytest.mark.skipif("COCO_CAPTIONS" not in os.environ, reason="COCO_CAPTIONS names no folder with coco_train.txt")
@pytest.mark.parametrize(
    ("references", "wanted"), [(10_000, "0.743 0.525 0.343 0.222"), (500, "0.524 0.288 0.165 0.104")]
)
def test_real_captions_have_the_bleu_that_they_are_known_to_have(ganlm: Ganlm, references: int, wanted: str) -> None:
    """Training lines against test lines, of which the first 500 or all are references."""
    train = Path(os.environ["COCO_CAPTIONS"]).absolute() / "coco_train.txt"
    test = write("references.txt", train.with_name("coco_test.txt").read_text().splitlines()[:references])
    options = ["--data", train, "--test", test, "--metrics", "bleu", "-n", 10_000]
    found = rows(ganlm, train, *options)["coco_train.txt"]
    assert " ".join(f"{found['values'][f'bleu{n}']:.3f}" for n in (2, 3, 4, 5)) == wanted
    assert found["protocol"]["bleu"] == f"10,000 hypotheses, {references:,} references"
