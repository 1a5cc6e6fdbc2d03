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
    "gives logits (3, 1) for 3 sequences of 6 tokens; wanted (3,); squeeze extra dimensions, or set per_position "
    "for one logit per token",
)
class Column(Bag):
    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().forward(sequence, mask).unsqueeze(-1)


@breaks(
    "discriminator",
    "discriminators.check_ids_and_one_hots",
    "scores one-hots (B, T, V) and their ids (B, T) differently; embed both with the same weights",
)
class DoublesOneHots(Bag):
    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().features(sequence, mask) * (2 if sequence.is_floating_point() else 1)


@breaks(
    "discriminator",
    "discriminators.check_logits",
    "gives only values from ... to 1; remove its last sigmoid, losses take logits",
)
class Squashes(Bag):
    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().forward(sequence, mask).sigmoid()


@breaks(
    "discriminator",
    "discriminators.check_shapes",
    "does not accept one-hots (B, T, V) (...); embed tokens with ganlm_core.layers.TokenEmbedding, "
    "which takes ids and one-hots",
)
class TakesIdsAlone(Bag):
    def __init__(self, shape: Shape, options: NoOptions) -> None:
        super().__init__(shape, options)
        self.embedding = nn.Embedding(shape.vocabulary, 8)


@breaks(
    "discriminator",
    "discriminators.check_shapes",
    "does not implement features of Discriminator, which is needed in the check of: Logits are (B,), or (B, T) if per "
    "position, and features (B, F), for sequences of every length.",
)
class Featureless(Bag):
    features = Discriminator.features

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().states(sequence, mask).sum(dim=(1, 2))


@breaks(
    "discriminator",
    "discriminators.check_soft_inputs",
    "scores soft sequences like their likeliest words; use all of their weights",
)
class Hardens(Bag):
    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().features(sequence.argmax(dim=-1) if sequence.is_floating_point() else sequence, mask)


@breaks(
    "discriminator",
    "discriminators.check_input_gradients",
    "passes no gradient to its input sequence; do not use argmax or detach on it",
)
@breaks(
    "discriminator",
    "discriminators.check_twice_differentiable",
    "cannot be differentiated twice (...); replace operations without double backward, "
    "or set twice_differentiable = False",
)
class Detaches(Bag):
    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().features(sequence.detach(), mask)


@breaks(
    "discriminator",
    "discriminators.check_input_gradients",
    "passes no gradient to positions [1, 2, 3, 4, 5] of its sequence; use every position",
)
class LooksAtTheFirst(Bag):
    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().features(sequence[:, :1], mask[:, :1])


@breaks(
    "discriminator",
    "discriminators.check_input_gradients",
    "passes a gradient to padding; apply the mask before positions are mixed",
)
@breaks(
    "discriminator",
    "discriminators.check_padding",
    "lets padding change its logits or features; apply the mask",
)
class SeesPadding(Bag):
    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().features(sequence, torch.ones_like(mask))


@breaks(
    "discriminator",
    "discriminators.check_padding",
    "lets padding change its logits or features; apply the mask",
)
class MeanWithoutMask(Bag):
    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().features(sequence, mask) / mask.shape[1]


@breaks(
    "discriminator",
    "discriminators.check_empty_mask",
    "gives NaN or infinity for a mask that is false everywhere; clamp the divisor",
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
    "has a gradient penalty of slope ..., by finite differences ...; replace operations without double backward, "
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


@breaks(
    "discriminator",
    "discriminators.check_shapes",
    "gives logits of type torch.float32; use the dtype of its parameters",
)
class Single(Bag):
    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().forward(sequence, mask).float()


@breaks(
    "discriminator",
    "discriminators.check_soft_inputs",
    "gives NaN or infinity for soft sequences (B, T, V); accept any distribution over the words",
)
class OnlyCertain(Bag):
    """Divides by zero for input that is not one-hot."""

    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        certain = (sequence == 1).any() if sequence.is_floating_point() else 1
        return super().features(sequence, mask) / certain


@breaks(
    "discriminator",
    "discriminators.check_rowwise",
    "scores a sequence by the others of its batch in training; declare rowwise = False",
)
class Centres(Bag):
    """Subtracts the mean of its batch in training."""

    rowwise = True

    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        features = super().features(sequence, mask)
        return features - features.mean(dim=0) if self.training else features
