"""``ganlm eval``: its rows, its notes and messages word for word, and known facts."""

import io
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
    """A run of a second, on 300 sentences of the grammar, whose adversarial steps move far away from its warm-up."""
    far = {"algorithm_options": WARM | {"anchor": 0.0}, "generator_optimizer_options": {"lr": 0.05}}
    config = tiny_config("ngram-mlp", "mlp", noise_size=2, **far)
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


def test_samples_are_compared_with_real_text_and_two_lower_bounds(ganlm: Ganlm, files: list[str]) -> None:
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


def test_all_rows_have_equally_many_sentences(ganlm: Ganlm, files: list[str]) -> None:
    few, many = write("few.txt", REAL[:3]), write("many.txt", REAL * 2)
    assert {row["sentences"] for row in rows(ganlm, few, many, *files).values()} == {3}
    assert {row["sentences"] for row in rows(ganlm, many, *files).values()} == {4}
    assert {row["sentences"] for row in rows(ganlm, many, *files, "-n", 2).values()} == {2}


def test_an_evaluation_repeated_gives_the_same_output(ganlm: Ganlm, files: list[str]) -> None:
    samples = write("samples.txt", TEST)
    assert ganlm("eval", samples, *files) == ganlm("eval", samples, *files)


def test_metrics_are_chosen_by_name(ganlm: Ganlm, files: list[str]) -> None:
    found = rows(ganlm, write("samples.txt", TEST), *files, "--metrics", "bleu, self-bleu")
    assert found["samples.txt"]["protocol"].keys() == {"bleu", "self-bleu"}


def test_a_run_is_measured_at_every_temperature_beside_its_own_warm_up(ganlm: Ganlm, run: Path) -> None:
    found = rows(ganlm, run, "--temperatures", "0.5,1", "--out", "kept.json")
    models = ["small 0.5", "small 1.0", "small before GAN training 0.5", "small before GAN training 1.0"]
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
    assert found["small before GAN training 1.0"]["values"]["test_nll"] == kept["before"]["test_nll"]


def test_validity_always_comes_with_held_out_likelihood(ganlm: Ganlm, run: Path) -> None:
    found = rows(ganlm, run, "--metrics", "validity", "--temperatures", "1", "--out", "kept.json")
    assert found["small 1.0"]["values"].keys() == {"valid", "process_nll", "test_nll"} - (
        set() if found["small 1.0"]["values"]["valid"] else {"process_nll"}
    )


def test_a_named_baseline_replaces_the_warm_up(ganlm: Ganlm, run: Path, files: list[str]) -> None:
    others = ["--baseline", run / "before", "--baseline", write("other.txt", TEST)]
    found = rows(ganlm, run / "bundle", "--temperatures", "1", "--metrics", "distinct", *others)
    assert {name: row["kind"] for name, row in found.items() if row["kind"] in ("model", "baseline")} == {
        "bundle 1.0": "model",
        "before 1.0": "baseline",
        "other.txt": "baseline",
    }


def test_the_evaluation_of_a_run_is_written_into_its_folder(ganlm: Ganlm, run: Path) -> None:
    options = ["--metrics", "distinct", "--temperatures", "1"]
    code, out, err = ganlm("eval", run, *options)
    assert (code, err.splitlines()[-1]) == (0, f"kept in {run / 'evaluation.json'}")
    assert "before" in out and "real text" in out
    again = (
        f"{run} was measured before, in {run / 'evaluation.json'}; 'ganlm report' and 'ganlm compare' show it, "
        "--force measures again and replaces it, and --out FILE keeps both"
    )
    assert ganlm("eval", run, *options) == (2, "", f"ganlm: error: {again}\n")
    assert ganlm("eval", run, *options, "--force")[0] == 0


def test_models_of_different_text_need_data_for_both(ganlm: Ganlm, run: Path) -> None:
    other = execute(tiny_config("ngram-mlp", "mlp", steps=1, corpus_options={"size": 200}), out=Path("other")).path
    message = "small and other were trained on different text; name one for both with --data FILE"
    assert ganlm("eval", run, other) == (2, "", f"ganlm: error: {message}\n")


def test_runs_with_equal_folder_names_are_shown_with_their_paths(ganlm: Ganlm, run: Path) -> None:
    """Otherwise one run would hide that the other has different text."""
    config = tiny_config("ngram-mlp", "mlp", steps=1, corpus_options={"size": 200})
    other = execute(config, out=Path("other/small")).path
    message = f"{run} and other/small were trained on different text; name one for both with --data FILE"
    assert ganlm("eval", run, other) == (2, "", f"ganlm: error: {message}\n")
    found = rows(ganlm, run, other, run, "--data", "grammar", "--metrics", "distinct", "--temperatures", "1")
    titles = [str(run), "other/small", f"{run} (2)", f"{run} before GAN training", f"{run} (2) before GAN training"]
    assert list(found)[:5] == [f"{title} 1.0" for title in titles]


