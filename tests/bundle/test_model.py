"""A model from Python: probabilities against enumeration, attributions by hand."""

import re
from typing import Any

import pytest
import torch
from torch import Tensor

from ganlm_core.bundle.attribution import leave_one_out
from ganlm_core.bundle.calibration import Calibration
from ganlm_core.bundle.manifest import Manifest
from ganlm_core.bundle.model import Model
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.errors import DataError, UsageError
from ganlm_core.protocol import EOS, PAD, Discriminator
from ganlm_core.sampling import PLAIN, log_likelihood
from tests.tiny import SHAPE, TinyDiscriminator, TinyGenerator, TinyOneShot, every_sequence


class Additive(Discriminator):
    """The sum over the tokens of a weight for each word."""

    weights = torch.tensor([100.0, 0.0, 0.25, 0.5, 2.0, -3.0])

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return (self.weights[sequence] * mask).sum(dim=1)


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
    with pytest.raises(UsageError, match="writes all positions at once and gives sentences no probability worth the"):
        make(TinyOneShot).log_prob(["a"])


@pytest.mark.parametrize(
    ("tokens", "wanted"),
    [([4, 5, EOS], [2, -3]), ([5, EOS, PAD], [-3]), ([EOS, PAD, PAD], []), ([4, 5, 4], [2, -3, 2])],
)
def test_where_every_word_adds_its_weight_that_is_its_attribution(tokens: list[int], wanted: list[float]) -> None:
    assert leave_one_out(Additive(SHAPE), torch.tensor(tokens)).tolist() == wanted


def test_an_attribution_is_the_logit_with_the_token_minus_that_without() -> None:
    torch.manual_seed(1)
    discriminator = TinyDiscriminator()
    whole, first, second = (
        discriminator(torch.tensor([ids]), torch.tensor([mask])).item()
        for ids, mask in (
            ([4, 5, EOS], [True] * 3),
            ([5, EOS, PAD], [True, True, False]),
            ([4, EOS, PAD], [True, True, False]),
        )
    )
    found = leave_one_out(discriminator, torch.tensor([4, 5, EOS]))
    assert found.tolist() == pytest.approx([whole - first, whole - second])


def test_a_model_explains_in_log_odds() -> None:
    model = make(discriminator=Additive, calibration=Calibration(0.5, 9.0, 0.0, 10, 10))
    assert model.explain("b a") == [("b", -1.5), ("a", 1.0)]
    assert model.explain("c") == [("<unk>", 0.25)]
    assert model.explain("") == []


def test_probabilities_want_a_calibration() -> None:
    with pytest.raises(UsageError, match=re.escape("this bundle has no calibration, without which a logit is no")):
        make().probability(["a"])
    with pytest.raises(UsageError, match="this bundle has no discriminator"):
        make(discriminator=None).probability(["a"])


def test_a_calibration_is_from_real_and_generated_sentences() -> None:
    """A discriminator that likes "a" and real text that is nothing else: the calibration tells both apart."""
    model = make(discriminator=Additive)
    found = model.calibrate(["a a a"] * 40, PLAIN)
    assert (found.real, found.generated) == (40, 40)
    assert found.slope > 0 and found.probability(torch.tensor(6.0)) > 0.8
    with pytest.raises(DataError, match="calibration wants 10 or more real sentences; there are 9"):
        model.calibrate(["a"] * 9)
