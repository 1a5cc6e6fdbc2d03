"""A model from Python: probabilities against enumeration, samples and scores of a saved bundle."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import torch

from ganlm_core.bundle import load
from ganlm_core.bundle.calibration import Calibration
from ganlm_core.bundle.manifest import Manifest
from ganlm_core.bundle.model import Model
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.errors import DataError, NonFinite, OptionError, OutOfMemory, UsageError
from ganlm_core.protocol import EOS
from ganlm_core.sampling import PLAIN, log_likelihood
from tests.bundles import TEXTS, Additive
from tests.tiny import SHAPE, TinyDiscriminator, TinyGenerator, TinyOneShot, every_sequence


def make(generator: Any = TinyGenerator, discriminator: Any = TinyDiscriminator, **others: Any) -> Model:
    torch.manual_seed(0)
    tokenizer = Tokenizer.train("word", ["a b a"], 10)  # <unk> is 3, a is 4, b is 5
    networks = {
        "generator": generator().eval(),
        "discriminator": discriminator(SHAPE).eval() if discriminator else None,
    }
    config = Manifest({}, ("generator",), {}, "0.1.0")
    return Model(**networks, tokenizer=tokenizer, config=config, evaluation={}, shape=SHAPE,
                 device=torch.device("cpu"), **others)  # fmt: skip


def test_the_probabilities_of_all_sentences_sum_to_one() -> None:
    """Every draw of the noise is a distribution, and so is their mean, as the draws are the same for every sentence."""
    model = make()
    texts = model.tokenizer.decode(every_sequence()[0])
    assert len(set(texts)) == len(texts) == 1 + 3 + 9 + 27
    for draws in (1, 8):
        assert torch.tensor(model.log_prob(texts, draws=draws)).exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_a_log_prob_is_the_mean_over_draws_of_the_noise() -> None:
    model = make()
    noise = torch.randn(3, 1, SHAPE.noise, generator=torch.Generator().manual_seed(5))
    tokens, mask = torch.tensor([[4, 5, EOS]]), torch.ones(1, 3, dtype=torch.bool)
    each = torch.stack([log_likelihood(model.generator, z, tokens, mask).sum() for z in noise])
    assert model.log_prob(["a b"], draws=3, seed=5) == pytest.approx([each.exp().mean().log().item()])


def test_a_log_prob_does_not_depend_on_its_neighbours() -> None:
    model = make()
    texts = ["a", "b a", "a a", "b"]
    alone = [value for text in texts for value in model.log_prob([text])]
    assert model.log_prob(texts, batch_size=3) == pytest.approx(alone)
    assert model.log_prob([]) == []


def test_a_one_shot_generator_gives_no_probability() -> None:
    with pytest.raises(UsageError, match="writes all positions at once, so it gives sentences no useful probability"):
        make(TinyOneShot).log_prob(["a"])


def test_a_model_is_shown_in_one_line() -> None:
    source = "zoo:lstm-conv.autoregressive-grammar"
    told = f"Model('{source}', networks=['lstm', 'conv'], vocabulary=198, length=15)"
    assert repr(load.load(source)) == told


def test_a_model_explains_in_log_odds() -> None:
    model = make(discriminator=Additive, calibration=Calibration(0.5, 9.0, 0.0, 10, 10))
    assert model.explain("b a") == [("b", -1.5), ("a", 1.0)]
    assert model.explain("c") == [("<unk>", 0.25)]
    assert model.explain("") == []


def test_probabilities_need_a_calibration() -> None:
    with pytest.raises(UsageError) as caught:
        make().probability(["a"])
    assert str(caught.value) == (
        "this bundle has no calibration, which turns logits into probabilities; "
        "give real text that it was not trained on (--data FILE, or Model.calibrated)"
    )
    with pytest.raises(UsageError, match="this bundle has no discriminator"):
        make(discriminator=None).probability(["a"])


def test_a_calibration_is_from_real_and_generated_sentences() -> None:
    """A discriminator that likes "a" and real text that is nothing else: the calibration tells both apart."""
    model = make(discriminator=Additive)
    calibrated = model.calibrated(["a a a"] * 40, policy=PLAIN)
    found = calibrated.require_calibration()
    assert (found.real, found.generated) == (40, 40)
    assert found.slope > 0 and calibrated.probability(["a a a"])[0] > 0.8
    assert model.calibration is None
    with pytest.raises(DataError, match="a calibration needs 10 or more real sentences; there are 9"):
        model.calibrated(["a"] * 9)


def test_a_model_can_be_in_a_set() -> None:
    one, other = make(), make()
    assert {one, other, one} == {other, one} and one != other


def test_sampling_depends_on_the_seed_and_not_on_the_number(saved, host):
    model = load.load(saved, host)
    few, many = model.sample(5, seed=1, batch_size=4), model.sample(10, seed=1, batch_size=4)
    assert many[:5] == few and len(many) == 10
    assert model.sample(10, seed=2, batch_size=4) != many
    assert many[4:8] != many[:4] and model.sample(4, seed=2, batch_size=4) != many[4:8]
    assert model.sample(0) == []
    assert len(set(model.sample(20, top_k=1))) <= len(set(model.sample(20)))


def test_sentences_begin_with_the_prompt(saved, host):
    model = load.load(saved, host)
    few, many = (model.sample(n, seed=1, prompt=" the  cat", batch_size=4) for n in (3, 10))
    assert all(text == "the cat" or text.startswith("the cat ") for text in many)
    assert len(set(many)) > 1 and few == many[:3]
    assert model.sample(10, seed=2, prompt="the cat", batch_size=4) != many
    assert model.sample(10, prompt=" ") == model.sample(10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": -1}, "n is -1; wanted 0 or more"),
        ({"temperature": 0.0}, "temperature is 0.0; wanted a number above 0"),
        ({"temperature": float("nan")}, "temperature is nan; wanted a number above 0"),
        ({"top_k": -1}, "top_k is -1; wanted 0 or more"),
        ({"top_p": 1.5}, "top_p is 1.5; wanted a number above 0 and at most 1"),
        ({"batch_size": 0}, "batch_size is 0; wanted 1 or more"),
    ],
)
def test_values_out_of_range(saved, host, arguments, message):
    with pytest.raises(OptionError, match=re.escape(message)):
        load.load(saved, host).sample(**{"n": 1} | arguments)


@pytest.mark.parametrize("nonsense", [float("nan"), float("inf")])
def test_a_generator_without_finite_logits_draws_nothing(saved, host, nonsense):
    model = load.load(saved, host)
    with torch.no_grad():
        next(model.generator.parameters()).fill_(nonsense)
    with pytest.raises(NonFinite) as caught:
        model.sample(1)
    assert str(caught.value) == "the generator 'lstm' gives logits that are NaN or infinite; do not use its weights"


def test_scores_are_the_discriminators_logits(saved, parts, host):
    tokens, _ = parts["tokenizer"].encode(TEXTS, 6)
    with torch.no_grad():
        wanted = parts["networks"]["discriminator"].eval()(tokens, tokens != 0)
    assert load.load(saved, host).score(TEXTS) == pytest.approx(wanted.tolist(), abs=1e-6)
    assert load.load(saved, host).score([]) == []


@contextmanager
def disturbed() -> Iterator[None]:
    """Set the modes of torch that a program around ganlm may have set."""
    with ExitStack() as stack:
        stack.callback(torch.set_default_dtype, torch.get_default_dtype())
        torch.set_default_dtype(torch.float64)
        stack.enter_context(torch.device("meta"))
        stack.enter_context(torch.autocast("cpu", torch.bfloat16))
        yield


def test_modes_of_the_callers_torch_change_nothing(saved, host):
    plain = load.load(saved, host)
    tokens = plain.batch(0, seed=0)
    calls = [
        lambda model: model.sample(5),
        lambda model: model.batch(0, seed=0).tolist(),
        lambda model: model.log_prob(TEXTS),
        lambda model: model.score(TEXTS),
        lambda model: model.logits(tokens).tolist(),
        lambda model: model.probability(TEXTS),
        lambda model: model.explain(TEXTS[0]),
        lambda model: model.calibrated(TEXTS * 10).calibration,
    ]
    wanted = [call(plain) for call in calls]
    with disturbed():
        found = [call(load.load(saved, host)) for call in calls]
    assert found == wanted


def test_a_lack_of_memory_is_an_error_of_ganlm(saved, host):
    with pytest.raises(OutOfMemory) as caught:
        load.load(saved, host).sample(2, batch_size=10**12)
    assert re.fullmatch(r"there is no memory for this \(.*\); ask for fewer sentences at once", str(caught.value))
