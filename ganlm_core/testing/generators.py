"""Checks of generators, some of them for autoregressive generators only."""

from collections.abc import Iterator

import torch
from torch.nn import functional as F

from ganlm_core import sampling
from ganlm_core.layers import reads_out, without_dropout
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
"""The reference shape, the smallest vocabulary, one position, and no noise."""
EMBED = "embed tokens with ganlm_core.layers.TokenEmbedding, which takes ids and one-hots"


def check_shapes(case: Case) -> None:
    """Logits are (B, T, V) in the dtype of its parameters, also for small sizes and for Z = 0."""
    for shape in SHAPES:
        built = network(case, shape)
        for rows, length in _sizes(built):
            logits = built(references.noise(rows, shape), references.tokens(rows, shape)[:, :length])
            wanted = (rows, length, shape.vocabulary)
            case.expect(logits.shape == wanted, f"gives logits {tuple(logits.shape)}; (B, T, V) is {wanted}")
            case.expect(
                logits.dtype == torch.float64, f"gives logits of type {logits.dtype}; use the dtype of its parameters"
            )
            case.expect(logits.isfinite().all(), f"gives logits that are not finite for {shape}; accept such sizes")


def check_logits(case: Case) -> None:
    """The output is logits, not probabilities."""
    sums = network(case)(references.noise(4), references.tokens(4)).sum(dim=-1)
    case.expect(not close(sums, torch.ones_like(sums)), "gives probabilities; remove its softmax, sampling applies one")


def check_noise(case: Case) -> None:
    """The logits depend on the noise."""
    built, noise, tokens = network(case), references.noise(4), references.tokens(4)
    case.expect(
        not close(built(-noise, tokens), built(noise, tokens)), "gives the same logits for other noise; use the noise"
    )


def check_prior(case: Case) -> None:
    """``prior`` is added to the logits exactly once."""
    built, noise, tokens = network(case), references.noise(4), references.tokens(4)
    logits = built(noise, tokens)
    prior = torch.randn_like(built.prior)
    built.prior.copy_(prior)
    case.expect(
        close(built(noise, tokens), logits + prior), "does not add self.prior to its logits exactly once; do so"
    )


def check_sampling(case: Case) -> None:
    """The same seed gives the same samples (B, T), another seed others."""
    built, noise = network(case, dtype=torch.float32), references.noise(16, dtype=torch.float32)
    same, again, other = (
        sampling.sample(built, noise, rng=torch.Generator().manual_seed(seed)).tokens for seed in (0, 0, 1)
    )
    case.expect(
        torch.equal(same, again), "gives other samples with the same seed; use no random numbers in forward or step"
    )
    case.expect(
        not torch.equal(same, other),
        "gives the same samples for every seed; keep the logits moderate at initialisation",
    )
    wanted = (16, SHAPE.length)
    case.expect(same.shape == wanted, f"samples ids {tuple(same.shape)}; (B, T) is {wanted}")


def check_policy(case: Case) -> None:
    """Without dropout, logits are deterministic in training mode too: policy gradients score what they drew."""
    changes = {**case.changes, "dropout": 0.5} if has_dropout(case) else case.changes
    built = network(Case(case.spec, changes)).train()
    with without_dropout(built):
        case.expect(
            close(answer(built), answer(built)),
            "is random in training even with dropout off; use nn.Dropout or the dropout of torch's RNNs",
        )


def check_relaxation(case: Case) -> None:
    """A discriminator's gradient reaches every parameter through relaxed samples."""
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
                    f"has a parameter, {name}, that gets no gradient through relaxed samples; "
                    "do not use argmax or detach on tokens (B, V)",
                )


def check_probabilities(case: Case) -> None:
    """The probabilities of all sequences of a small vocabulary sum to one."""
    built = network(case, SMALL)
    every = references.every_sequence()
    for noise in references.noise(2, SMALL):
        scores = sampling.log_likelihood(built, noise.expand(len(every), -1), every, mask_of(every)).sum(dim=1)
        total = scores.exp().sum().item()
        # Log-softmax is in float32.
        case.expect(
            abs(total - 1) < 1e-5,
            f"gives all sequences a total probability of {total:.4f}; no position may see its own token or later ones",
        )


