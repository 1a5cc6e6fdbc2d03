"""The reward of a trained discriminator."""

import math
from pathlib import Path

import pytest

from ganlm_core.algorithms.options import ClassifierOptions
from ganlm_core.bundle.classifier import Classifier
from ganlm_core.bundle.load import load
from ganlm_core.data.grammar import Grammar
from ganlm_core.errors import OptionError, UnknownName, UsageError
from ganlm_core.training.train import execute
from tests.conftest import tiny_config

BUNDLE = "zoo:lstm-conv.autoregressive-grammar"


def test_the_classifier_gives_the_probabilities_of_its_bundle() -> None:
    texts = Grammar().sample(3, seed=1)
    assert Classifier(ClassifierOptions(path=BUNDLE))(texts, {}) == load(BUNDLE).probability(texts)


def test_a_classifier_without_a_path_says_how_to_give_one() -> None:
    with pytest.raises(OptionError, match=r"has no path; name a bundle with --reward\.classifier\.path"):
        Classifier(ClassifierOptions())


def test_the_label_of_a_text_is_told_by_a_bundle_with_labels(tmp_path: Path) -> None:
    """The probabilities of all labels sum to one, and follow Bayes' theorem."""
    config = tiny_config("lstm", "conv", recipe="mle", corpus_options={"size": 300, "label": "number"})
    path = str(execute(config, out=tmp_path / "run").path)
    texts = ["the dogs sleep .", "the dog sleeps .", ""]
    given = {
        label: Classifier(ClassifierOptions(path=path, label=label))(texts, {}) for label in ("plural", "singular")
    }
    assert [sum(pair) for pair in zip(*given.values(), strict=True)] == pytest.approx([1, 1, 1])
    model = load(path)
    ratio = [
        math.exp(one - other)
        for one, other in zip(*(model.log_prob(texts, labels=[name] * 3) for name in given), strict=True)
    ]
    prior = model.labels.shares[0] / model.labels.shares[1]
    odds = [one / other for one, other in zip(*given.values(), strict=True)]
    assert odds == pytest.approx([each * prior.item() for each in ratio])
    with pytest.raises(OptionError, match=r"has labels \(plural .*\); name one with --reward\.classifier\.label"):
        Classifier(ClassifierOptions(path=path))
    with pytest.raises(UnknownName, match="there is no label 'dual'"):
        Classifier(ClassifierOptions(path=path, label="dual"))


def test_a_bundle_without_labels_tells_none() -> None:
    with pytest.raises(UsageError, match="this bundle was trained without labels"):
        Classifier(ClassifierOptions(path=BUNDLE, label="plural"))
