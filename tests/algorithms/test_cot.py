"""Cooperative training: the mediator's optimum and the generator's gradient, enumerated over three words."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from ganlm_core import sampling
from ganlm_core.algorithms.cot import CoT, mixture
from ganlm_core.algorithms.mle import negative_log_likelihood
from ganlm_core.algorithms.options import CoTOptions
from ganlm_core.protocol import AutoregressiveGenerator, Batch, Generator, State, mask_of
from tests.tiny import NOISE, SHAPE, TinyGenerator, every_sequence, gradient, make_batch, make_parts, z_scores

ROWS, REPEATS = 512, 64


class Table(AutoregressiveGenerator):
    """A table of logits for every prefix: it can represent any distribution."""

    def __init__(self) -> None:
        super().__init__(SHAPE)
        self.logits = nn.Parameter(torch.zeros(SHAPE.vocabulary**SHAPE.length, SHAPE.vocabulary))

    def start(self, noise: Tensor) -> State:
        return noise.new_zeros(len(noise), dtype=torch.long)

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        state = state * SHAPE.vocabulary + tokens
        return self.logits[state], state

    @classmethod
    def of(cls, probabilities: Tensor) -> "Table":
        """Return the generator that writes each possible sequence with the given probability."""
        found, (tokens, mask) = cls(), every_sequence()
        with torch.no_grad():
            for sequence, own, probability in zip(tokens, mask, probabilities, strict=True):
                prefix = 1  # <bos>
                for word in sequence[own].tolist():
                    found.logits[prefix, word] += probability
                    prefix = prefix * SHAPE.vocabulary + word
            found.logits.log_().clamp_(min=-1e4)
        return found


def log_probs(generator: Generator) -> Tensor:
    """Return log p of every possible sequence, (N,)."""
    tokens, mask = every_sequence(generator.shape.length)
    return sampling.log_likelihood(generator, NOISE.expand(len(tokens), -1), tokens, mask).sum(dim=1)


def own_batch(tokens: Tensor) -> Batch:
    return Batch(tokens, mask_of(tokens), NOISE.expand(len(tokens), -1))


def test_a_mediator_that_equals_the_mixture_has_no_gradient() -> None:
    torch.manual_seed(0)
    generator, data = TinyGenerator(), TinyGenerator()
    p, q = log_probs(data).exp().detach(), log_probs(generator).exp().detach()

    def gradients(mediator: Table) -> Tensor:
        real = (sampling.sample(data, NOISE.expand(ROWS, -1)).tokens for _ in range(REPEATS))
        losses = (negative_log_likelihood(mediator, mixture(generator, own_batch(tokens))) for tokens in real)
        return torch.stack([gradient(loss, mediator) for loss in losses])

    at_mixture, at_data = (gradients(Table.of(each)) for each in ((p + q) / 2, p))
    assert log_probs(Table.of((p + q) / 2)).exp().allclose((p + q) / 2, atol=1e-6)
    # 60 coordinates, each a standard normal at the optimum: beyond 4.5 with probability 0.0004.
    assert z_scores(at_mixture, torch.zeros(())).abs().max() < 4.5
    assert z_scores(at_data, torch.zeros(())).abs().max() > 20


def test_the_mixture_has_as_many_generated_as_real_texts_with_the_same_noise() -> None:
    torch.manual_seed(1)
    batch = make_batch(rows=5)
    found = mixture(TinyGenerator(), batch)
    assert found.tokens[:5].equal(batch.tokens)
    assert found.mask.equal(mask_of(found.tokens))
    assert found.noise.equal(torch.cat([batch.noise, batch.noise]))
    assert len(found.tokens) == 10


def test_the_mediator_starts_as_a_copy_of_the_generator_and_trains_first() -> None:
    torch.manual_seed(4)
    algorithm = CoT(make_parts(), CoTOptions(mediator_steps=2))
    assert [phase.network for phase in algorithm.phases(7)] == ["mediator", "mediator", "generator"]
    loss = algorithm.phases(0)[-1].loss(make_batch())
    assert abs(loss.item()) < 1e-6
    assert list(algorithm.networks) == ["generator", "mediator"]
    assert not set(algorithm.networks["mediator"].parameters()) & set(algorithm.networks["generator"].parameters())


def test_each_phase_has_a_gradient_for_its_own_network_only() -> None:
    torch.manual_seed(5)
    generator = TinyGenerator()
    algorithm = CoT(make_parts(generator=generator), CoTOptions())
    (mediator,) = algorithm.networks["mediator"]
    with torch.no_grad():
        mediator.table.add_(0.5 * torch.randn_like(mediator.table))
    for phase, other in zip(algorithm.phases(0), ("generator", "mediator"), strict=True):
        wanted = [*algorithm.networks[phase.network].parameters(), *algorithm.networks[other].parameters()]
        found = torch.autograd.grad(phase.loss(make_batch()), wanted, allow_unused=True)
        assert all(part is not None and part.any() for part in found[:2])
        assert found[2:] == (None, None)


def test_mediators_start_from_the_warmed_up_generator_and_learn_apart() -> None:
    torch.manual_seed(6)
    parts = make_parts()
    algorithm = CoT(replace(parts, steps=10), CoTOptions(warmup=0.3, mediators=2))
    assert algorithm.adversarial_from == 3
    assert [phase.name for phase in algorithm.phases(2)] == ["mle"]
    with torch.no_grad():
        parts.generator.table.add_(1.0)
    *learning, following = algorithm.phases(3)
    assert [phase.part for phase in learning] == list(algorithm.mediators)
    for phase in learning:
        phase.loss(make_batch(step=3))
    assert abs(following.loss(make_batch(step=3)).item()) < 1e-6
