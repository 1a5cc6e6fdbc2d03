"""The discriminator alone: only it moves, and at its optimum it sees what there is to see."""

import torch
from torch import Tensor, nn

from ganlm_core.algorithms.discriminator import DiscriminatorAlone
from ganlm_core.algorithms.losses import NonSaturating
from ganlm_core.algorithms.options import DiscriminatorOptions, NonSaturatingOptions, ReinforceOptions
from ganlm_core.algorithms.penalties import NoPenalty
from ganlm_core.algorithms.policy_gradients import Reinforce
from ganlm_core.protocol import Batch, Discriminator, Parts, mask_of
from tests.tiny import SHAPE, TinyGenerator

REAL = torch.tensor([[3, 4, 2]] * 64)


class FirstWord(Discriminator):
    """A logit for each first word."""

    def __init__(self) -> None:
        super().__init__(SHAPE)
        self.logit = nn.Parameter(torch.zeros(SHAPE.vocabulary))

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return self.logit[sequence[:, 0]]


class Dropping(TinyGenerator):
    """Notes the rate of its dropout when it is asked for logits."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)
        self.seen: list[bool] = []

    def step(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        self.seen.append(self.dropout.training)
        return super().step(tokens, state)


def algorithm(generator: TinyGenerator) -> DiscriminatorAlone:
    parts = Parts(
        generator, FirstWord(), NonSaturating(NonSaturatingOptions()), NoPenalty(DiscriminatorOptions()),
        Reinforce(ReinforceOptions()), steps=10,
    )  # fmt: skip
    return DiscriminatorAlone(parts, DiscriminatorOptions())


def batch(step: int = 0) -> Batch:
    return Batch(REAL, mask_of(REAL), torch.zeros(len(REAL), SHAPE.noise), step)


def test_every_step_trains_the_discriminator_only() -> None:
    found = algorithm(TinyGenerator())
    assert found.frozen == ("generator",) and set(found.networks) == {"generator", "discriminator"}
    for step in (0, 5, 9):
        (phase,) = found.phases(step)
        assert phase.network == "discriminator"
    (phase,) = found.phases(0)
    phase(batch()).backward()
    assert found.discriminator.logit.grad is not None and found.discriminator.logit.grad.any()
    assert not any(parameter.requires_grad for parameter in found.generator.parameters())


def test_the_generator_draws_without_its_dropout() -> None:
    generator = Dropping().train()
    (phase,) = algorithm(generator).phases(0)
    phase(batch())
    assert generator.seen and not any(generator.seen)
    assert generator.dropout.training


def test_the_accuracy_approaches_the_best_possible_one() -> None:
    """Real sequences all begin with word 3, so P(real | 3) = 1/(1 + p) for the generator's share p of it."""
    torch.manual_seed(0)
    found = algorithm(TinyGenerator())
    optimizer = torch.optim.SGD(found.discriminator.parameters(), lr=4.0)
    for step in range(400):
        optimizer.zero_grad()
        (phase,) = found.phases(step)
        phase(batch(step)).backward()
        optimizer.step()
    share = torch.stack(
        [found.estimator.draw(found.generator, batch()).sequence[:, 0] == 3 for _ in range(40)]
    ).float().mean()  # fmt: skip
    assert abs(found.discriminator.logit[3].item() + share.log().item()) < 0.4
    assert found.discriminator.logit[4] < -2
