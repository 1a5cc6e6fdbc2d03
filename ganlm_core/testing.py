"""The conformance kit: what the protocol promises of architectures, as checks that a plugin's tests call.

Each check builds the networks that a ComponentSpec names, at small sizes and in float64, where two ways to the same
number agree to many digits. It raises AssertionError naming the component and what its author should change.
"""

import importlib
import subprocess
import sys
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganlm_core.components import ComponentSpec, check_spec
from ganlm_core.protocol import EOS, PAD, AutoregressiveGenerator, Discriminator, Generator, Shape, mask_of, shift
from ganlm_core.sampling import map_state

SHAPE = Shape(vocabulary=11, length=6, noise=5)
CLOSE = 1e-9
"""Far above the rounding of float64, far below any effect that a wrong position or row would have."""
ONCE = "write out what has no double backward, or set twice_differentiable = False"


def check_light(package: str) -> None:
    """Importing the package, and listing its components, leaves torch alone."""
    code = f"import sys, {package}; list({package}.ganlm_components()); sys.exit('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    _expect(not found.stderr, package, f"does not import: {found.stderr}")
    _expect(found.returncode == 0, package, "imports torch; import networks in the module that a target names")


def check_generator(spec: ComponentSpec, **options: Any) -> None:
    """A generator with these options: its logits, gradients and prior and, if autoregressive, its steps and state."""
    for shape in (SHAPE, Shape(SHAPE.vocabulary, SHAPE.length, noise=0), Shape(SHAPE.vocabulary, 1, SHAPE.noise)):
        _check_logits(spec, _generator(spec, shape, options))
    _check_logits(spec, _generator(spec, SHAPE, _smallest(spec)))
    generator = _generator(spec, SHAPE, options)
    noise, tokens = _noise(4, SHAPE), _tokens(4, SHAPE)
    logits = generator(noise, tokens)
    order = torch.tensor([2, 0, 3, 1])
    _expect(_close(generator(noise[order], tokens[order]), logits[order]), spec, "mixes the rows of a batch")
    _expect(not _close(generator(-noise, tokens), logits), spec, "does not use its noise")
    _check_gradients(spec, generator, logits)
    prior = torch.randn_like(generator.prior)
    generator.prior.copy_(prior)
    _expect(_close(generator(noise, tokens), logits + prior), spec, "must add self.prior to its logits, once")
    if isinstance(generator, AutoregressiveGenerator):
        _check_steps(spec, generator, noise, tokens)
        _check_memory(spec, generator, noise, tokens)
    with torch.autocast("cpu", torch.bfloat16):
        finite = generator.float()(noise.float(), tokens).isfinite().all()
    _expect(finite, spec, "gives logits that are not finite under bfloat16 autocast")


def check_discriminator(spec: ComponentSpec, **options: Any) -> None:
    """A discriminator with these options: its logits and features, what they depend on, and their derivatives."""
    _check_scores(spec, _discriminator(spec, options))
    _check_scores(spec, _discriminator(spec, _smallest(spec)))
    discriminator = _discriminator(spec, options)
    tokens = _tokens(4, SHAPE)
    mask = mask_of(tokens)
    logits = discriminator(tokens, mask)
    order = torch.tensor([2, 0, 3, 1])
    _expect(_close(discriminator(tokens[order], mask[order]), logits[order]), spec, "mixes the rows of a batch")
    _check_padding(spec, discriminator, tokens, mask)
    _check_gradients(spec, discriminator, logits)
    if discriminator.twice_differentiable:
        _check_double_backward(spec, discriminator, _one_hot(tokens), mask)
    with torch.autocast("cpu", torch.bfloat16):
        finite = discriminator.float()(_one_hot(tokens).float(), mask).isfinite().all()
    _expect(finite, spec, "gives logits that are not finite under bfloat16 autocast")


def _check_logits(spec: ComponentSpec, generator: Generator) -> None:
    shape = generator.shape
    for rows in (1, 3):
        for length in {1, min(2, shape.length), shape.length} if generator.autoregressive else {shape.length}:
            logits = generator(_noise(rows, shape), _tokens(rows, shape)[:, :length])
            wanted = (rows, length, shape.vocabulary)
            _expect(logits.shape == wanted, spec, f"gives logits {tuple(logits.shape)}; (B, T, V) is {wanted}")
            _expect(logits.isfinite().all(), spec, "gives logits that are not finite")


