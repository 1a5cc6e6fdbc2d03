"""Attributions against weights and logits worked out by hand."""

import pytest
import torch

from ganlm_core.bundle.attribution import leave_one_out
from ganlm_core.protocol import EOS, PAD
from tests.bundles import Additive
from tests.tiny import SHAPE, TinyDiscriminator


@pytest.mark.parametrize(
    ("tokens", "wanted"),
    [([4, 5, EOS], [2, -3]), ([5, EOS, PAD], [-3]), ([EOS, PAD, PAD], []), ([4, 5, 4], [2, -3, 2])],
)
def test_in_a_linear_discriminator_the_attribution_is_the_weight(tokens: list[int], wanted: list[float]) -> None:
    assert leave_one_out(Additive(SHAPE), torch.tensor(tokens)).tolist() == wanted


def test_an_attribution_is_the_logit_with_the_token_minus_the_logit_without_it() -> None:
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
