"""Losses, penalties and estimators that break the protocol, one promise each."""

import random
from dataclasses import replace

import torch
from torch import Tensor

from ganlm_core import sampling
from ganlm_core.algorithms.losses import NonSaturating
from ganlm_core.algorithms.options import PenaltyOptions
from ganlm_core.algorithms.penalties import R1
from ganlm_core.algorithms.policy_gradients import Reinforce
from ganlm_core.protocol import Batch, Cost, Discriminator, Generator, Sequences
from tests.mutants.breaking import breaks


@breaks(
    "loss",
    "losses.check_shapes",
    "gave costs () for logits (4,) from generator(); return a cost for each logit, not their mean",
)
class MeanCost(NonSaturating):
    def generator(self, generated: Tensor, real: Tensor) -> Tensor:
        return super().generator(generated, real).mean()


@breaks(
    "loss",
    "losses.check_shapes",
    "gave a value of type Tensor from discriminator(); return two costs, of real and of generated logits",
)
class OneCost(NonSaturating):
    def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:  # type: ignore[override]
        return sum(super().discriminator(real, generated))  # type: ignore[return-value]


@breaks(
    "loss",
    "losses.check_shapes",
    "gave costs of type torch.int64 for logits of type torch.float64 from generator(); keep their type",
)
class WholeCosts(NonSaturating):
    def generator(self, generated: Tensor, real: Tensor) -> Tensor:
        return super().generator(generated, real).round().long()


@breaks("loss", "losses.check_elementwise", "mixes the logits of a batch; compute each cost from its own logit")
class ComparesWithTheMean(NonSaturating):
    def discriminator(self, real: Tensor, generated: Tensor) -> tuple[Tensor, Tensor]:
        return super().discriminator(real - real.mean(), generated)


@breaks(
    "loss",
    "losses.check_direction",
    "gives the discriminator a higher cost for separating real from generated; a higher logit means more real",
)
class Backwards(NonSaturating):
    def discriminator(self, real: Tensor, generated: Tensor) -> tuple[Tensor, Tensor]:
        return super().discriminator(-real, -generated)


@breaks(
    "loss",
    "losses.check_direction",
    "gives the generator a higher cost for a higher logit; a higher logit means more real",
)
class GeneratorBackwards(NonSaturating):
    def generator(self, generated: Tensor, real: Tensor) -> Tensor:
        return -super().generator(generated, real)


@breaks("loss", "losses.check_finite", "gives NaN or infinity for logits of 10000; use softplus or logsigmoid")
class Overflows(NonSaturating):
    def generator(self, generated: Tensor, real: Tensor) -> Tensor:
        return (1 + (-generated).exp()).log()


@breaks(
    "loss",
    "losses.check_finite_differences",
    "has gradients that differ from finite differences (...); correct its backward, detach nothing",
)
class DetachesACost(NonSaturating):
    def generator(self, generated: Tensor, real: Tensor) -> Tensor:
        return super().generator(generated, real) * (1 + generated.detach() ** 2)


@breaks("penalty", "penalties.check_scalar", "gives a tensor of shape (4,); take the mean over the batch")
class PerSequence(R1):
    def __call__(self, discriminator: Discriminator, real: Sequences, generated: Sequences) -> Tensor:
        return super().__call__(discriminator, real, generated) * torch.ones(4)


@breaks("penalty", "penalties.check_scalar", "gives a value of type NoneType; return a tensor")
class NoPenalty(R1):
    def __call__(self, discriminator: Discriminator, real: Sequences, generated: Sequences) -> Tensor:
        return None  # type: ignore[return-value]


@breaks("penalty", "penalties.check_scalar", "is -...; wanted a finite number of at least 0")
class Negative(R1):
    def __call__(self, discriminator: Discriminator, real: Sequences, generated: Sequences) -> Tensor:
        return -super().__call__(discriminator, real, generated)


@breaks(
    "penalty",
    "penalties.check_interval",
    "has an interval of 0, so it is never computed, and is not zero; give it an interval",
)
class NeverButSomething(R1):
    def __init__(self, options: PenaltyOptions) -> None:
        super().__init__(options)
        self.interval = 0


@breaks("penalty", "penalties.check_interval", "has an interval of 0.5; wanted a whole number of steps, or 0 for never")
class HalfAStep(R1):
    def __init__(self, options: PenaltyOptions) -> None:
        super().__init__(options)
        self.interval = 0.5  # type: ignore[assignment]


@breaks(
    "penalty",
    "penalties.check_slope",
    "has a slope of ..., by finite differences ...; use create_graph=True and detach nothing",
)
class LosesTheGraph(R1):
    def __call__(self, discriminator: Discriminator, real: Sequences, generated: Sequences) -> Tensor:
        return super().__call__(discriminator, real, generated).detach() * discriminator.output.weight.square().sum()


@breaks(
    "penalty",
    "penalties.check_slope",
    "gives the discriminator no gradient; use create_graph=True and detach nothing",
)
class Detached(R1):
    def __call__(self, discriminator: Discriminator, real: Sequences, generated: Sequences) -> Tensor:
        return super().__call__(discriminator, real, generated).detach()


