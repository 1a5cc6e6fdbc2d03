"""Rewards by an exact process and by a trained discriminator."""

import pytest

from ganlm_core.bundle.load import load
from ganlm_core.data.grammar import Grammar
from ganlm_core.errors import OptionError, UnknownName
from ganlm_core.rewards.judges import Classifier, Validity
from ganlm_core.rewards.options import ClassifierOptions, ValidityOptions

BUNDLE = "zoo:lstm-conv.autoregressive-grammar"


def test_only_what_the_process_can_give_is_valid() -> None:
    (text,) = Grammar().sample(1, seed=3)
    assert Validity(ValidityOptions())([text, f"{text} {text}", ""], {}) == [1.0, 0.0, 0.0]


def test_a_corpus_without_a_process_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownName, match="there is no corpus 'gramar'; did you mean 'grammar'"):
        Validity(ValidityOptions(corpus="gramar"))


def test_the_classifier_gives_the_probabilities_of_its_bundle() -> None:
    texts = Grammar().sample(3, seed=1)
    assert Classifier(ClassifierOptions(path=BUNDLE))(texts, {}) == load(BUNDLE).probability(texts)


def test_a_classifier_without_a_path_says_how_to_give_one() -> None:
    with pytest.raises(OptionError, match=r"has no path; name a bundle with --reward\.classifier\.path"):
        Classifier(ClassifierOptions())