def test_warnings_about_files_with_equal_names_name_their_paths(ganlm: Ganlm, files: list[str]) -> None:
    for folder in ("a", "b"):
        Path(folder).mkdir()
    few = [write("a/samples.txt", TEST[:1]), write("b/samples.txt", TEST[:2])]
    assert notes(ganlm, *few, *files, "-n", 4)[-2:] == [
        "a/samples.txt has 1 sentences and other rows have 4, so their diversity does not compare; "
        "-n 1 makes them equal",
        "b/samples.txt has 2 sentences and other rows have 4, so their diversity does not compare; "
        "-n 2 makes them equal",
    ]


def test_a_missing_training_text_is_an_error_that_names_it(ganlm: Ganlm) -> None:
    write("gone.txt", [f"{text} {number}" for text in REAL for number in range(10)])
    path = execute(tiny_config("ngram-mlp", "mlp", steps=1, data="gone.txt", corpus_options={}), out=Path("run")).path
    Path("gone.txt").unlink()
    gone = Path("gone.txt").absolute()
    message = (
        f"the training text of run is not here (there is no file {gone}; check the path); name it with --data FILE"
    )
    assert ganlm("eval", path) == (1, "", f"ganlm: error: {message}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("empty.txt --data train.txt", "empty.txt is empty; give a file with one sentence per line"),
        ("blank.txt --data train.txt", "blank.txt has no text; give a file with one sentence per line"),
        ("test.txt --data empty.txt", "empty.txt is empty; give a file with one sentence per line"),
        ("nothing", "there is nothing at nothing; give a bundle, a run or a file with one sentence per line"),
        (
            "test.txt",
            "samples are compared with real text; name their training text with --data FILE",
        ),
        (
            "test.txt --data train.txt --temperatures 1,hot",
            "Invalid value for '--temperatures': 'hot' is not a valid float; 'ganlm eval --help' shows what it takes",
        ),
        (
            "test.txt --data train.txt --temperatures 0",
            "Invalid value for '--temperatures': 0.0 is not in the range x>0.0; "
            "'ganlm eval --help' shows what it takes",
        ),
        (
            "test.txt --data train.txt --metrics blue",
            "there is no metric 'blue'; did you mean 'bleu'? 'ganlm list metric' shows them",
        ),
        (
            "test.txt --data train.txt --out train.txt",
            "train.txt already exists; add --force to replace it, or choose another --out",
        ),
        (
            "test.txt --data train.txt --out . --force",
            "Invalid value for '--out': File '.' is a directory; 'ganlm eval --help' shows what it takes",
        ),
    ],
)
def test_an_impossible_evaluation_is_refused_in_one_line(
    ganlm: Ganlm, files: list[str], arguments: str, message: str
) -> None:
    write("empty.txt", [])
    write("blank.txt", ["", " "])
    code, out, err = ganlm("eval", *arguments.split())
    assert (code > 0, out, err) == (True, "", f"ganlm: error: {message}\n")
    assert Path("train.txt").read_text().splitlines() == REAL


def test_a_single_sentence_has_no_self_bleu(ganlm: Ganlm, files: list[str]) -> None:
    found = rows(ganlm, write("one.txt", TEST[:1]), *files)["one.txt"]
    assert found["protocol"]["self-bleu"] == "not defined: a single sentence cannot be compared with others"
    assert "self_bleu2" not in found["values"]
    code, out, _ = ganlm("eval", "one.txt", *files)
    assert code == 0
    assert "self-bleu: not defined: a single sentence cannot be compared with others" in out


def test_large_splits_are_subsampled(monkeypatch: pytest.MonkeyPatch, ganlm: Ganlm, files: list[str]) -> None:
    monkeypatch.setattr("ganlm_core.evaluation.evaluate.MOST_REFERENCES", 3)
    monkeypatch.setattr("ganlm_core.metrics.variety.SAMPLE", 2)
    monkeypatch.setattr("ganlm_core.metrics.language_model.SAMPLE", 2)
    chosen = ["--metrics", "bleu,copies,copied-span,lm-score"]
    protocol = rows(ganlm, write("samples.txt", REAL[:2]), *files, *chosen)["samples.txt"]["protocol"]
    assert protocol == {
        "bleu": "2 hypotheses, 3 references",
        "copies": "2 sentences, 15 to copy; 0.0% by chance (copies between two halves of the training text)",
        "copied-span": "2 sentences, 2 to copy",
        "lm-score": "Kneser-Ney models of order 4: trained on 2 real sentences to score 2, "
        "and on 2 sentences to score 3 real ones",
    }


