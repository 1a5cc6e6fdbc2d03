"""Checks of estimators."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from ganlm_core import sampling
from ganlm_core.protocol import (
    Cost,
    Discriminator,
    Estimator,
    Generator,
    NextWordCost,
    Sequences,
    mask_of,
    per_sequence,
)
from ganlm_core.testing import references
from ganlm_core.testing.case import Case
from ganlm_core.testing.kinds import build
from ganlm_core.testing.references import SHAPE, SMALL, batch

ROWS = 32
MANY = 2048
"""Enough sequences for a mean gradient that points in the direction of the exact gradient."""


def check_surrogate(case: Case) -> None:
    """The value is a finite scalar with a gradient for every generator parameter, for every pair it accepts."""
    estimator: Estimator = build(case)
    for generator, discriminator in _pairs(estimator):
        value = case.scalar(estimator(generator, batch(ROWS), _cost(estimator, discriminator, ROWS, case)))
        case.expect(value.isfinite(), "gives NaN or infinity; avoid the logarithm of zero")
        case.expect(
            value.requires_grad, "gives the generator no gradient; sample under torch.no_grad, compute log p without it"
        )
        named = dict(generator.named_parameters())
        found = torch.autograd.grad(value, list(named.values()), allow_unused=True)
        for name, gradient in zip(named, found, strict=True):
            case.expect(
                gradient is not None and gradient.any(),
                f"gives no gradient to {name} of {type(generator).__name__}; let the gradient pass through all logits",
            )


def check_draw(case: Case) -> None:
    """``draw`` returns well-formed sequences without a gradient."""
    estimator: Estimator = build(case)
    for generator, _ in _pairs(estimator):
        drawn = estimator.draw(generator, batch(ROWS))
        found = f"draws a value of type {type(drawn).__name__}"
        case.expect(isinstance(drawn, Sequences), f"{found}; return ganlm_core.protocol.Sequences")
        wanted = (ROWS, SHAPE.length)
        relaxed = drawn.sequence.is_floating_point()
        shape = tuple(drawn.sequence.shape)
        case.expect(
            shape == ((*wanted, SHAPE.vocabulary) if relaxed else wanted),
            f"draws sequences {shape}; ids are (B, T), {wanted}, and relaxed one-hots (B, T, V)",
        )
        case.expect(
            not drawn.sequence.requires_grad, "draws samples with a gradient; decorate draw with torch.no_grad()"
        )
        ids = drawn.sequence.argmax(dim=-1) if relaxed else drawn.sequence
        case.expect(
            torch.equal(drawn.mask, mask_of(ids)),
            "draws samples with a mask that does not end at <eos>; use protocol.mask_of",
        )


def check_seeded(case: Case) -> None:
    """The same seed gives the same samples and the same gradient."""
    results = []
    for _ in range(2):
        estimator: Estimator = build(case)
        for generator, discriminator in _pairs(estimator):
            torch.manual_seed(5)
            drawn = estimator.draw(generator, batch(ROWS)).sequence.double()
            results.append(torch.cat([drawn.flatten(), _gradient(estimator, generator, discriminator)]))
    half = len(results) // 2
    same = all(torch.equal(one, other) for one, other in zip(results[:half], results[half:], strict=True))
    case.expect(same, "gives other samples or gradients with the same seed; use torch's random state only")


def check_descent(case: Case) -> None:
    """On a vocabulary of four words, the mean gradient has a positive cosine with the enumerated gradient."""
    estimator: Estimator = build(case)
    for generator, discriminator in _pairs(estimator, small=True):
        noise = references.noise(1, SMALL, torch.float32)
        exact = _exact_gradient(estimator, generator, discriminator, noise)
        many = batch(MANY, SMALL)
        many.noise.copy_(noise.expand(MANY, -1))
        value = estimator(generator, many, _cost(estimator, discriminator, MANY, case))
        found = _flat(value, generator)
        cosine = F.cosine_similarity(found, exact, dim=0).item()
        # Biased gradients are far from parallel; a wrong sign or pure noise gives a cosine of zero or below.
        case.expect(
            cosine > 0.2,
            f"has a gradient at a cosine of {cosine:.2f} to the exact one; return a loss that lowers the expected cost",
        )


def check_memory(case: Case) -> None:
    """The state that it keeps between steps is in its state_dict, which a checkpoint saves after whole rounds."""
    estimator, resumed = (build(case) for _ in range(2))
    generator, discriminator = next(_pairs(estimator))
    for _ in range(2 * estimator.steps):
        estimator(generator, batch(ROWS), _cost(estimator, discriminator, ROWS, case))
    resumed.load_state_dict(estimator.state_dict())
    results = []
    for one in (estimator, resumed):
        torch.manual_seed(5)
        results.append(_gradient(one, generator, discriminator))
    case.expect(torch.equal(*results), "has state that is not in its state_dict; use register_buffer")


def _pairs(estimator: Estimator, small: bool = False) -> Iterator[tuple[Generator, Discriminator]]:
    """Yield the reference networks that the estimator accepts by its attributes."""
    for generator, discriminator in references.pairs(SMALL if small else SHAPE):
        fits = generator.autoregressive or not estimator.autoregressive_only
        if fits and (discriminator.per_position or not estimator.per_position_only):
            yield generator, discriminator


def _cost(
    estimator: Estimator, discriminator: Discriminator, rows: int, case: Case | None = None
) -> Cost | NextWordCost:
    """Return the non-saturating cost. With a case, it checks the sequences that it gets."""
    if estimator.next_words:
        return _word_costs

    def cost(sequence: Tensor, mask: Tensor) -> Tensor:
        if case is not None:
            whole = len(sequence) % rows == 0 and mask.shape == sequence.shape[:2]
            case.expect(
                whole,
                "asks for the cost of a part of the batch; give k * B sequences, where sequence i belongs to row i % B",
            )
        return F.softplus(-discriminator(sequence, mask))

    return cost


def _word_costs(tokens: Tensor, log_p: Tensor) -> Tensor:
    """Return a cost of each word that depends on nothing else: (B, T, V)."""
    return torch.linspace(-1, 1, log_p.shape[-1], dtype=log_p.dtype, device=log_p.device).expand(log_p.shape)


def _cost_of_sequences(estimator: Estimator, discriminator: Discriminator, tokens: Tensor, mask: Tensor) -> Tensor:
    if not estimator.next_words:
        return per_sequence(_cost(estimator, discriminator, len(tokens))(tokens, mask), mask)
    log_p = torch.zeros(*tokens.shape, discriminator.shape.vocabulary)
    return sampling.of_tokens(_word_costs(tokens, log_p), tokens, mask).sum(dim=1)


def _gradient(estimator: Estimator, generator: Generator, discriminator: Discriminator) -> Tensor:
    return _flat(estimator(generator, batch(ROWS), _cost(estimator, discriminator, ROWS)), generator).double()


def _exact_gradient(estimator: Estimator, generator: Generator, discriminator: Discriminator, noise: Tensor) -> Tensor:
    """Return the gradient of the expected cost, summed over every possible sequence."""
    tokens = references.every_sequence()
    mask = mask_of(tokens)
    scores = sampling.log_likelihood(generator, noise.expand(len(tokens), -1), tokens, mask).sum(dim=1)
    cost = _cost_of_sequences(estimator, discriminator, tokens, mask)
    return _flat((scores.exp() * cost.detach()).sum(), generator)


def _flat(scalar: Tensor, generator: Generator) -> Tensor:
    found = torch.autograd.grad(scalar, list(generator.parameters()), allow_unused=True)
    return torch.cat([part.flatten() for part in found if part is not None])


FIRST: tuple[Callable[[Case], None], ...] = (check_surrogate,)
CHECKS: tuple[Callable[[Case], None], ...] = (check_draw, check_seeded, check_descent, check_memory)
