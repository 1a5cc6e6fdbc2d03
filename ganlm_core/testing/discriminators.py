"""Checks of discriminators."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganlm_core.protocol import Discriminator, Shape, mask_of
from ganlm_core.testing import references
from ganlm_core.testing.case import Case, Skipped
from ganlm_core.testing.generators import EMBED
from ganlm_core.testing.gradients import same, slopes
from ganlm_core.testing.networks import answer, check_modes, close, network
from ganlm_core.testing.references import SHAPE, one_hot

SHAPES = (SHAPE, Shape(vocabulary=5, length=SHAPE.length, noise=0))
DRAWS = 8
"""Random initialisations: enough that logits of one sign, or below 1, are no accident."""
ONCE = "replace operations without double backward, or set twice_differentiable = False"


def check_shapes(case: Case) -> None:
    """Logits are (B,), or (B, T) if per position, and features (B, F), for sequences of every length."""
    for shape in SHAPES:
        built = network(case, shape)
        for rows in (3, 1):
            for length in (shape.length, 2, 1):
                tokens = references.tokens(rows, shape)[:, :length]
                for sequence in (tokens, one_hot(tokens, shape)):
                    logits, features = _asked(case, built, sequence, mask_of(tokens))
                    wanted = (rows, length) if built.per_position else (rows,)
                    case.expect(
                        logits.shape == wanted,
                        f"gives logits {tuple(logits.shape)} for {rows} sequences of {length} tokens; wanted {wanted}; "
                        "squeeze extra dimensions, or set per_position for one logit per token",
                    )
                    good = features.dim() == 2 and len(features) == rows
                    case.expect(good, f"gives features {tuple(features.shape)}; wanted (B, F) with B = {rows}")
                    kept = logits.dtype == features.dtype == torch.float64
                    case.expect(kept, f"gives logits of type {logits.dtype}; use the dtype of its parameters")


def check_logits(case: Case) -> None:
    """Logits can have any size and sign: no last sigmoid or tanh bounds them."""
    built, found = network(case), []
    for _ in range(DRAWS):
        for parameter in built.parameters():
            nn.init.normal_(parameter)
        found.append(answer(built).flatten())
    low, high = torch.cat(found).aminmax()
    case.expect(
        low < 0 and high > 1,
        f"gives only values from {low:.2g} to {high:.2g}; remove its last sigmoid, losses take logits",
    )


def check_ids_and_one_hots(case: Case) -> None:
    """Ids (B, T) and their one-hots (B, T, V) give the same logits and features."""
    built, tokens = network(case), references.tokens(4)
    mask = mask_of(tokens)
    agree = close(_scores(built, one_hot(tokens), mask), _scores(built, tokens, mask))
    case.expect(agree, "scores one-hots (B, T, V) and their ids (B, T) differently; embed both with the same weights")


def check_soft_inputs(case: Case) -> None:
    """Soft sequences (B, T, V) are scored by all of their weights, not as their likeliest words."""
    built, soft = network(case), references.soft(4)
    mask = torch.ones(soft.shape[:2], dtype=torch.bool)
    scores, hardened = _scores(built, soft, mask), _scores(built, one_hot(soft.argmax(dim=-1)), mask)
    case.expect(
        scores.isfinite().all(),
        "gives NaN or infinity for soft sequences (B, T, V); accept any distribution over the words",
    )
    case.expect(
        not close(scores, hardened), "scores soft sequences like their likeliest words; use all of their weights"
    )


def check_input_gradients(case: Case) -> None:
    """The logits have a gradient for every unmasked position of the sequence and for no padding."""
    built, tokens = network(case), references.tokens(4)
    mask, relaxed = mask_of(tokens), one_hot(tokens).requires_grad_()
    logits = built(relaxed, mask)
    logits = logits.masked_fill(~mask, 0) if built.per_position else logits
    found = torch.autograd.grad(logits.square().sum(), relaxed, allow_unused=True)[0] if logits.requires_grad else None
    case.expect(found is not None, "passes no gradient to its input sequence; do not use argmax or detach on it")
    assert found is not None
    felt = found.abs().amax(dim=-1) > 0
    lost = [position for position in range(SHAPE.length) if not felt[:, position].any()]
    case.expect(not lost, f"passes no gradient to positions {lost} of its sequence; use every position")
    case.expect(not felt[~mask].any(), "passes a gradient to padding; apply the mask before positions are mixed")


def check_padding(case: Case) -> None:
    """Scores do not depend on the content or the amount of padding."""
    built, tokens = network(case), references.tokens(4)
    mask = mask_of(tokens)
    scores = _scores(built, tokens, mask)
    others = torch.where(mask, tokens, torch.randint_like(tokens, SHAPE.vocabulary))
    relaxed = torch.where(mask[..., None], one_hot(tokens), references.soft(4))
    longest = int(mask[1:].sum(dim=1).max())
    equal = close(_scores(built, others, mask), scores)
    equal &= close(_scores(built, relaxed, mask), scores)
    equal &= close(_scores(built, tokens[1:, :longest], mask[1:, :longest]), scores[1:])
    case.expect(equal, "lets padding change its logits or features; apply the mask")


def check_empty_mask(case: Case) -> None:
    """A fully masked sequence has finite logits, features and gradients."""
    built, tokens = network(case), references.tokens(2)
    empty = torch.zeros_like(tokens, dtype=torch.bool)
    logits, features = built(tokens, empty), built.features(tokens, empty)
    found = torch.autograd.grad(logits.sum(), list(built.parameters()), allow_unused=True)
    finite = all(tensor.isfinite().all() for tensor in (logits, features, *found) if tensor is not None)
    case.expect(finite, "gives NaN or infinity for a mask that is false everywhere; clamp the divisor")


def check_rowwise(case: Case) -> None:
    """A network that declares ``rowwise`` scores each sequence by itself in training mode."""
    built, tokens = network(case).train(), references.tokens(4)
    if not built.rowwise:
        raise Skipped("it declares rowwise = False")
    relaxed = one_hot(tokens).requires_grad_()
    (gradient,) = torch.autograd.grad(built(relaxed, mask_of(tokens))[:2].square().sum(), relaxed)
    case.expect(
        not gradient[2:].any(), "scores a sequence by the others of its batch in training; declare rowwise = False"
    )


def check_twice_differentiable(case: Case) -> None:
    """The gradient of a gradient penalty agrees with central differences in a random direction."""
    built, tokens = network(case), references.tokens(4)
    if not built.twice_differentiable:
        raise Skipped("it declares twice_differentiable = False")
    relaxed, mask = one_hot(tokens), mask_of(tokens)
    parameters = [parameter for parameter in built.parameters() if parameter.requires_grad]
    try:
        slope, expected = slopes(lambda: _penalty(built, relaxed, mask), parameters)
    except RuntimeError as error:
        raise case.failed(f"cannot be differentiated twice ({error}); {ONCE}") from error
    case.expect(
        same(slope, expected),
        f"has a gradient penalty of slope {slope:.6g}, by finite differences {expected:.6g}; {ONCE}",
    )


def _asked(case: Case, built: Discriminator, sequence: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    try:
        return built(sequence, mask), built.features(sequence, mask)
    except (RuntimeError, IndexError) as error:
        if isinstance(error, NotImplementedError) or not sequence.is_floating_point():
            raise
        raise case.failed(f"does not accept one-hots (B, T, V) ({error}); {EMBED}") from error


def _scores(built: Discriminator, sequence: Tensor, mask: Tensor) -> Tensor:
    """Return features and logits side by side, with logits of padding set to zero."""
    logits = built(sequence, mask)
    if built.per_position:
        logits = F.pad(logits.masked_fill(~mask, 0), (0, SHAPE.length - mask.shape[1]))
    return torch.cat([built.features(sequence, mask), logits.view(len(mask), -1)], dim=1)


def _penalty(built: Discriminator, relaxed: Tensor, mask: Tensor) -> Tensor:
    leaf = relaxed.clone().requires_grad_()
    # Squared, so that the input's gradient depends on the parameters even where the network is linear.
    (gradient,) = torch.autograd.grad(built(leaf, mask).square().sum(), leaf, create_graph=True)
    return gradient.square().sum()


FIRST = (check_shapes, check_modes, check_ids_and_one_hots)
CHECKS = (
    check_logits,
    check_soft_inputs,
    check_input_gradients,
    check_padding,
    check_empty_mask,
    check_twice_differentiable,
    check_rowwise,
)