def test_overlap_unknown_words_and_tokenisation_are_warned_of(ganlm: Ganlm, files: list[str]) -> None:
    files = ["--baseline", "train.txt", "--metrics", "distinct", *files]
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
        "raw.txt: 33% of the words end in a punctuation mark, and 0% in the training text; if they are tokenised "
        "differently, no number below means anything",
    ]
    assert notes(ganlm, write("capital.txt", ["The cat runs ."]), *files) == [
        "capital.txt: 1 of 4 words (25.0%) are in no real sentence, the first is 'The'",
        "capital.txt: 25% of the words have a capital letter, and 0% in the training text; if they are tokenised "
        "differently, no number below means anything",
    ]
    short = "has 4 sentences and other rows have 6, so their diversity does not compare; -n 4 makes them equal"
    assert notes(ganlm, "samples.txt", *files, "-n", 6) == [f"the test split {short}", f"samples.txt {short}"]


def test_unknown_characters_are_warned_of_where_sentences_are_single_words(ganlm: Ganlm) -> None:
    cities = write("cities.txt", ["Paris", "Rome", "New York", "Oslo"])
    files = ["--baseline", cities, "--metrics", "distinct", "--data", cities, "--test", cities, "-n", 4]
    overlap = "4 of 4 test sentences are in the training text too"
    assert notes(ganlm, write("known.txt", ["Pars", "Romo", "Yerk", "Sole"]), *files)[:1] == [overlap]
    assert notes(ganlm, write("strange.txt", ["Pars", "Romo", "Yerk", "Zole"]), *files)[1:2] == [
        "strange.txt: 1 of 16 characters (6.2%) are in no real sentence, the first is 'Z'"
    ]


def test_a_table_without_maximum_likelihood_has_a_note(ganlm: Ganlm, run: Path, files: list[str]) -> None:
    message = (
        "no row was trained by maximum likelihood alone, so the table does not show what a GAN adds to it; train one "
        "(ganlm run --recipe mle) and name it with --baseline RUN"
    )
    options = ["--metrics", "distinct", "--temperatures", "1", "--out"]
    assert message in notes(ganlm, write("samples.txt", TEST), *files)
    assert message in notes(ganlm, run / "bundle", *options, "one.json")
    assert message not in notes(ganlm, run, *options, "two.json")
    assert message not in notes(ganlm, run / "bundle", "--baseline", run / "before", *options, "three.json")
    mle = execute(tiny_config("ngram-mlp", "mlp", recipe="mle", steps=1), out=Path("mle")).path
    assert message not in notes(ganlm, mle, *options, "four.json")


def test_an_evaluation_is_replaced_only_with_force(ganlm: Ganlm, files: list[str]) -> None:
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


def test_samples_come_through_standard_input_and_through_a_pipe(
    ganlm: Ganlm, monkeypatch: pytest.MonkeyPatch, files: list[str]
) -> None:
    samples = "".join(f"{line}\n" for line in TEST)
    wanted = rows(ganlm, write("samples.txt", TEST), *files)["samples.txt"]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(samples.encode())))
    found = rows(ganlm, "-", *files)["standard input"]
    assert (found["kind"], found["values"]) == ("samples", wanted["values"])
    reader, writer = os.pipe()
    os.write(writer, samples.encode())
    os.close(writer)
    assert rows(ganlm, f"/dev/fd/{reader}", *files)[f"/dev/fd/{reader}"]["values"] == wanted["values"]


def test_samples_are_read_by_column_or_key(ganlm: Ganlm, files: list[str]) -> None:
    wanted = rows(ganlm, write("samples.txt", TEST), *files)["samples.txt"]["values"]
    lines = write("samples.jsonl", [json.dumps({"text": line, "words": 3}) for line in TEST])
    assert rows(ganlm, lines, *files)[lines]["values"] == wanted
    table = write("samples.csv", ["said,words", *(f'"{line}",3' for line in TEST)])
    split = [*files[:1], write("real.csv", ["said,words", *(f'"{line}",3' for line in REAL)]), "--test", table]
    assert rows(ganlm, table, *split, "--corpus.column", "said")[table]["values"] == wanted


def test_empty_samples_are_counted_and_noted(ganlm: Ganlm, files: list[str]) -> None:
    """They are sentences of the generator too, so that leaving them out would make it look better."""
    samples = write("samples.txt", [TEST[0], "", TEST[1], "  "])
    found = rows(ganlm, samples, *files)[samples]
    assert found["sentences"] == 4
    assert found["values"]["distinct"] == 3 / 4
    assert found["values"]["bleu4"] == 0.5
    note = "samples.txt: 2 of 4 sentences are empty; every metric counts them"
    assert note in notes(ganlm, samples, *files)
    test = write("gaps.txt", [*TEST[:2], "", *TEST[2:]])
    assert "gaps.txt: 1 blank lines skipped" in notes(ganlm, samples, *files[:-1], test)


