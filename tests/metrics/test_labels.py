"""Label accuracy: a classifier of real text, and the labels that an exact process knows."""

import math

import pytest

from ganlm_core.components import NoOptions
from ganlm_core.data.corpus import Columns, Corpus
from ganlm_core.data.grammar import NumberedGrammar, grammar_corpus
from ganlm_core.data.options import GrammarOptions
from ganlm_core.metrics.labels import LabelAccuracy
from ganlm_core.metrics.metric import Conditions, Subject
from tests.metrics.test_classifier import reviews

METRIC = LabelAccuracy(NoOptions())


def test_the_accuracy_is_of_the_labels_that_were_asked_for() -> None:
    (train, labels), (held_out, truth) = reviews(0), reviews(1)
    corpus = Corpus("reviews", train, [], held_out, columns={"train": Columns(labels), "test": Columns(truth)})
    conditions = Conditions(corpus)
    right = METRIC(Subject(held_out, labels=truth), conditions)
    assert right.values["label_accuracy"] > 0.97 and "label_nll" not in right.values
    assert right.protocol == "400 sentences; by a classifier of 400 real sentences"
    swapped = [{"positive": "negative", "negative": "positive"}[label] for label in truth]
    wrong = METRIC(Subject(held_out, labels=swapped), conditions)
    assert wrong.values["label_accuracy"] == pytest.approx(1 - right.values["label_accuracy"])
    assert METRIC(Subject(held_out), conditions).values == {}


def test_real_text_is_measured_on_what_the_classifier_has_not_seen() -> None:
    (train, labels), (held_out, truth) = reviews(0), reviews(1)
    corpus = Corpus("reviews", train, [], held_out, columns={"train": Columns(labels)})
    found = METRIC(Subject(train, held_out=held_out, labels=truth), Conditions(corpus))
    assert found.protocol.startswith("400 sentences")


def test_a_process_says_the_label_of_a_sentence_exactly() -> None:
    corpus = grammar_corpus(GrammarOptions(size=300, label="number"))
    texts = ["the dogs sleep .", "the dog sleeps .", "the dog sleep ."]
    found = METRIC(Subject(texts, labels=["plural", "plural", "singular"]), Conditions(corpus))
    assert found.values["label_accuracy"] == pytest.approx(1 / 3)
    expected = -(NumberedGrammar().log_prob(texts[:1])[0] + math.log(2))
    assert found.values["label_nll"] == pytest.approx(expected)
