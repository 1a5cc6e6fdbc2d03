"""What is promised of generators, and of autoregressive ones besides."""

from collections.abc import Iterator

import torch

from ganlm_core import sampling
from ganlm_core.layers import without_dropout
from ganlm_core.protocol import AutoregressiveGenerator, Generator, Shape, mask_of, shift
from ganlm_core.testing import references
from ganlm_core.testing.case import Case, Skipped
from ganlm_core.testing.networks import answer, check_modes, close, has_dropout, network
from ganlm_core.testing.references import DISCRIMINATORS, SHAPE, SMALL, one_hot

SHAPES = (
    SHAPE,
    Shape(vocabulary=5, length=SHAPE.length, noise=SHAPE.noise),
    Shape(SHAPE.vocabulary, length=1, noise=SHAPE.noise),
    Shape(SHAPE.vocabulary, SHAPE.length, noise=0),
)
"""An odd vocabulary, the smallest there is, one position, and no noise."""
EMBED = "embed tokens by ganlm_core.layers.TokenEmbedding, which takes both"


def check_shapes(case: Case) -> None:
    """Logits (B, T, V) in the type of its parameters, for small and odd sizes and for Z = 0."""
    for shape in SHAPES:
        built = network(case, shape)
        for rows, length in _sizes(built):
            logits = built(references.noise(rows, shape), references.tokens(rows, shape)[:, :length])
            wanted = (rows, length, shape.vocabulary)
            case.expect(logits.shape == wanted, f"gives logits {tuple(logits.shape)}; (B, T, V) is {wanted}")
            case.expect(logits.dtype == torch.float64, f"gives logits of type {logits.dtype}; keep to its parameters'")
            case.expect(logits.isfinite().all(), f"gives logits that are not finite for {shape}")


def check_logits(case: Case) -> None:
    """It gives logits and not probabilities."""
    sums = network(case)(references.noise(4), references.tokens(4)).sum(dim=-1)
    case.expect(not close(sums, torch.ones_like(sums)), "gives probabilities; leave out its softmax, sampling has one")


def check_noise(case: Case) -> None:
    """Other noise gives other logits."""
    built, noise, tokens = network(case), references.noise(4), references.tokens(4)
    case.expect(not close(built(-noise, tokens), built(noise, tokens)), "does not use its noise")


def check_prior(case: Case) -> None:
    """``prior`` is added to the logits, once."""
    built, noise, tokens = network(case), references.noise(4), references.tokens(4)
    logits = built(noise, tokens)
    prior = torch.randn_like(built.prior)
    built.prior.copy_(prior)
    case.expect(close(built(noise, tokens), logits + prior), "must add self.prior to its logits, once")


def check_sampling(case: Case) -> None:
    """Sampling with one seed gives the same sequences (B, T), with another seed others."""
    built, noise = network(case, dtype=torch.float32), references.noise(16, dtype=torch.float32)
    same, again, other = (
        sampling.sample(built, noise, rng=torch.Generator().manual_seed(seed)).tokens for seed in (0, 0, 1)
    )
    case.expect(torch.equal(same, again), "samples other sequences with the same seed; draw nothing in forward or step")
    case.expect(not torch.equal(same, other), "samples the same sequences whatever the seed; let logits be moderate")
    wanted = (16, SHAPE.length)
    case.expect(same.shape == wanted, f"samples ids {tuple(same.shape)}; (B, T) is {wanted}")


def check_policy(case: Case) -> None:
    """In training too, logits are the same twice once dropout is left out: what was drawn is scored by what drew it."""
    changes = {**case.changes, "dropout": 0.5} if has_dropout(case) else case.changes
    built = network(Case(case.spec, changes)).train()
    with without_dropout(built):
        case.expect(
            close(answer(built), answer(built)),
            "draws at random when dropout is left out, as policy gradients do; use nn.Dropout, or that of torch's RNNs",
        )


def check_relaxation(case: Case) -> None:
    """Through relaxed samples the gradient of every kind of discriminator reaches every parameter."""
    for discriminator in DISCRIMINATORS:
        for hard in (False, True):
            built = network(case, dtype=torch.float32)
            relaxed = sampling.relaxed_sample(built, references.noise(32, dtype=torch.float32), 1.0, hard=hard)
            logits = discriminator(SHAPE)(relaxed.sequence, relaxed.mask)
            parameters = {name: one for name, one in built.named_parameters() if one.numel() and one.requires_grad}
            found = torch.autograd.grad(logits.sum(), list(parameters.values()), allow_unused=True)
            for name, gradient in zip(parameters, found, strict=True):
                case.expect(
                    gradient is not None and gradient.any(),
                    f"has a parameter, {name}, that no gradient reaches through relaxed samples; "
                    "compute with tokens (B, V) as they are, without argmax or detach",
                )