def _check_gradients(spec: ComponentSpec, network: nn.Module, logits: Tensor) -> None:
    """Weights drawn at random, so that no sum over a softmax or a mean cancels a gradient that is there."""
    parameters = {name: parameter for name, parameter in network.named_parameters() if parameter.numel()}
    loss = (logits * torch.randn_like(logits)).sum()
    gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    for name, gradient in zip(parameters, gradients, strict=True):
        reached = gradient is not None and gradient.abs().max() > 1e-12
        _expect(reached, spec, f"no gradient reaches its parameter {name}; use it or leave it out")


def _check_steps(spec: ComponentSpec, generator: AutoregressiveGenerator, noise: Tensor, tokens: Tensor) -> None:
    """Step by step gives what forward gives: from ids, from one-hots, and from a state whose rows were repeated."""
    expected = generator(noise, tokens)
    state = relaxed_state = generator.start(noise)
    for position, column in enumerate(shift(tokens).unbind(1)):
        copied = map_state(lambda part: torch.cat([part, part]), state)
        copied_logits, _ = generator.step(torch.cat([column, column]), copied)
        logits, state = generator.step(column, state)
        relaxed, relaxed_state = generator.step(_one_hot(column), relaxed_state)
        _expect(_close(logits, expected[:, position]), spec, f"step and forward differ at position {position}")
        _expect(_close(relaxed, logits), spec, "step gives other logits for one-hots (B, V) than for their ids (B,)")
        _expect(_close(copied_logits, torch.cat([logits, logits])), spec, "has a state that is not batch first")


def _check_memory(spec: ComponentSpec, generator: Generator, noise: Tensor, tokens: Tensor) -> None:
    """Logits depend on the token before. On later ones they cannot: they are those of the steps."""
    expected = generator(noise, tokens)
    for position in range(SHAPE.length - 1):
        changed = tokens.clone()
        changed[:, position] = (changed[:, position] + 1) % SHAPE.vocabulary
        after = generator(noise, changed)[:, position + 1]
        _expect(not _close(after, expected[:, position + 1]), spec, "does not see the token before")


def _check_scores(spec: ComponentSpec, discriminator: Discriminator) -> None:
    for rows in (1, 3):
        for length in (1, 2, SHAPE.length):
            tokens = _tokens(rows, SHAPE)[:, :length]
            mask = mask_of(tokens)
            logits, features = discriminator(tokens, mask), discriminator.features(tokens, mask)
            wanted = (rows, length) if discriminator.per_position else (rows,)
            _expect(logits.shape == wanted, spec, f"gives logits {tuple(logits.shape)}; wanted {wanted}")
            good = features.dim() == 2 and len(features) == rows
            _expect(good, spec, f"gives features {tuple(features.shape)}; wanted (B, F) with B = {rows}")
            relaxed = discriminator(_one_hot(tokens), mask), discriminator.features(_one_hot(tokens), mask)
            agree = _close(relaxed[0], logits) and _close(relaxed[1], features)
            _expect(agree, spec, "scores one-hots (B, T, V) otherwise than their ids (B, T)")
    empty = torch.zeros_like(mask)
    logits, features = discriminator(tokens, empty), discriminator.features(tokens, empty)
    gradients = torch.autograd.grad(logits.sum(), list(discriminator.parameters()), allow_unused=True)
    finite = all(tensor.isfinite().all() for tensor in (logits, features, *gradients) if tensor is not None)
    _expect(finite, spec, "gives NaN or infinity for a sequence whose mask is false everywhere")


def _check_padding(spec: ComponentSpec, discriminator: Discriminator, tokens: Tensor, mask: Tensor) -> None:
    """The same sequences, with anything behind their ends, or with no more padding than the longest of them needs."""
    scores = _scores(discriminator, tokens, mask)
    others = torch.where(mask, tokens, torch.randint_like(tokens, SHAPE.vocabulary))
    relaxed = torch.where(mask[..., None], _one_hot(tokens), torch.randn(*tokens.shape, SHAPE.vocabulary).double())
    longest = int(mask[1:].sum(dim=1).max())
    same = _close(_scores(discriminator, others, mask), scores)
    same &= _close(_scores(discriminator, relaxed, mask), scores)
    same &= _close(_scores(discriminator, tokens[1:, :longest], mask[1:, :longest]), scores[1:])
    _expect(same, spec, "lets padding change its logits or features; hide what the mask hides")


