from collections.abc import Callable

import pytest
import torch
from ganlm_transformer import ganlm_components
from ganlm_transformer.networks import Attention, TransformerDiscriminator, TransformerGenerator
from ganlm_transformer.options import TransformerDiscriminatorOptions, TransformerOptions
from torch.nn import functional as F

from ganlm_core import sampling
from ganlm_core.errors import OptionError
from ganlm_core.protocol import Shape, shift
from ganlm_core.testing import Case, parametrize_with_checks

GENERATOR, DISCRIMINATOR, _ = ganlm_components()
SHAPE = Shape(vocabulary=9, length=5, noise=3)
OPTIONS = TransformerOptions(hidden_size=8, heads=2)

VARIANTS = [
    (GENERATOR, {"layers": 1, "heads": 1, "dropout": 0.5}),
    (DISCRIMINATOR, {"layers": 1, "heads": 1}),
]
"""Options that change the computation. tests/testing/test_conformance.py tests the defaults."""


@parametrize_with_checks(VARIANTS)
def test_conformance(component: Case, check: Callable[[Case], None]) -> None:
    check(component)


@pytest.mark.parametrize(("size", "heads", "nearest"), [(10, 4, 8), (2, 3, 3)])
def test_heads_must_divide_the_hidden_size(size: int, heads: int, nearest: int) -> None:
    with pytest.raises(OptionError) as error:
        TransformerOptions(hidden_size=size, heads=heads)
    assert str(error.value) == f"hidden-size is {size}, not a multiple of heads, {heads}; give {nearest}, for example"


def test_attention_agrees_with_pytorch() -> None:
    torch.manual_seed(0)
    attention = Attention(OPTIONS)
    states = torch.randn(3, 5, 8)
    visible = torch.rand(3, 1, 5, 5) < 0.5
    visible |= torch.eye(5, dtype=torch.bool)
    heads = attention.inputs(states).view(3, 5, 2, 3, 4).permute(3, 0, 2, 1, 4)
    expected = F.scaled_dot_product_attention(*heads, attn_mask=visible)
    found, _ = attention(states, visible)
    torch.testing.assert_close(found, attention.output(expected.transpose(1, 2).reshape(3, 5, 8)))


def test_a_step_appends_its_position_to_the_cache_and_changes_no_other() -> None:
    torch.manual_seed(0)
    generator = TransformerGenerator(SHAPE, OPTIONS)
    before = generator.start(torch.randn(3, SHAPE.noise))
    _, once = generator.step(torch.tensor([1, 1, 1]), before)
    _, twice = generator.step(torch.tensor([4, 5, 6]), once)
    for (keys, values), (more_keys, more_values) in zip(once[2], twice[2], strict=True):
        assert keys.shape == (3, 2, 1, 4)
        assert more_keys.shape == (3, 2, 2, 4)
        assert torch.equal(more_keys[:, :, :1], keys)
        assert torch.equal(more_values[:, :, :1], values)


def test_without_gradients_steps_write_into_the_cache_and_give_the_same_logits() -> None:
    torch.manual_seed(0)
    generator = TransformerGenerator(SHAPE, OPTIONS)
    noise, tokens = torch.randn(3, SHAPE.noise), torch.randint(3, SHAPE.vocabulary, (3, SHAPE.length))
    expected = generator(noise, tokens)
    with torch.no_grad():
        state = generator.start(noise)
        places = [part.data_ptr() for cache in state[2] for part in cache]
        for position, column in enumerate(shift(tokens).unbind(1)):
            branched = sampling.select_rows(state, torch.tensor([0, 0, 2]))
            generator.step(torch.full_like(column, 3), branched)
            logits, state = generator.step(column, state)
            torch.testing.assert_close(logits, expected[:, position])
    assert [part.data_ptr() for cache in state[2] for part in cache] == places
    assert state[1] == SHAPE.length


def test_the_score_depends_on_the_word_order() -> None:
    """Attention and the mean ignore the order; the position embeddings do not."""
    torch.manual_seed(0)
    discriminator = TransformerDiscriminator(SHAPE, TransformerDiscriminatorOptions(hidden_size=8, heads=2)).eval()
    mask = torch.ones(1, 3, dtype=torch.bool)
    one, other = discriminator(torch.tensor([[4, 5, 6]]), mask), discriminator(torch.tensor([[6, 5, 4]]), mask)
    assert (one - other).abs() > 1e-3