def check_probabilities(case: Case) -> None:
    """The probabilities of all sequences of a small vocabulary add up to one."""
    built = network(case, SMALL)
    every = references.every_sequence()
    for noise in references.noise(2, SMALL):
        scores = sampling.log_likelihood(built, noise.expand(len(every), -1), every, mask_of(every)).sum(dim=1)
        total = scores.exp().sum().item()
        # Log-softmax is in float32.
        case.expect(
            abs(total - 1) < 1e-5,
            f"gives all sequences a probability of {total:.4f} in sum; let no position see its own token or later ones",
        )


def check_causal(case: Case) -> None:
    """The logits of a position do not depend on its token or on later ones, nor on whether there are any."""
    built, noise, tokens = _autoregressive(case), references.noise(4), references.tokens(4)
    expected = built(noise, tokens)
    for position in range(SHAPE.length):
        seen = close(built(noise, _changed(tokens, position))[:, : position + 1], expected[:, : position + 1])
        case.expect(seen, f"sees the token at position {position} before it is drawn; shift the input, mask attention")
        short = close(built(noise, tokens[:, : position + 1]), expected[:, : position + 1])
        case.expect(short, "scores the beginning of a sequence otherwise when it stands alone; take T from the tokens")


def check_memory(case: Case) -> None:
    """The logits of a position depend on the token before it."""
    built, noise, tokens = _autoregressive(case), references.noise(4), references.tokens(4)
    expected = built(noise, tokens)
    for position in range(SHAPE.length - 1):
        after = built(noise, _changed(tokens, position))[:, position + 1]
        case.expect(
            not close(after, expected[:, position + 1]), "does not see the token before; feed the last token into step"
        )


def check_steps(case: Case) -> None:
    """``step`` after ``step`` gives what ``forward`` gives."""
    built, noise, tokens = _autoregressive(case), references.noise(4), references.tokens(4)
    expected, state = built(noise, tokens), built.start(noise)
    for position, column in enumerate(shift(tokens).unbind(1)):
        logits, state = built.step(column, state)
        case.expect(
            close(logits, expected[:, position]),
            f"has a step and a forward that differ at position {position}; run both by the same code",
        )


def check_relaxed_steps(case: Case) -> None:
    """``step`` takes one-hots (B, V) like their ids (B,), and soft tokens, through which a gradient passes."""
    built, noise, tokens = _autoregressive(case), references.noise(4), references.tokens(4)
    state = relaxed_state = built.start(noise)
    for column in shift(tokens).unbind(1):
        logits, state = built.step(column, state)
        try:
            relaxed, relaxed_state = built.step(one_hot(column), relaxed_state)
        except (RuntimeError, IndexError) as error:
            raise AssertionError(f"{case} has a step that takes no one-hots (B, V) ({error}); {EMBED}") from error
        case.expect(
            close(relaxed, logits), "has a step that gives other logits for one-hots (B, V) than for their ids (B,)"
        )
    soft = references.soft(4)[:, 0].requires_grad_()
    logits, _ = built.step(soft, built.start(noise))
    passed = logits.requires_grad and torch.autograd.grad(logits.square().sum(), soft, allow_unused=True)[0] is not None
    case.expect(passed, "has a step through which no gradient passes to soft tokens; use them without argmax or detach")


def check_state(case: Case) -> None:
    """The state is of tensors, batch first: it can be repeated, as rollouts repeat it."""
    built, noise, tokens = _autoregressive(case), references.noise(4), references.tokens(4)
    state, twice = built.start(noise), list(range(4)) * 2
    for column in shift(tokens).unbind(1):
        try:
            copied, _ = built.step(column[twice], sampling.map_state(lambda part: part[twice], state))
        except (TypeError, IndexError, RuntimeError) as error:
            raise AssertionError(f"{case} has a state that cannot be repeated: {error}; put the batch first") from error
        logits, state = built.step(column, state)
        case.expect(close(copied, logits[twice]), "has a state that is not batch first; put the batch first everywhere")


def _sizes(built: Generator) -> Iterator[tuple[int, int]]:
    """Rows and positions to ask for; who writes all positions at once has no choice of the latter."""
    longest = built.shape.length
    for rows in (3, 1):
        for length in sorted({1, min(2, longest), longest}, reverse=True) if built.autoregressive else [longest]:
            yield rows, length


def _autoregressive(case: Case) -> AutoregressiveGenerator:
    built = network(case)
    if not isinstance(built, AutoregressiveGenerator):
        raise Skipped("it writes all positions at once")
    return built


def _changed(tokens: torch.Tensor, position: int) -> torch.Tensor:
    changed = tokens.clone()
    changed[:, position] = (changed[:, position] + 1) % SHAPE.vocabulary
    return changed


FIRST = (check_shapes, check_modes, check_causal, check_memory, check_steps, check_relaxed_steps)
CHECKS = (
    check_logits,
    check_prior,
    check_noise,
    check_state,
    check_sampling,
    check_policy,
    check_relaxation,
    check_probabilities,
)
