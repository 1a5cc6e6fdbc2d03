"""Checks of generators and discriminators alike: building, saving, copying and running them."""

import copy
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganlm_core.protocol import Discriminator, Shape, mask_of
from ganlm_core.system.tensors import read_into, without_memory, write_tensors
from ganlm_core.testing import references
from ganlm_core.testing.case import Case, Skipped
from ganlm_core.testing.references import SHAPE

CLOSE = 1e-9
"""A tolerance far above rounding in float64 and far below the effect of a wrong position or row."""
ROWS = 4


def network(case: Case, shape: Shape = SHAPE, seed: int = 0, dtype: torch.dtype = torch.float64) -> Any:
    """Build the network in evaluation mode, by default in float64, where two computations agree to many digits."""
    return case.build(shape=shape, seed=seed).to(dtype).eval()


def answer(network: nn.Module, rows: list[int] | None = None) -> Tensor:
    """Return logits for fixed tokens and noise, for all rows or some, on the network's device and in its dtype."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        tokens, noise = references.tokens(ROWS), references.noise(ROWS)
    index = torch.arange(ROWS) if rows is None else torch.tensor(rows)
    like = next(network.parameters())
    tokens, noise = tokens[index].to(like.device), noise[index].to(like)
    if isinstance(network, Discriminator):
        mask = mask_of(tokens)
        logits: Tensor = network(references.one_hot(tokens, dtype=like.dtype), mask)
        return logits.masked_fill(~mask, 0) if network.per_position else logits
    return network(noise, tokens)


def close(one: Tensor, other: Tensor, tolerance: float = CLOSE) -> bool:
    return one.shape == other.shape and bool((one - other).abs().amax() <= tolerance)


def gradients(output: Tensor, network: nn.Module) -> dict[str, Tensor | None]:
    """Return the gradients of a randomly weighted sum of the output.

    The weights are random so that no softmax or mean cancels the gradients.
    """
    parameters = {name: one for name, one in network.named_parameters() if one.numel() and one.requires_grad}
    found = torch.autograd.grad((output * torch.randn_like(output)).sum(), list(parameters.values()), allow_unused=True)
    return dict(zip(parameters, found, strict=True))


def check_seeded_build(case: Case) -> None:
    """The same seed gives bit-identical weights, another seed gives others."""
    same, again, other = (network(case, seed=seed).state_dict() for seed in (0, 0, 1))
    equal = [name for name in same if torch.equal(same[name], again[name])]
    case.expect(
        len(equal) == len(same),
        "has other weights when it is built again with the same seed; use torch's random state only",
    )
    changed = [name for name in same if not torch.equal(same[name], other[name])]
    case.expect(changed, "has weights that do not depend on the seed; do not set torch's random state")


def check_without_values(case: Case) -> None:
    """It can be built on the meta device, as an untrusted bundle is before its weights are loaded."""
    try:
        with without_memory():
            built = case.build(shape=SHAPE)
    except (NotImplementedError, RuntimeError) as error:
        raise case.failed(
            f"reads values of tensors in its constructor ({error}); compute with plain Python numbers there"
        ) from error
    placed = [name for name, tensor in built.state_dict().items() if not tensor.is_meta]
    case.expect(not placed, f"puts {', '.join(placed)} on a fixed device; leave out device=")


def check_batch_order(case: Case) -> None:
    """The output of a row does not depend on its position in the batch or on other rows."""
    built = network(case)
    whole = answer(built)
    for rows in ([2, 0, 3, 1], [1], [3, 0]):
        case.expect(
            close(answer(built, rows), whole[rows]), "mixes the rows of the batch; compute each row from that row alone"
        )


def check_gradients(case: Case) -> None:
    """The logits have a gradient for every parameter."""
    built = network(case)
    for name, gradient in gradients(answer(built), built).items():
        reached = gradient is not None and gradient.abs().max() > 1e-12
        case.expect(reached, f"has a parameter, {name}, that gets no gradient; use it or remove it")


def check_modes(case: Case) -> None:
    """It is deterministic after ``eval()``, and no call changes the mode that ``train()`` and ``eval()`` set."""
    built = network(case)
    before, state = torch.get_rng_state(), copy.deepcopy(built.state_dict())
    first, second = answer(built), answer(built)
    same = torch.equal(first, second) and torch.equal(before, torch.get_rng_state())
    case.expect(same, "is random in evaluation mode; check self.training, or use nn.Dropout")
    kept = all(torch.equal(state[name], tensor) for name, tensor in built.state_dict().items())
    case.expect(kept, "changes its buffers in evaluation mode; check self.training")
    for mode in (True, False):
        built.train(mode)
        answer(built)
        case.expect(
            all(module.training is mode for module in built.modules()),
            "changes its own mode; leave its mode to the caller",
        )


def check_dropout(case: Case) -> None:
    """An option named dropout has an effect in training mode."""
    if not has_dropout(case):
        raise Skipped("it has no option named dropout")
    answers = []
    for share in (0.0, 0.5):
        built = network(Case(case.spec, {**case.changes, "dropout": share})).train()
        torch.manual_seed(3)
        answers.append(answer(built))
    case.expect(not close(answers[0], answers[1]), "has an option, dropout, without effect in training; apply it")


def has_dropout(case: Case) -> bool:
    return "dropout" in {field.name for field in case.spec.options.fields()}


def check_scale(case: Case) -> None:
    """With parameters ten times as large, logits and gradients are finite in float32."""
    built = network(case, dtype=torch.float32)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.mul_(10)
    logits = answer(built)
    found = [logits, *(gradient for gradient in gradients(logits, built).values() if gradient is not None)]
    finite = all(tensor.isfinite().all() for tensor in found)
    case.expect(
        finite,
        "gives NaN or infinity when its parameters are ten times as large; normalise, or use log-softmax and clamp",
    )


def check_float32(case: Case) -> None:
    """In float32, in which it is trained, its logits are float32."""
    found = answer(network(case, dtype=torch.float32)).dtype
    case.expect(found == torch.float32, f"gives logits of type {found} in float32; use the dtype of its parameters")


def check_bfloat16(case: Case) -> None:
    """It runs under bfloat16 autocast with about the same output."""
    built = network(case, dtype=torch.float32)
    wanted = answer(built)
    try:
        with torch.autocast("cpu", torch.bfloat16):
            found = answer(built).float()
    except RuntimeError as error:
        raise case.failed(
            f"does not run under bfloat16 autocast ({error}); give new tensors the dtype of their neighbours"
        ) from error
    case.expect(found.isfinite().all(), "gives NaN or infinity under bfloat16 autocast; compute sums in float32")
    # bfloat16 has 8 bits of mantissa, and errors add up over layers. A wrong result is off by the size of the logits.
    near = (found - wanted).abs().max() <= 0.1 * wanted.abs().max() + 0.1
    case.expect(near, "gives other logits under bfloat16 autocast; compute sums in float32")


def check_cuda(case: Case) -> None:
    """It gives the same output on CUDA as on the CPU."""
    if not torch.cuda.is_available():
        raise Skipped("this machine has no CUDA")
    built = network(case)
    wanted = answer(built)
    try:
        found = answer(built.to("cuda")).cpu()
    except RuntimeError as error:
        raise case.failed(
            f"does not run on CUDA ({error}); register buffers, and make tensors on the device of their input"
        ) from error
    case.expect(close(found, wanted, 1e-6), "gives other logits on CUDA than on the CPU; compute the same on both")


def check_safetensors(case: Case) -> None:
    """A state_dict saved to a file and loaded into a new instance gives bit-identical output."""
    built, other = network(case), network(case, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.safetensors"
        write_tensors(path, built.state_dict(), {})
        read_into(path, other)
    case.expect(
        torch.equal(answer(built), answer(other)),
        "has tensors outside its state_dict; make each a parameter, or use register_buffer",
    )


def check_deepcopy(case: Case) -> None:
    """A deep copy gives the same output and shares no parameters: the moving average is such a copy."""
    built = network(case)
    wanted, copied = answer(built), copy.deepcopy(built)
    found = answer(copied)
    case.expect(
        torch.equal(found, wanted), "gives other logits after copy.deepcopy; keep all of its state in its modules"
    )
    lost = [name for name, gradient in gradients(found, copied).items() if gradient is None]
    storages = [{part.data_ptr() for part in each.parameters() if part.numel()} for each in (built, copied)]
    own = not lost and storages[0].isdisjoint(storages[1])
    case.expect(own, "shares parameters with its deep copy; keep modules as attributes, not inside functions")


CHECKS = (
    check_seeded_build,
    check_without_values,
    check_batch_order,
    check_gradients,
    check_modes,
    check_dropout,
    check_scale,
    check_float32,
    check_bfloat16,
    check_cuda,
    check_safetensors,
    check_deepcopy,
)
