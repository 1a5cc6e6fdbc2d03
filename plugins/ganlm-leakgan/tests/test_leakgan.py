"""LeakGAN's networks: the leaked features are the discriminator's own, and goals have unit length."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from ganlm_conv.networks import ConvDiscriminator
from ganlm_conv.options import ConvDiscriminatorOptions
from ganlm_leakgan import ganlm_components
from ganlm_leakgan.networks import LeakGenerator, PrefixFeatures
from ganlm_leakgan.options import LeakGeneratorOptions
from torch import Tensor
from torch.nn import functional as F

from ganlm_core.errors import OptionError
from ganlm_core.protocol import BOS, Shape
from ganlm_core.testing import Case, parametrize_with_checks

GENERATOR, _ = ganlm_components()
SHAPE = Shape(vocabulary=9, length=6, noise=3)
SMALL = {"embedding_size": 4, "hidden_size": 5, "goal_size": 3, "feature_embedding_size": 4, "filters": 3}
TOKENS = torch.tensor([[4, 5, 2, 0, 0, 0], [6, 7, 8, 4, 5, 6], [2, 0, 0, 0, 0, 0]])

VARIANTS = [
    (GENERATOR, {"widths": "1", "highway": False}),
    (GENERATOR, {"widths": "3,8", "horizon": 9}),
]
"""Options that change the computation. tests/testing/test_conformance.py tests the defaults."""


@parametrize_with_checks(VARIANTS)
def test_conformance(component: Case, check: Callable[[Case], None]) -> None:
    check(component)


def make_generator(**options: Any) -> LeakGenerator:
    torch.manual_seed(0)
    return LeakGenerator(SHAPE, LeakGeneratorOptions(**SMALL | options))


def test_the_options_of_the_extractor_are_checked_like_the_discriminators() -> None:
    with pytest.raises(OptionError) as error:
        LeakGeneratorOptions(widths="2;3")
    assert str(error.value) == "widths is '2;3'; wanted comma-separated integers of at least 1, such as 2,3,4"


def with_bos(tokens: Tensor) -> Tensor:
    return torch.cat([torch.full_like(tokens[:, :1], BOS), tokens], dim=1)


@pytest.mark.parametrize("widths", ["1", "2,3", "5,1,8"])
def test_the_features_of_each_prefix_agree_with_the_discriminator(widths: str) -> None:
    """From the empty prefix to the whole sentence, at once and word by word, for ids and for relaxed words."""
    torch.manual_seed(0)
    options = ConvDiscriminatorOptions(embedding_size=4, widths=widths, filters=3, highway=True, blur=0)
    discriminator = ConvDiscriminator(SHAPE, options).double().eval()
    extractor = PrefixFeatures(SHAPE, options).double()
    extractor.copy_from(discriminator)
    positions = torch.arange(SHAPE.length)
    masks = [(positions < words).expand(len(TOKENS), -1) for words in range(SHAPE.length + 1)]
    expected = torch.stack([discriminator.features(TOKENS, mask) for mask in masks], dim=1)
    at_once, _ = extractor(with_bos(TOKENS), extractor.start(len(TOKENS)))
    torch.testing.assert_close(at_once, expected)

    relaxed = torch.randn(len(TOKENS), SHAPE.length, SHAPE.vocabulary).double().softmax(dim=-1)
    expected = torch.stack([discriminator.features(relaxed, mask) for mask in masks], dim=1)
    state, steps = extractor.start(len(TOKENS)), []
    for column in torch.cat([F.one_hot(torch.full((3, 1), BOS), SHAPE.vocabulary), relaxed], dim=1).unbind(1):
        features, state = extractor(column.unsqueeze(1), state)
        steps.append(features)
    torch.testing.assert_close(torch.cat(steps, dim=1), expected)


def test_the_extractor_has_no_instance_noise() -> None:
    extractor = make_generator().train().extractor
    prefixes, start = with_bos(TOKENS), extractor.start(len(TOKENS))
    assert torch.equal(extractor(prefixes, start)[0], extractor(prefixes, start)[0])


def test_goals_have_unit_length() -> None:
    generator = make_generator()
    features, _ = generator.extractor(with_bos(TOKENS), generator.extractor.start(len(TOKENS)))
    goals, _ = generator.manager(features, generator.manager.start(torch.randn(3, SHAPE.noise)))
    torch.testing.assert_close(goals.norm(dim=-1), torch.ones(3, SHAPE.length + 1))


@pytest.mark.parametrize("horizon", [1, 3])
def test_the_logits_are_a_matrix_times_the_embedding_of_the_last_goals(horizon: int) -> None:
    """The paper's O_t w_t with an explicit O_t, where w_t embeds the sum of c goals without a bias."""
    generator = make_generator(horizon=horizon)
    noise = torch.randn(3, SHAPE.noise)
    inputs = with_bos(TOKENS)[:, :-1]
    features, _ = generator.extractor(inputs, generator.extractor.start(3))
    goals, _ = generator.manager(features, generator.manager.start(noise))
    sums = torch.stack([goals[:, max(0, t + 1 - horizon) : t + 1].sum(dim=1) for t in range(SHAPE.length)], dim=1)
    worker = generator.worker
    embedded = sums @ worker.goal_embedding.weight.T
    hidden, cell = worker.start(noise)
    states, _ = worker.lstm(worker.embedding(inputs), (hidden.transpose(0, 1), cell.transpose(0, 1)))
    matrices = torch.einsum("bth,vhk->btvk", states, worker.output.weight.unflatten(1, (5, 3)))
    expected = torch.einsum("btvk,btk->btv", matrices, embedded) + worker.output.bias
    torch.testing.assert_close(generator(noise, TOKENS), expected)


def test_the_copy_is_in_the_state_dict_and_has_no_parameters() -> None:
    generator = make_generator()
    copied = {name for name in generator.state_dict() if name.startswith("extractor.")}
    discriminator = ConvDiscriminator(SHAPE, LeakGeneratorOptions(**SMALL).extractor())
    assert copied == {f"extractor.{name}" for name in discriminator.state_dict() if not name.startswith("output.")}
    assert not copied & {name for name, _ in generator.named_parameters()}
