"""Discriminators that break the protocol, one promise each."""

from typing import Any

import torch
from torch import Tensor

from ganlm_core.testing.references import Bag
from tests.mutants.breaking import breaks


@breaks("discriminator", "discriminators.check_shapes", "gives logits (1, 1); wanted (1,)")
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