def _scores(discriminator: Discriminator, sequence: Tensor, mask: Tensor) -> Tensor:
    """Features and logits side by side; of logits per position, those that the mask shows."""
    logits = discriminator(sequence, mask)
    if discriminator.per_position:
        logits = F.pad(logits.masked_fill(~mask, 0), (0, SHAPE.length - mask.shape[1]))
    return torch.cat([discriminator.features(sequence, mask), logits.view(len(mask), -1)], dim=1)


def _check_double_backward(spec: ComponentSpec, discriminator: Discriminator, relaxed: Tensor, mask: Tensor) -> None:
    """The gradient of a penalty on the input's gradient, in one random direction, against central differences."""
    parameters = list(discriminator.parameters())
    directions = [torch.randn_like(parameter) for parameter in parameters]
    try:
        gradients = torch.autograd.grad(_penalty(discriminator, relaxed, mask), parameters, allow_unused=True)
    except RuntimeError as error:
        raise AssertionError(f"{_who(spec)} cannot be differentiated twice ({error}); {ONCE}") from error
    pairs = zip(gradients, directions, strict=True)
    slope = sum((gradient * direction).sum().item() for gradient, direction in pairs if gradient is not None)
    penalties = []
    for distance in (1e-6, -2e-6):
        for parameter, direction in zip(parameters, directions, strict=True):
            parameter.data.add_(direction, alpha=distance)
        penalties.append(_penalty(discriminator, relaxed, mask).item())
    expected = (penalties[0] - penalties[1]) / 2e-6
    same = abs(slope - expected) <= 1e-4 * abs(expected)
    _expect(same, spec, f"has a gradient penalty of slope {slope:.6g}, by finite differences {expected:.6g}; {ONCE}")


def _penalty(discriminator: Discriminator, relaxed: Tensor, mask: Tensor) -> Tensor:
    leaf = relaxed.clone().requires_grad_()
    # Squared, so that the input's gradient depends on the parameters even where the network is linear.
    (gradient,) = torch.autograd.grad(discriminator(leaf, mask).square().sum(), leaf, create_graph=True)
    return gradient.square().sum()


def _build(spec: ComponentSpec, shape: Shape, options: dict[str, Any]) -> nn.Module:
    module, _, attribute = check_spec(spec).target.partition(":")
    torch.manual_seed(0)
    network = getattr(importlib.import_module(module), attribute)(shape=shape, options=spec.options(**options))
    return network.double().eval()


def _generator(spec: ComponentSpec, shape: Shape, options: dict[str, Any]) -> Generator:
    network = _build(spec, shape, options)
    assert isinstance(network, Generator), f"{_who(spec)} must derive from ganlm_core.protocol.Generator"
    return network


def _discriminator(spec: ComponentSpec, options: dict[str, Any]) -> Discriminator:
    network = _build(spec, SHAPE, options)
    assert isinstance(network, Discriminator), f"{_who(spec)} must derive from ganlm_core.protocol.Discriminator"
    return network


def _smallest(spec: ComponentSpec) -> dict[str, Any]:
    """Every whole-number option at its minimum."""
    fields = spec.options.fields()
    return {field.name: int(field.min) for field in fields if field.type is int and field.min is not None}


def _noise(rows: int, shape: Shape) -> Tensor:
    return torch.randn(rows, shape.noise, dtype=torch.float64)


def _tokens(rows: int, shape: Shape) -> Tensor:
    """Words that end at different positions, the first row not at all."""
    tokens = torch.randint(EOS + 1, shape.vocabulary, (rows, shape.length))
    for row in range(1, rows):
        tokens[row, (row + 1) % shape.length] = EOS
    return torch.where(mask_of(tokens), tokens, PAD)


def _one_hot(tokens: Tensor) -> Tensor:
    return F.one_hot(tokens, SHAPE.vocabulary).double()


def _close(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool((one - other).abs().max() < CLOSE)


def _expect(condition: Any, spec: ComponentSpec | str, message: str) -> None:
    assert condition, f"{_who(spec)} {message}"


def _who(spec: ComponentSpec | str) -> str:
    return spec if isinstance(spec, str) else f"{spec.kind} '{spec.name}'"