def check_causal(case: Case) -> None:
    """The logits of a position do not depend on its own token, on later tokens or on the length."""
    built, noise, tokens = _autoregressive(case), references.noise(4), references.tokens(4)
    expected = built(noise, tokens)
    for position in range(SHAPE.length):
        seen = close(built(noise, _changed(tokens, position))[:, : position + 1], expected[:, : position + 1])
        case.expect(seen, f"sees the token at position {position} before it is drawn; shift inputs or mask attention")
        short = close(built(noise, tokens[:, : position + 1]), expected[:, : position + 1])
        case.expect(short, "scores a prefix differently without the rest of the sequence; take T from the tokens")


def check_memory(case: Case) -> None:
    """The logits of a position depend on the previous token."""
    built, noise, tokens = _autoregressive(case), references.noise(4), references.tokens(4)
    expected = built(noise, tokens)
    for position in range(SHAPE.length - 1):
        after = built(noise, _changed(tokens, position))[:, position + 1]
        case.expect(
            not close(after, expected[:, position + 1]), "does not see the previous token; use the token that step gets"
        )


def check_steps(case: Case) -> None:
    """Repeated ``step`` gives the same logits as ``forward``."""
    built, noise, tokens = _autoregressive(case), references.noise(4), references.tokens(4)
    expected, state = built(noise, tokens), built.start(noise)
    for position, column in enumerate(shift(tokens).unbind(1)):
        logits, state = built.step(column, state)
        case.expect(
            close(logits, expected[:, position]),
            f"has a step and a forward that differ at position {position}; let both use the same code",
        )


def check_relaxed_steps(case: Case) -> None:
    """``step`` gives one-hots (B, V) the logits of their ids (B,), and passes a gradient to soft tokens."""
    built, noise, tokens = _autoregressive(case), references.noise(4), references.tokens(4)
    state = relaxed_state = built.start(noise)
    for column in shift(tokens).unbind(1):
        logits, state = built.step(column, state)
        try:
            relaxed, relaxed_state = built.step(one_hot(column), relaxed_state)
        except (RuntimeError, IndexError) as error:
            raise case.failed(f"has a step that does not accept one-hots (B, V) ({error}); {EMBED}") from error
        case.expect(
            close(relaxed, logits),
            "has a step that gives one-hots (B, V) other logits than their ids (B,); embed both with the same weights",
        )
    soft = references.soft(4)[:, 0].requires_grad_()
    logits, _ = built.step(soft, built.start(noise))
    passed = logits.requires_grad and torch.autograd.grad(logits.square().sum(), soft, allow_unused=True)[0] is not None
    case.expect(passed, "has a step that passes no gradient to soft tokens; do not use argmax or detach on them")


def check_state(case: Case) -> None:
    """The state consists of tensors, batch first, and ints, so that rollouts can repeat its rows."""
    built, noise, tokens = _autoregressive(case), references.noise(4), references.tokens(4)
    state, twice = built.start(noise), list(range(4)) * 2
    for column in shift(tokens).unbind(1):
        try:
            copied, _ = built.step(column[twice], sampling.map_state(lambda part: part[twice], state))
        except (TypeError, IndexError, RuntimeError) as error:
            raise case.failed(f"has a state whose rows cannot be repeated ({error}); put the batch first") from error
        logits, state = built.step(column, state)
        case.expect(close(copied, logits[twice]), "has a state that is not batch first; put the batch first everywhere")


def check_readout(case: Case) -> None:
    """The logits are the readout of the states, where a generator offers both."""
    built, noise, tokens = _autoregressive(case), references.noise(4), references.tokens(4)
    if not reads_out(built):
        raise Skipped("it offers no readout")
    states, _ = built.read(shift(tokens), built.start(noise))
    case.expect(
        close(F.linear(states, *built.readout()), built(noise, tokens)),
        "has logits that are not its readout of its states; override readout and logits together",
    )


def _sizes(built: Generator) -> Iterator[tuple[int, int]]:
    """Yield numbers of rows and positions. One-shot generators always write all positions."""
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
    check_readout,
)
