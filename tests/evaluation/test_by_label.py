"""Rows of each label: their real text, their numbers, and models whose labels the text does not have."""

from dataclasses import replace
from pathlib import Path

import pytest

import ganlm_core
from ganlm_core.bundle.model import Model
from ganlm_core.data.corpus import Columns, Corpus
from ganlm_core.data.grammar import NumberedGrammar, grammar_corpus
from ganlm_core.data.options import GrammarOptions
from ganlm_core.errors import UsageError
from ganlm_core.evaluation.by_label import check_labels, label_rows, real_rows
from ganlm_core.evaluation.evaluate import EvaluationSettings, choose_metrics, evaluate
from ganlm_core.evaluation.sources import Source
from ganlm_core.metrics.judge import Judge
from ganlm_core.plugins.host import default_host
from ganlm_core.training.train import execute
from tests.conftest import tiny_config

CORPUS = grammar_corpus(GrammarOptions(size=300, label="number"))
METRICS = ("label-accuracy", "distinct", "likelihood", "distance")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    config = tiny_config("lstm", "conv", recipe="mle", corpus_options={"size": 300, "label": "number"})
    return ganlm_core.load(execute(config, out=tmp_path_factory.mktemp("run") / "run").path)


def judge(model: Model) -> Judge:
    return Judge(CORPUS, model.tokenizer, model.shape, {}, 0)


def test_each_label_has_a_row_beside_real_text_of_this_label(model: Model) -> None:
    settings = EvaluationSettings(choose_metrics(default_host(), METRICS), temperatures=[1.0])
    found = evaluate(default_host(), [Source("model", "mine", model)], CORPUS, settings)
    rows = {row.title: row for row in found.rows if row.label}
    assert list(rows) == ["mine, plural", "mine, singular", "real text, plural", "real text, singular"]
    labels = CORPUS.beside("test").labels
    for name in CORPUS.labels:
        assert rows[f"mine, {name}"].sentences == rows[f"real text, {name}"].sentences == labels.count(name)
        assert rows[f"real text, {name}"].values["label_accuracy"] == 1
        assert "tv" not in rows[f"mine, {name}"].values, "its sentences are of one label, and log p is of all"
    whole = next(row for row in found.rows if row.kind == "model")
    assert whole.values["label_accuracy"] == 0  # six steps have taught it no sentence
    parts = [rows[f"mine, {name}"].values["test_nll"] for name in CORPUS.labels]
    assert min(parts) < whole.values["test_nll"] < max(parts)


def test_real_text_of_a_label_is_of_this_label(model: Model) -> None:
    for found, name in zip(real_rows(judge(model), 1000), CORPUS.labels, strict=True):
        (make,) = found.subjects
        subject = make()
        texts = [*subject.texts, *subject.references, *subject.held_out]
        assert set(NumberedGrammar().labels_of(texts)) == {name}
        assert set(subject.labels) == {name} and found.judge.corpus.train is CORPUS.train


def test_a_model_without_labels_and_a_file_have_no_rows_of_labels(model: Model) -> None:
    assert [*label_rows(Source("samples", "a.txt", texts=["a"]), judge(model), 10)] == []
    plain = replace(model, config=replace(model.config, labels=(), label_counts=()))
    assert [*label_rows(Source("model", "plain", plain), judge(model), 10)] == []


def test_text_without_the_labels_of_a_model_is_refused(model: Model) -> None:
    source = Source("model", "mine", model)
    check_labels([source], CORPUS)
    with pytest.raises(UsageError) as caught:
        check_labels([source], Corpus("text", ["a"], [], ["b"]))
    assert str(caught.value) == (
        "mine writes text of the labels plural, singular, and text has no labels; "
        "name the column of its labels with --corpus.label, or leave out --data to take its own text"
    )
    with pytest.raises(UsageError, match="and the sentences of --test have none"):
        check_labels([source], CORPUS.testing(["a"], Columns()))
    other = Corpus("text", ["a", "b"], [], ["b"], columns={"train": Columns(["x", "y"])})
    with pytest.raises(UsageError, match="and text has x, y"):
        check_labels([source], other)


def test_a_run_writes_its_labels(model: Model, tmp_path: Path) -> None:
    counts = {name: CORPUS.beside("train").labels.count(name) for name in CORPUS.labels}
    assert dict(zip(model.config.labels, model.config.label_counts, strict=True)) == counts
