"""Several bundles as one model, ``mean:A,B``."""

from dataclasses import replace

import pytest
import torch

from ganlm_core.bundle.load import load
from ganlm_core.bundle.locate import locate, members_of
from ganlm_core.bundle.mean import first_of, mean_of
from ganlm_core.bundle.model import Model
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.errors import UsageError
from ganlm_core.protocol import Shape
from tests.bundle.test_model import make
from tests.tiny import TinyGenerator, TinyOneShot

MLE, COT = "zoo:lstm.mle-grammar", "zoo:lstm.cot-grammar"


def wider() -> TinyGenerator:
    return TinyGenerator(Shape(vocabulary=6, length=3, noise=4))


def named(model: Model, source: str) -> Model:
    return replace(model, source=source)


def test_the_mean_of_two_bundles_is_a_model() -> None:
    model = load(f"mean:{MLE}, {COT}")
    assert model.source == f"mean:{MLE}, {COT}"
    assert model.discriminator is None
    assert not model.evaluation
    assert model.sample(5, seed=1) == model.sample(5, seed=1)
    (found,) = model.log_prob(["the dog sleeps ."])
    each = [load(source).log_prob(["the dog sleeps ."])[0] for source in (MLE, COT)]
    assert found > sum(each) / 2  # the logarithm of a mean is above the mean of logarithms, word by word


def test_the_mean_of_a_bundle_and_itself_is_the_bundle() -> None:
    texts = ["the dog sleeps .", "dog the ."]
    assert load(f"mean:{MLE},{MLE}").log_prob(texts) == pytest.approx(load(MLE).log_prob(texts), abs=1e-4)


def test_the_mean_is_on_the_device_of_its_members() -> None:
    meta = torch.device("meta")
    elsewhere = replace(make(), generator=TinyGenerator().to(meta), device=meta)
    assert mean_of([elsewhere, elsewhere], "mean:a,b").generator.prior.device == meta


def test_one_bundle_has_no_mean() -> None:
    with pytest.raises(UsageError) as caught:
        members_of("mean:runs/a,")
    assert str(caught.value) == "mean:runs/a, has fewer than two bundles; give them with commas: mean:A,B"


def test_models_of_different_training_text_are_refused() -> None:
    one, other = (
        replace(named(make(), name), config=replace(make().config, corpus={"train": digest, "test": "e" * 64}))
        for name, digest in (("a", "1" * 64), ("b", "2" * 64))
    )
    with pytest.raises(UsageError, match="a and b have different training texts; give models that were trained on the"):
        mean_of([one, other], "mean:a,b")
    assert mean_of([one, one], "mean:a,a").source == "mean:a,a"


def test_a_mean_has_no_files() -> None:
    with pytest.raises(UsageError, match="mean:a,b is the mean of several bundles, and this needs the files of one"):
        locate("mean:a,b")
    assert (first_of("mean: a, b"), first_of("zoo:a")) == ("a", "zoo:a")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            make(TinyOneShot),
            "b writes all positions at once, so it has no probability of the next word to take the mean of; "
            "give autoregressive models",
        ),
        (
            make(wider),
            "a and b have different sizes, noise 2 and 4; give models that were trained on the same text with the same "
            "sizes",
        ),
        (
            replace(make(), tokenizer=Tokenizer.train("word", ["c d c"], 10)),
            "a and b have different vocabularies; give models that were trained on the same text with the same sizes",
        ),
    ],
)
def test_models_that_do_not_go_together_are_refused(other: Model, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        mean_of([named(make(), "a"), named(other, "b")], "mean:a,b")
    assert str(caught.value) == message
