from collections.abc import Callable

import pytest
import torch
from ganlm_conv import ganlm_components
from ganlm_conv.networks import (
    CausalConvGenerator,
    ConvDiscriminator,
    ConvGenerator,
    Highway,
    layers_to_reach,
    windows,
)
from ganlm_conv.options import CausalConvOptions, ConvDiscriminatorOptions, ConvGeneratorOptions
from torch.nn import functional as F

from ganlm_core.errors import OptionError
from ganlm_core.protocol import Shape
from ganlm_core.testing import Case, parametrize_with_checks

ONE_SHOT, CAUSAL, DISCRIMINATOR, _ = ganlm_components()

VARIANTS = [
    (ONE_SHOT, {"kernel": 1, "blocks": 1}),
    (CAUSAL, {"kernel": 2, "layers": 1, "dropout": 0.5}),
    (DISCRIMINATOR, {"highway": True}),
    (DISCRIMINATOR, {"widths": "1, 7"}),
    (DISCRIMINATOR, {"widths": "1, 7", "padding": False}),
]
"""Options that change the computation. tests/testing/test_conformance.py tests the defaults."""


@parametrize_with_checks(VARIANTS)
def test_conformance(component: Case, check: Callable[[Case], None]) -> None:
    check(component)


@pytest.mark.parametrize("padding", [True, False])
def test_the_table_gives_the_same_features_as_the_convolutions(padding: bool) -> None:
    """The sentences have all lengths, including 0, and random padding."""
    torch.manual_seed(0)
    options = ConvDiscriminatorOptions(embedding_size=4, filters=3, widths="1,3,7", highway=True, padding=padding)
    discriminator = ConvDiscriminator(Shape(50, 5, 0), options).eval()
    tokens, lengths = torch.randint(50, (300, 5)), torch.arange(300).remainder(6).unsqueeze(1)
    mask = torch.arange(5) < lengths
    answers = []
    looked_up = discriminator.embedding.register_forward_hook(lambda *_: answers.append("convolved"))
    with torch.no_grad():
        found = discriminator.features(tokens, mask)
    assert answers == []
    looked_up.remove()
    torch.testing.assert_close(found, discriminator.features(tokens, mask))


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(OptionError) as error:
        ConvGeneratorOptions(kernel=4)
    assert str(error.value) == "kernel is 4; wanted an odd number, so that positions keep their place"


@pytest.mark.parametrize("widths", ["", "0", "2;3", "2,,3", "-1", "2.5"])
def test_widths_that_are_not_positive_integers_are_refused(widths: str) -> None:
    with pytest.raises(OptionError) as error:
        ConvDiscriminatorOptions(widths=widths)
    expected = f"widths is {widths!r}; wanted comma-separated integers of at least 1, such as 2,3,4"
    assert str(error.value) == expected


@pytest.mark.parametrize(("positions", "kernel", "layers"), [(0, 2, 1), (1, 2, 1), (2, 2, 2), (14, 3, 3), (15, 3, 4)])
def test_layers_to_reach(positions: int, kernel: int, layers: int) -> None:
    assert layers_to_reach(positions, kernel) == layers


@pytest.mark.parametrize(("layers", "reach"), [(0, 15), (1, 2), (2, 6)])
def test_the_reach_of_a_causal_generator_is_the_sum_of_its_dilations(layers: int, reach: int) -> None:
    torch.manual_seed(0)
    generator = CausalConvGenerator(Shape(9, 16, 3), CausalConvOptions(hidden_size=8, layers=layers)).double()
    inputs = F.one_hot(torch.randint(9, (1, 16)), 9).double().requires_grad_()
    logits, _ = generator.advance(inputs, generator.start(torch.randn(1, 3).double()))
    (gradient,) = torch.autograd.grad(logits[0, -1].square().sum(), inputs)
    felt = gradient[0].abs().amax(dim=1).gt(0).tolist()
    assert felt == [False] * (15 - reach) + [True] * (reach + 1)


def test_every_position_of_the_one_shot_generator_depends_on_all_others() -> None:
    """The blocks connect both ends of the sequence."""
    torch.manual_seed(0)
    generator = ConvGenerator(Shape(9, 12, 3), ConvGeneratorOptions(hidden_size=8)).double()
    states = torch.randn(1, 8, 12).double().requires_grad_()
    answer = generator.states[2:](states)[0, :, -1]
    (gradient,) = torch.autograd.grad(answer.square().sum(), states)
    assert gradient.abs().amax(dim=1).gt(0).all()


def test_windows_marks_the_windows_that_overlap_the_sequence() -> None:
    mask = torch.tensor([[True, True, False, False], [True, True, True, True], [False, False, False, False]])
    assert windows(mask, 3).int().tolist() == [[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0]]


def test_without_padding_the_windows_are_inside_the_sequence() -> None:
    """A sequence that is shorter than the window has the first one; an empty sequence has none."""
    mask = torch.arange(4) < torch.tensor([[4], [3], [2], [0]])
    assert windows(mask, 3, padding=False).int().tolist() == [[1, 1], [1, 0], [1, 0], [0, 0]]
    assert windows(mask, 6, padding=False).int().tolist() == [[1], [1], [1], [0]]


@pytest.mark.parametrize(("padding", "expected"), [(True, [1.0, 4.0, -0.2]), (False, [-0.4, 4.0, -1.0])])
def test_features_are_the_maximum_of_each_filter(padding: bool, expected: list[float]) -> None:
    """By hand: filters of width 2 on embeddings of size 1, with zeros before and after the sequence or without."""
    options = ConvDiscriminatorOptions(embedding_size=1, widths="2", filters=3, padding=padding)
    discriminator = ConvDiscriminator(Shape(6, 4, 0), options)
    with torch.no_grad():
        discriminator.embedding.weight[4:] = torch.tensor([[1.0], [-3.0]])
        discriminator.convolutions[0].weight.copy_(torch.tensor([[[1.0, 1.0]], [[1.0, -1.0]], [[0.0, 1.0]]]))
        discriminator.convolutions[0].bias.copy_(torch.tensor([0.0, 0.0, -2.0]))
        tokens, mask = torch.tensor([[4, 5, 4, 4]]), torch.tensor([[True, True, False, False]])
        features = discriminator.features(tokens, mask)
    # The windows are (0, 1), (1, -3) and (-3, 0): sums 1, -2, -3; differences -1, 4, -3; second minus 2: -1, -5, -2.
    # Without padding, only the middle one is left. Negative maxima are multiplied by 0.2.
    torch.testing.assert_close(features, torch.tensor([expected]))


def test_a_closed_highway_gate_passes_its_input_through() -> None:
    torch.manual_seed(0)
    highway = Highway(4)
    features = torch.randn(3, 4)
    assert not torch.allclose(highway(features), features)
    torch.nn.init.constant_(highway.gate.bias, -100.0)
    torch.testing.assert_close(highway(features), features)
    torch.nn.init.constant_(highway.gate.bias, 100.0)
    torch.testing.assert_close(highway(features), F.leaky_relu(highway.transform(features), 0.2))