def test_more_copies_than_chance_makes_are_noted(ganlm: Ganlm, files: list[str]) -> None:
    note = (
        "copies.txt: 75.0% of the sentences are copies of training sentences; 0.0% is expected by chance; "
        "the training text was memorised"
    )
    spaced = [REAL[0].replace(" ", "  "), REAL[1].replace(" ", "\t"), REAL[2], TEST[0]]
    assert note in notes(ganlm, write("copies.txt", spaced), *files)
    assert not any("memorised" in line for line in notes(ganlm, write("samples.txt", TEST), *files))


def test_a_column_without_a_value_is_not_shown(ganlm: Ganlm, files: list[str]) -> None:
    code, out, err = ganlm("eval", write("samples.txt", TEST), *files, "--metrics", "validity,distinct,perplexity")
    assert code == 0, err
    titles = out.splitlines()[1].split("  ")
    shown = [title.strip() for title in titles if title.strip()]
    assert shown == ["sentences", "distinct ↑", "held-out NLL ↓", "perplexity ↓", "held-out NLL/sentence ↓"]


def trained_on(name: str, lines: list[str]) -> Path:
    """A run of one step on a text, whose bundle keeps the digests of it."""
    config = tiny_config("ngram-mlp", "mlp", steps=1, data=write(name, lines), corpus_options={})
    return execute(config, out=Path("run")).path


LINES = [f"{text} {number}" for text in REAL for number in range(10)]


def test_a_bundle_is_not_measured_on_another_text_of_the_same_name(ganlm: Ganlm) -> None:
    run = trained_on("mine.txt", LINES)
    options = ["--metrics", "distinct", "--temperatures", 1, "--out", "kept.json", "--force"]
    assert ganlm("eval", run, *options)[0] == 0
    write("mine.txt", [*LINES, "the cow runs . 3"])
    code, _, err = ganlm("eval", run, *options)
    assert (code, err.partition(" (")[0]) == (
        1,
        f"ganlm: error: run was trained on another text than {Path('mine.txt').absolute()} has now",
    )
    assert err.endswith("; name its training text with --data FILE\n")
    found = notes(ganlm, run, "--data", "mine.txt", *options)
    assert [line.partition(" (")[0] for line in found if "another text" in line] == [
        "run was trained on another text than mine.txt"
    ]
    write("same.txt", LINES)
    assert not any("another text" in line for line in notes(ganlm, run, "--data", "same.txt", *options))
    whole = ["--data", "same.txt", "--test", write("test.txt", TEST)]
    assert not any("another text" in line for line in notes(ganlm, run, *whole, *options))


def test_a_run_that_read_standard_input_is_measured_on_what_it_kept(
    ganlm: Ganlm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not on a data.txt of the working directory; also after the run was moved."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("".join(f"{line}\n" for line in LINES).encode())))
    assert (
        ganlm("run", "--data", "-", "--steps", 2, "--evaluation-samples", 10, "--gen", "ngram-mlp", "--out", "run")[0]
        == 0
    )
    write("data.txt", [f"{number} wrong text" for number in range(200)])
    options = ["-n", 5, "--temperatures", 1, "--metrics", "likelihood"]
    code, _, err = ganlm("eval", "run", *options)
    assert (code, err.splitlines()[-1]) == (0, "kept in run/evaluation.json")
    Path("run").rename("moved")
    assert ganlm("eval", "moved", *options, "--force")[0] == 0


@pytest.mark.skipif("COCO_CAPTIONS" not in os.environ, reason="COCO_CAPTIONS names no folder with coco_train.txt")
@pytest.mark.parametrize(
    ("references", "wanted"), [(10_000, "0.743 0.525 0.343 0.222"), (500, "0.524 0.288 0.165 0.104")]
)
def test_real_captions_have_their_published_bleu(ganlm: Ganlm, references: int, wanted: str) -> None:
    """Training lines against test lines: the first 500 of them, or all, are the references."""
    train = Path(os.environ["COCO_CAPTIONS"]).absolute() / "coco_train.txt"
    test = write("references.txt", train.with_name("coco_test.txt").read_text().splitlines()[:references])
    options = ["--data", train, "--test", test, "--metrics", "bleu", "-n", 10_000]
    found = rows(ganlm, train, *options)["coco_train.txt"]
    assert " ".join(f"{found['values'][f'bleu{n}']:.3f}" for n in (2, 3, 4, 5)) == wanted
    assert found["protocol"]["bleu"] == f"10,000 hypotheses, {references:,} references"
