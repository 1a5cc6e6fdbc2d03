"""The conformance kit on networks that break the protocol, one promise each. The built-in plugins' tests show that it
passes those that keep it."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganlm_core.components import ComponentSpec, NoOptions
from ganlm_core.layers import NoiseLinear, StatefulGenerator, TokenEmbedding, hide, output_layer
from ganlm_core.protocol import BOS, Discriminator, Shape
from ganlm_core.testing import check_discriminator, check_generator, check_light


class Bigram(StatefulGenerator):
    """Keeps the protocol; the subclasses do not."""

    def __init__(self, shape: Shape, options: NoOptions) -> None:
        super().__init__(shape)
        self.noise = NoiseLinear(shape.noise, 8)
        self.embedding = TokenEmbedding(shape.vocabulary, 8)
        self.output = output_layer(8, shape.vocabulary)

    def start(self, noise: Tensor) -> Tensor:
        return self.noise(noise).unsqueeze(1)

    def advance(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        return self.output(self.embedding(tokens) + state) + self.prior, state


class MixesRows(Bigram):
    def start(self, noise: Tensor) -> Tensor:
        return super().start(noise).cumsum(dim=0)


class Deaf(Bigram):
    def start(self, noise: Tensor) -> Tensor:
        return super().start(noise * 0)


class Priorless(Bigram):
    def advance(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        return self.output(self.embedding(tokens) + state), state


class Unused(Bigram):
    def __init__(self, shape: Shape, options: NoOptions) -> None:
        super().__init__(shape, options)
        self.spare = nn.Parameter(torch.zeros(2))


class Forgetful(Bigram):
    """Its forward adds up what its steps do not."""

    def forward(self, noise: Tensor, tokens: Tensor | None = None) -> Tensor:
        return (super().forward(noise, tokens) - self.prior).cumsum(dim=1) + self.prior


class Peeks(Bigram):
    """Its forward sees the token that it predicts."""

    def forward(self, noise: Tensor, tokens: Tensor | None = None) -> Tensor:
        assert tokens is not None
        return self.advance(tokens, self.start(noise))[0]


class Late(Bigram):
    """Sees the token before the last one only."""

    def start(self, noise: Tensor) -> Any:
        return super().start(noise), self.embedding(torch.full((len(noise), 1), BOS))

    def advance(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        embedded = torch.cat([state[1], self.embedding(tokens)], dim=1)
        return self.output(embedded[:, :-1] + state[0]) + self.prior, (state[0], embedded[:, -1:])


class WrongShape(Bigram):
    def forward(self, noise: Tensor, tokens: Tensor | None = None) -> Tensor:
        return super().forward(noise, tokens)[:, :-1]


class Bag(Discriminator):
    """The sum of the embeddings, squashed: keeps the protocol."""

    def __init__(self, shape: Shape, options: NoOptions) -> None:
        super().__init__(shape)
        self.embedding = TokenEmbedding(shape.vocabulary, 8)
        self.hidden = nn.Sequential(nn.Linear(8, 8), nn.Tanh())
        self.output = nn.Linear(8, 1)

    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return self.hidden(hide(self.embedding(sequence), mask).sum(dim=1))

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return self.output(self.features(sequence, mask)).squeeze(-1)


class SeesPadding(Bag):
    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().features(sequence, torch.ones_like(mask))


class MeanWithoutMask(Bag):
    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().features(sequence, mask) / mask.shape[1]


class DividesByLength(Bag):
    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().features(sequence, mask) / mask.sum(dim=1, keepdim=True)


class HardensTokens(Bag):
    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        scale = 2 if sequence.is_floating_point() else 1
        return super().features(sequence, mask) * scale


class CentresTheBatch(Bag):
    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().forward(sequence, mask).cumsum(dim=0)


class Column(Bag):
    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().forward(sequence, mask).unsqueeze(-1)


class OnceOnly(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        context.save_for_backward(values)
        return values.square()

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        (values,) = context.saved_tensors
        return gradients[0] * 2 * values.detach()


class WrongTwice(Bag):
    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return OnceOnly.apply(super().features(sequence, mask))


def spec(network: type[nn.Module]) -> ComponentSpec:
    kind = "generator" if issubclass(network, StatefulGenerator) else "discriminator"
    return ComponentSpec(kind, "broken", f"{__name__}:{network.__name__}")  # type: ignore[arg-type]


def test_networks_that_keep_the_protocol_pass() -> None:
    check_generator(spec(Bigram))
    check_discriminator(spec(Bag))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (MixesRows, "generator 'broken' mixes the rows of a batch"),
        (Deaf, "generator 'broken' does not use its noise"),
        (Priorless, "generator 'broken' must add self.prior to its logits, once"),
        (Unused, "generator 'broken' no gradient reaches its parameter spare; use it or leave it out"),
        (Forgetful, "generator 'broken' step and forward differ at position 1"),
        (Peeks, "generator 'broken' step and forward differ at position 0"),
        (Late, "generator 'broken' does not see the token before"),
        (WrongShape, "generator 'broken' gives logits (1, 0, 11); (B, T, V) is (1, 1, 11)"),
    ],
)
def test_a_generator_that_breaks_the_protocol(network: type[nn.Module], message: str) -> None:
    with pytest.raises(AssertionError) as error:
        check_generator(spec(network))
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (SeesPadding, "lets padding change its logits or features; hide what the mask hides"),
        (MeanWithoutMask, "lets padding change its logits or features; hide what the mask hides"),
        (DividesByLength, "gives NaN or infinity for a sequence whose mask is false everywhere"),
        (HardensTokens, "scores one-hots (B, T, V) otherwise than their ids (B, T)"),
        (CentresTheBatch, "mixes the rows of a batch"),
        (Column, "gives logits (1, 1); wanted (1,)"),
    ],
)
def test_a_discriminator_that_breaks_the_protocol(network: type[nn.Module], message: str) -> None:
    with pytest.raises(AssertionError) as error:
        check_discriminator(spec(network))
    assert str(error.value) == f"discriminator 'broken' {message}"


def test_a_discriminator_whose_second_derivative_is_wrong() -> None:
    with pytest.raises(AssertionError, match=r"^discriminator 'broken' has a gradient penalty of slope .*; write out"):
        check_discriminator(spec(WrongTwice))


def test_a_package_that_imports_torch_is_not_light() -> None:
    with pytest.raises(AssertionError) as error:
        check_light("ganlm_core.layers")
    assert "ganlm_core.layers does not import" in str(error.value)