@breaks("penalty", "penalties.check_scalar", "has another value with the same seed; use torch's random state only")
class RandomFactor(R1):
    def __call__(self, discriminator: Discriminator, real: Sequences, generated: Sequences) -> Tensor:
        return super().__call__(discriminator, real, generated) * (1 + random.random())


@breaks("penalty", "penalties.check_padding", "changes with the padding; apply the mask")
class PenalisesPadding(R1):
    def __call__(self, discriminator: Discriminator, real: Sequences, generated: Sequences) -> Tensor:
        return super().__call__(discriminator, Sequences(real.sequence, torch.ones_like(real.mask)), generated)


@breaks("estimator", "estimators.check_surrogate", "gives a tensor of shape (2,); take the mean over the batch")
class NotAScalar(Reinforce):
    def forward(self, generator: Generator, batch: Batch, cost: Cost) -> Tensor:
        return super().forward(generator, batch, cost) * torch.ones(2)


@breaks(
    "estimator",
    "estimators.check_surrogate",
    "gives the generator no gradient; sample under torch.no_grad, compute log p without it",
)
class NoGradient(Reinforce):
    def forward(self, generator: Generator, batch: Batch, cost: Cost) -> Tensor:
        return super().forward(generator, batch, cost).detach()


@breaks(
    "estimator",
    "estimators.check_draw",
    "draws a value of type Tensor; return ganlm_core.protocol.Sequences",
)
class DrawsIds(Reinforce):
    def draw(self, generator: Generator, batch: Batch) -> Sequences:
        return super().draw(generator, batch).sequence  # type: ignore[return-value]


@breaks(
    "estimator", "estimators.check_draw", "draws samples with a mask that does not end at <eos>; use protocol.mask_of"
)
class DrawsPastTheEnd(Reinforce):
    def draw(self, generator: Generator, batch: Batch) -> Sequences:
        drawn = super().draw(generator, batch)
        return Sequences(drawn.sequence, torch.ones_like(drawn.mask))


@breaks(
    "estimator",
    "estimators.check_seeded",
    "gives other samples or gradients with the same seed; use torch's random state only",
)
class DrawsFromPython(Reinforce):
    def forward(self, generator: Generator, batch: Batch, cost: Cost) -> Tensor:
        return super().forward(generator, batch, cost) * (1 + random.random())


@breaks(
    "estimator",
    "estimators.check_descent",
    "has a gradient at a cosine of -1.00 to the exact one; return a loss that lowers the expected cost",
)
class WrongSign(Reinforce):
    def forward(self, generator: Generator, batch: Batch, cost: Cost) -> Tensor:
        return -super().forward(generator, batch, cost)


@breaks("estimator", "estimators.check_memory", "has state that is not in its state_dict; use register_buffer")
class Remembers(Reinforce):
    calls = 0

    def forward(self, generator: Generator, batch: Batch, cost: Cost) -> Tensor:
        self.calls += 1
        return super().forward(generator, batch, cost) * self.calls


@breaks("estimator", "estimators.check_surrogate", "gives NaN or infinity; avoid the logarithm of zero")
class Infinite(Reinforce):
    def forward(self, generator: Generator, batch: Batch, cost: Cost) -> Tensor:
        return super().forward(generator, batch, cost) / 0


@breaks(
    "estimator",
    "estimators.check_surrogate",
    "gives no gradient to noise.weight of Recurrent; let the gradient pass through all logits",
)
class WithoutNoise(Reinforce):
    def forward(self, generator: Generator, batch: Batch, cost: Cost) -> Tensor:
        return super().forward(generator, replace(batch, noise=batch.noise * 0), cost)


@breaks(
    "estimator",
    "estimators.check_surrogate",
    "asks for the cost of a part of the batch; give k * B sequences, where sequence i belongs to row i % B",
)
class PartOfTheBatch(Reinforce):
    def forward(self, generator: Generator, batch: Batch, cost: Cost) -> Tensor:
        def some(sequence: Tensor, mask: Tensor) -> Tensor:
            return cost(sequence[1:], mask[1:])

        return super().forward(generator, batch, some)


@breaks(
    "estimator",
    "estimators.check_draw",
    "draws sequences (32, 5); ids are (B, T), (32, 6), and relaxed one-hots (B, T, V)",
)
class DrawsShort(Reinforce):
    def draw(self, generator: Generator, batch: Batch) -> Sequences:
        drawn = super().draw(generator, batch)
        return Sequences(drawn.sequence[:, 1:], drawn.mask[:, 1:])


@breaks("estimator", "estimators.check_draw", "draws samples with a gradient; decorate draw with torch.no_grad()")
class DrawsWithGradient(Reinforce):
    def draw(self, generator: Generator, batch: Batch) -> Sequences:
        drawn = sampling.relaxed_sample(generator, batch.noise, 1.0, hard=True)
        return Sequences(drawn.sequence, drawn.mask)
