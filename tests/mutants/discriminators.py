"""Discriminators that break the protocol, one promise each."""

from typing import Any

import torch
from torch import Tensor, nn

from ganlm_core.components import NoOptions
from ganlm_core.protocol import Discriminator, Shape
from ganlm_core.testing.references import Bag
from tests.mutants.breaking import breaks


@breaks(
    "discriminator",
    "discriminators.check_shapes",
    "gives logits (3, 1) for 3 sequences of 6 tokens; wanted (3,); squeeze what is too much, or set per_position "
    "if there is one for each token",
)
class Column(Bag):
    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().forward(sequence, mask).unsqueeze(-1)


@breaks(
    "discriminator",
    "discriminators.check_ids_and_one_hots",
    "scores one-hots (B, T, V) otherwise than their ids (B, T); embed both by the same weights",
)
class DoublesOneHots(Bag):
    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().features(sequence, mask) * (2 if sequence.is_floating_point() else 1)


@breaks(
    "discriminator",
    "discriminators.check_logits",
    "gives nothing but numbers from ... to 1; leave out its last sigmoid, losses take logits",
)
class Squashes(Bag):
    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().forward(sequence, mask).sigmoid()


@breaks(
    "discriminator",
    "discriminators.check_shapes",
    "takes no one-hots (B, T, V) (...); embed tokens by ganlm_core.layers.TokenEmbedding, which takes both",
)
class TakesIdsAlone(Bag):
    def __init__(self, shape: Shape, options: NoOptions) -> None:
        super().__init__(shape, options)
        self.embedding = nn.Embedding(shape.vocabulary, 8)


@breaks(
    "discriminator",
    "discriminators.check_shapes",
    "has no features, which Discriminator leaves to it, where this was promised: Logits (B,), or (B, T) if per "
    "position, and features (B, F), for sequences of every length.",
)
class Featureless(Bag):
    features = Discriminator.features

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().states(sequence, mask).sum(dim=(1, 2))


@breaks(
    "discriminator",
    "discriminators.check_soft_inputs",
    "scores soft sequences as their likeliest words; use their weights",
)
class Hardens(Bag):
    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().features(sequence.argmax(dim=-1) if sequence.is_floating_point() else sequence, mask)


@breaks(
    "discriminator",
    "discriminators.check_input_gradients",
    "passes no gradient to its sequence; compute with it without argmax or detach",
)
@breaks(
    "discriminator",
    "discriminators.check_twice_differentiable",
    "cannot be differentiated twice (...); write out what has no double backward, or set twice_differentiable = False",
)
class Detaches(Bag):
    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().features(sequence.detach(), mask)


@breaks(
    "discriminator",
    "discriminators.check_input_gradients",
    "passes no gradient to positions [1, 2, 3, 4, 5] of its sequence; let every position count",
)
class LooksAtTheFirst(Bag):
    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().features(sequence[:, :1], mask[:, :1])


@breaks(
    "discriminator",
    "discriminators.check_input_gradients",
    "passes a gradient to what the mask hides; hide it before it is mixed",
)
@breaks(
    "discriminator",
    "discriminators.check_padding",
    "lets padding change its logits or features; hide what the mask hides",
)
class SeesPadding(Bag):
    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().features(sequence, torch.ones_like(mask))


@breaks(
    "discriminator",
    "discriminators.check_padding",
    "lets padding change its logits or features; hide what the mask hides",
)
class MeanWithoutMask(Bag):
    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().features(sequence, mask) / mask.shape[1]


@breaks(
    "discriminator",
    "discriminators.check_empty_mask",
    "gives NaN or infinity for a mask that is false everywhere; clamp what it divides by",
)
class DividesByLength(Bag):
    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().features(sequence, mask) / mask.sum(dim=1, keepdim=True)


class OnceOnly(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        context.save_for_backward(values)
        return values.square()

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        (values,) = context.saved_tensors
        return gradients[0] * 2 * values.detach()


@breaks(
    "discriminator",
    "discriminators.check_twice_differentiable",
    "has a gradient penalty of slope ..., by finite differences ...; write out what has no double backward, "
    "or set twice_differentiable = False",
)
class WrongTwice(Bag):
    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return OnceOnly.apply(super().features(sequence, mask))


@breaks("discriminator", "discriminators.check_shapes", "gives features (3, 6, 8); wanted (B, F) with B = 3")
class KeepsPositions(Bag):
    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return self.states(sequence, mask)

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return self.output(super().features(sequence, mask)).squeeze(-1)


@breaks("discriminator", "discriminators.check_shapes", "gives logits of type torch.float32; keep to its parameters'")
class Single(Bag):
    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().forward(sequence, mask).float()


@breaks("discriminator", "discriminators.check_soft_inputs", "gives NaN or infinity for soft sequences (B, T, V)")
class OnlyCertain(Bag):
    """Divides by zero where no word is certain."""

    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        certain = (sequence == 1).any() if sequence.is_floating_point() else 1
        return super().features(sequence, mask) / certain
