"""Sources: samples from files and pipes, their titles, and the training text that a bundle knows."""

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ganlm_core.bundle.manifest import Component, Manifest
from ganlm_core.data.corpus import Corpus, split
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.errors import DataError, UsageError, WeightsError
from ganlm_core.evaluation.sources import Source, open_sources, real_text, warnings
from ganlm_core.plugins.host import default_host
from tests.bundle.test_model import make

TEXTS = [f"the {animal} sees {number} dogs" for animal in ("cat", "fox", "owl") for number in range(40)]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, lines: list[str]) -> str:
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text("".join(f"{line}\n" for line in lines))
    return name


def test_files_are_samples_and_files_named_as_baselines_are_baselines() -> None:
    names = [write("a/x.txt", TEXTS[:2]), write("b/x.txt", TEXTS[2:3]), "a/x.txt"]
    found = open_sources(default_host(), names, [write("y.txt", TEXTS[:1])])
    assert [(each.kind, each.title, len(each.texts)) for each in found] == [
        ("samples", "a/x.txt", 2),
        ("samples", "b/x.txt", 1),
        ("samples", "a/x.txt (2)", 2),
        ("baseline", "y.txt", 1),
    ]
    assert [each.is_baseline for each in found] == [False, False, False, True]


def test_a_bundle_need_not_name_its_method_and_its_text() -> None:
    """Loading needs the components of the networks alone."""
    bare = Manifest({"generator": Component("lstm", {}, "ganlm-lstm", "1", 1)}, ("generator",), {}, "1")
    source = Source("model", "bare", SimpleNamespace(config=bare, source="bare"))  # type: ignore[arg-type]
    assert not source.is_baseline
    with pytest.raises(WeightsError, match=r"config\.json of the bundle names no corpus; name its text with --data"):
        real_text(default_host(), [source])


def test_a_fifo_is_read_once_and_called_by_its_path() -> None:
    os.mkfifo("pipe")
    if os.fork() == 0:
        try:
            Path("pipe").write_text("a dog\n\na cat\n")
        finally:
            os._exit(0)
    (found,) = open_sources(default_host(), ["pipe"])
    assert (found.title, list(found.texts)) == ("pipe", ["a dog", "a cat", ""])
    os.wait()


def test_nothing_is_a_source_that_does_not_exist() -> None:
    with pytest.raises(DataError, match="there is nothing at none; give a bundle, a run or a file"):
        open_sources(default_host(), ["none"])


def trained_on(title: str, path: str, texts: list[str] | None) -> Source:
    """A model whose bundle names a file, and keeps the digests of ``texts`` if they are given."""
    corpus = Component("file", {"path": path, "column": "text"}, "ganlm", "1", 1)
    manifest = Manifest({"corpus": corpus}, ("generator",), {}, "1")
    if texts is not None:
        manifest = replace(manifest, corpus={"name": path, **split(path, texts).digests()})
    model: Any = SimpleNamespace(source="", config=manifest)
    return Source("model", title, model)


def test_the_training_text_is_the_one_that_the_bundle_knows() -> None:
    path = write("mine.txt", TEXTS)
    assert len(real_text(default_host(), [trained_on("run", path, TEXTS)]).train) > 90
    with pytest.raises(DataError) as caught:
        real_text(default_host(), [trained_on("run", path, TEXTS[::-1])])
    assert str(caught.value) == (
        "run was trained on another text than mine.txt has now (different train, validation, test splits); "
        "name its training text with --data FILE"
    )


def test_a_bundle_without_digests_is_measured_on_the_file_that_it_names() -> None:
    assert real_text(default_host(), [trained_on("old", write("mine.txt", TEXTS), None)]).notes == ()


def test_a_named_text_that_differs_is_used_with_a_note() -> None:
    write("mine.txt", TEXTS)
    changed = ["the cat sees 0 cows" if text == TEXTS[0] else text for text in TEXTS]
    corpus = real_text(default_host(), [trained_on("run", "mine.txt", changed)], "mine.txt")
    (note,) = corpus.notes
    assert note.startswith("run was trained on another text than mine.txt (different ")
    assert note.endswith("), so copies of its own training text are not counted")


