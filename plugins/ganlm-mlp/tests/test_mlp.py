from collections.abc import Callable

import pytest
import torch
from ganlm_mlp import ganlm_components
from ganlm_mlp.networks import MLPDiscriminator, NgramGenerator
from ganlm_mlp.options import MLPDiscriminatorOptions, NgramOptions
from torch import Tensor

from ganlm_core.protocol import BOS, Shape
from ganlm_core.testing import Case, parametrize_with_checks

ONE_SHOT, NGRAM, DISCRIMINATOR, _ = ganlm_components()
SHAPE = Shape(vocabulary=9, length=6, noise=3)

VARIANTS = [
    (ONE_SHOT, {"layers": 1}),
    (NGRAM, {"context": 1}),
    (NGRAM, {"layers": 2, "dropout": 0.5}),
    (DISCRIMINATOR, {"layers": 1}),
]
"""Options that change the computation. tests/testing/test_conformance.py tests the defaults."""


@parametrize_with_checks(VARIANTS)
def test_conformance(component: Case, check: Callable[[Case], None]) -> None:
    check(component)


def ngram(context: int) -> NgramGenerator:
    torch.manual_seed(0)
    return NgramGenerator(SHAPE, NgramOptions(context=context, embedding_size=4, hidden_size=8))


def test_an_ngram_does_not_depend_on_tokens_outside_its_window() -> None:
    generator, noise = ngram(context=2), torch.randn(1, SHAPE.noise)
    one, other = torch.tensor([[4, 5, 6, 7, 8]]), torch.tensor([[4, 4, 6, 7, 8]])
    changed = (generator(noise, one) - generator(noise, other)).abs().amax(dim=-1) > 1e-6
    assert changed.tolist() == [[False, False, True, True, False]]


def test_an_ngram_starts_from_a_window_of_bos() -> None:
    """The first logits equal the logits after any number of <bos>."""
    generator, noise = ngram(context=3), torch.randn(1, SHAPE.noise)
    logits = generator(noise, torch.full((1, 4), BOS))
    torch.testing.assert_close(logits, logits[:, :1].expand_as(logits))


def test_a_sequence_longer_than_the_shape_is_refused() -> None:
    discriminator = MLPDiscriminator(SHAPE, MLPDiscriminatorOptions())
    tokens = torch.full((1, 7), 4)
    with pytest.raises(ValueError) as error:
        discriminator(tokens, torch.ones_like(tokens, dtype=torch.bool))
    assert str(error.value) == "a sequence has 7 tokens; this network takes 6 at most"


def test_the_score_depends_on_the_word_order() -> None:
    torch.manual_seed(0)
    discriminator = MLPDiscriminator(SHAPE, MLPDiscriminatorOptions())

    def score(*words: int) -> Tensor:
        return discriminator(torch.tensor([words]), torch.ones(1, len(words), dtype=torch.bool))

    assert (score(4, 5, 6) - score(6, 5, 4)).abs() > 1e-3
