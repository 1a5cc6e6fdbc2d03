"""Autoregressive generators that break the protocol, one promise each."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ganlm_core.components import NoOptions
from ganlm_core.protocol import BOS, Shape
from ganlm_core.testing.references import OneShot, Recurrent, one_hot
from tests.mutants.breaking import breaks
from tests.tiny import Readout


@breaks("generator", "generators.check_shapes", "gives logits (3, 5, 11); (B, T, V) is (3, 6, 11)")
class WrongShape(Recurrent):
    def forward(self, noise: Tensor, tokens: Tensor | None = None) -> Tensor:
        return super().forward(noise, tokens)[:, :-1]


@breaks("generator", "generators.check_noise", "gives the same logits for other noise; use the noise")
class IgnoresNoise(Recurrent):
    def start(self, noise: Tensor) -> Tensor:
        return super().start(noise * 0)


@breaks("generator", "generators.check_prior", "does not add self.prior to its logits exactly once; do so")
class Priorless(Recurrent):
    def advance(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        logits, state = super().advance(tokens, state)
        return logits - self.prior, state


@breaks(
    "generator",
    "generators.check_policy",
    "is random in training even with dropout off; use nn.Dropout or the dropout of torch's RNNs",
)
class DropsByItself(Recurrent):
    def start(self, noise: Tensor) -> Tensor:
        return nn.functional.dropout(super().start(noise), 0.5, self.training)


@breaks("generator", "generators.check_logits", "gives probabilities; remove its softmax, sampling applies one")
class Normalises(Recurrent):
    def advance(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        logits, state = super().advance(tokens, state)
        return (logits - self.prior).softmax(dim=-1) + self.prior, state


@breaks(
    "generator",
    "generators.check_sampling",
    "gives the same samples for every seed; keep the logits moderate at initialisation",
)
class ExtremeLogits(Recurrent):
    def advance(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        logits, state = super().advance(tokens, state)
        return 1e6 * (logits - self.prior) + self.prior, state


@breaks(
    "generator",
    "generators.check_relaxation",
    "has a parameter, noise.weight, that gets no gradient through relaxed samples; do not "
    "use argmax or detach on tokens (B, V)",
)
class StartsWithoutGradient(Recurrent):
    @torch.no_grad()
    def start(self, noise: Tensor) -> Tensor:
        return super().start(noise)


@breaks(
    "generator",
    "generators.check_probabilities",
    "gives all sequences a total probability of ...; no position may see its own token or later ones",
)
class Copies(OneShot):
    """Writes all positions at once, and raises the logits of the tokens that it gets."""

    def forward(self, noise: Tensor, tokens: Tensor | None = None) -> Tensor:
        logits = super().forward(noise, tokens)
        return logits if tokens is None else logits + one_hot(tokens, self.shape)


@breaks(
    "generator",
    "generators.check_causal",
    "sees the token at position 0 before it is drawn; shift inputs or mask attention",
)
class Peeks(Recurrent):
    """``forward`` sees the token that it predicts."""

    def forward(self, noise: Tensor, tokens: Tensor | None = None) -> Tensor:
        assert tokens is not None
        return self.advance(tokens, self.start(noise))[0]


@breaks(
    "generator",
    "generators.check_causal",
    "scores a prefix differently without the rest of the sequence; take T from the tokens",
)
class ScalesByLength(Recurrent):
    def forward(self, noise: Tensor, tokens: Tensor | None = None) -> Tensor:
        logits = super().forward(noise, tokens)
        return logits * (logits.shape[1] / self.shape.length)


@breaks("generator", "generators.check_memory", "does not see the previous token; use the token that step gets")
class LagsBehind(Recurrent):
    """Sees the second last token instead of the last."""

    def start(self, noise: Tensor) -> Any:
        return super().start(noise), torch.full((len(noise), 1), BOS)

    def advance(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        tokens = torch.cat([state[1], tokens], dim=1)
        logits, last = super().advance(tokens[:, :-1], state[0])
        return logits, (last, tokens[:, -1:])


@breaks(
    "generator",
    "generators.check_steps",
    "has a step and a forward that differ at position 1; let both use the same code",
)
class ForwardDiffers(Recurrent):
    """``forward`` sums over positions, and ``step`` does not."""

    def forward(self, noise: Tensor, tokens: Tensor | None = None) -> Tensor:
        return (super().forward(noise, tokens) - self.prior).cumsum(dim=1) + self.prior


@breaks(
    "generator",
    "generators.check_relaxed_steps",
    "has a step that gives one-hots (B, V) other logits than their ids (B,); embed both with the same weights",
)
class StepsTwice(Recurrent):
    def step(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        return super().step(2 * tokens if tokens.is_floating_point() else tokens, state)


@breaks(
    "generator",
    "generators.check_relaxed_steps",
    "has a step that passes no gradient to soft tokens; do not use argmax or detach on them",
)
class StepsHard(Recurrent):
    def step(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        return super().step(tokens.argmax(dim=-1) if tokens.is_floating_point() else tokens, state)


@breaks("generator", "generators.check_state", "has a state whose rows cannot be repeated (...); put the batch first")
class HiddenFirst(Recurrent):
    """Its state is (H, B)."""

    def start(self, noise: Tensor) -> Tensor:
        return super().start(noise).T

    def advance(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        logits, state = super().advance(tokens, state.T)
        return logits, state.T


@breaks(
    "generator",
    "generators.check_causal",
    "scores a prefix differently without the rest of the sequence; take T from the tokens",
)
class ScalesByTokens(Recurrent):
    """Its logits depend on the number of tokens."""

    def advance(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        logits, state = super().advance(tokens, state)
        return logits / tokens.shape[1], state


@breaks("generator", "generators.check_shapes", "gives logits of type torch.float32; use the dtype of its parameters")
class Single(Recurrent):
    def advance(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        logits, state = super().advance(tokens, state)
        return logits.float(), state


@breaks(
    "generator",
    "generators.check_shapes",
    "gives logits that are not finite for Shape(... length=1, noise=5, labels=0); accept such sizes",
)
class NeedsTwoPositions(Recurrent):
    def advance(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        logits, state = super().advance(tokens, state)
        return logits / (self.shape.length - 1), state


@breaks(
    "generator",
    "generators.check_sampling",
    "gives other samples with the same seed; use no random numbers in forward or step",
)
class RandomInFloat32(Recurrent):
    """Adds random numbers in float32, as sampling uses it."""

    def advance(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        logits, state = super().advance(tokens, state)
        return (logits + torch.randn_like(logits) if logits.dtype == torch.float32 else logits), state


@breaks(
    "generator",
    "generators.check_readout",
    "has logits that are not its readout of its states; override readout and logits together",
)
class ReadsOutHalf(Readout):
    """Its likelihood and its samples would differ."""

    def logits(self, states: Tensor) -> Tensor:
        return super().logits(states / 2)


@breaks("generator", "generators.check_sampling", "samples ids (16, 3); (B, T) is (16, 6)")
class StopsEarly(Recurrent):
    def __init__(self, shape: Shape, options: NoOptions) -> None:
        super().__init__(shape, options)
        self.shape = replace(shape, length=(shape.length + 1) // 2)


@breaks(
    "generator",
    "generators.check_relaxed_steps",
    "has a step that does not accept one-hots (B, V) (...); embed tokens with ganlm_core.layers.TokenEmbedding, "
    "which takes ids and one-hots",
)
class TakesIdsAlone(Recurrent):
    def __init__(self, shape: Shape, options: NoOptions) -> None:
        super().__init__(shape, options)
        self.embedding = nn.Embedding(shape.vocabulary, 8)


@breaks("generator", "generators.check_state", "has a state that is not batch first; put the batch first everywhere")
class BatchSecond(Recurrent):
    """One tensor of its state is (H, B). It uses the mean of this tensor."""

    def start(self, noise: Tensor) -> Any:
        return super().start(noise), self.noise(noise).T

    def advance(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        logits, first = super().advance(tokens, state[0])
        return logits + state[1].mean(), (first, state[1])