def test_a_named_text_beside_a_test_file_is_the_training_text_if_its_splits_are() -> None:
    """All of the file is training text then, so that the digests are those of its splits."""
    write("mine.txt", TEXTS)
    write("test.txt", ["a", "", "b"])
    corpus = real_text(default_host(), [trained_on("run", "other.txt", TEXTS)], "mine.txt", "test.txt")
    assert (len(corpus.train), list(corpus.test)) == (len(TEXTS), ["a", "b"])
    assert corpus.notes == ("test.txt: 1 blank lines skipped",)
    write("few.txt", TEXTS[:3])
    corpus = real_text(default_host(), [trained_on("run", "other.txt", TEXTS)], "few.txt", "test.txt")
    assert corpus.notes[0].startswith("run was trained on another text than few.txt (different train, validation, test")


def test_a_test_file_with_a_label_that_the_training_text_lacks_is_refused() -> None:
    rows = [f"{label}\t{text}" for text, label in zip(TEXTS, "abab" * len(TEXTS), strict=False)]
    write("mine.tsv", ["kind\ttext", *rows])
    write("test.tsv", ["kind\ttext", "a\tone", "c\ttwo"])
    with pytest.raises(DataError) as error:
        real_text(default_host(), [], "mine.tsv", "test.tsv", label="kind")
    assert str(error.value) == (
        "test.tsv: the label 'c' is not in the training text, whose labels are a, b; correct it, or remove its rows"
    )


def test_models_have_the_same_text_if_their_digests_are_equal_whatever_its_name() -> None:
    models = [trained_on("a", write("mine.txt", TEXTS), TEXTS), trained_on("b", "elsewhere.txt", TEXTS)]
    assert real_text(default_host(), models).name == "mine.txt"
    with pytest.raises(UsageError, match="a and c were trained on different text"):
        real_text(default_host(), [models[0], trained_on("c", "mine.txt", TEXTS[1:])])
    with pytest.raises(UsageError, match="old and other were trained on different text"):
        real_text(default_host(), [trained_on("old", "mine.txt", None), trained_on("other", "its.txt", None)])


def test_overlap_is_found_whatever_the_white_space() -> None:
    corpus = Corpus("", ["a b", "c d"], [], ["a  b", "e f"])
    source = Source("baseline", "x", texts=["a b", "c d"])
    assert list(warnings([source], corpus, 2)) == ["1 of 2 test sentences are in the training text too"]


def test_a_model_that_cuts_test_sentences_is_told_of() -> None:
    """It reads three tokens, so two words and <eos>."""
    corpus = Corpus("words", ["a b", "b a"], ["a b"], ["a b", "a b a b"])
    cut = [line for line in warnings([Source("model", "run", make())], corpus, 2) if "longer" in line]
    assert cut == [
        "run: 50.0% of the test sentences are longer than its 3 tokens, so its likelihood is of their beginnings and "
        "does not compare with others"
    ]
    fixed = replace(corpus, fixed_length=True)  # there, no <eos> follows
    assert not [line for line in warnings([Source("model", "run", make())], fixed, 2) if "longer" in line]


def test_models_with_other_tokenizers_are_told_of() -> None:
    one, other = make(), make()
    corpus = Corpus("words", ["a b", "b a"], ["a b"], ["a b", "b a"])
    sources = [Source("model", "words", one), Source("model", "again", other)]
    assert not [line for line in warnings(sources, corpus, 2) if "divide" in line]
    other = replace(other, tokenizer=Tokenizer.train("char", ["ab"], 10))
    sources[1] = Source("model", "again", other)
    assert [line for line in warnings(sources, corpus, 2) if "divide" in line] == [
        "again and words divide text into other tokens, so held-out NLL and perplexity do not compare; the NLL per "
        "sentence does (--metrics perplexity). Reference rows have the tokens of words"
    ]


def test_a_model_that_does_not_know_test_words_is_told_of() -> None:
    """One of the four words of the test split is unknown."""
    corpus = Corpus("words", ["a b", "b a"], ["a b"], ["a b", "b c"])
    told = [line for line in warnings([Source("model", "run", make())], corpus, 2) if "<unk>" in line]
    assert told == [
        "run: 25.0% of the tokens of the test split are <unk> to it, so its likelihood is higher than that of a model "
        "that knows them"
    ]
    known = replace(corpus, test=["a b", "b a"])
    assert not [line for line in warnings([Source("model", "run", make())], known, 2) if "<unk>" in line]
