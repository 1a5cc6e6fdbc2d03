"""What is promised of both networks: how they are made, kept, moved and run."""

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
"""Far above the rounding of float64, far below any effect that a wrong position or row would have."""
ROWS = 4


def network(case: Case, shape: Shape = SHAPE, seed: int = 0, dtype: torch.dtype = torch.float64) -> Any:
    """The network in evaluation mode, in float64 where two ways to the same number agree to many digits."""
    return case.build(shape=shape, seed=seed).to(dtype).eval()


def answer(network: nn.Module, rows: list[int] | None = None) -> Tensor:
    """Logits for the same tokens at every call, for all rows or some, on the network's device and in its type."""
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
    """Those of a sum over the output, with weights drawn at random so that no softmax or mean cancels them."""
    parameters = {name: one for name, one in network.named_parameters() if one.numel() and one.requires_grad}
    found = torch.autograd.grad((output * torch.randn_like(output)).sum(), list(parameters.values()), allow_unused=True)
    return dict(zip(parameters, found, strict=True))


def check_seeded_build(case: Case) -> None:
    """The seed of torch decides the weights, to the bit, and another seed gives others."""
    same, again, other = (network(case, seed=seed).state_dict() for seed in (0, 0, 1))
    equal = [name for name in same if torch.equal(same[name], again[name])]
    case.expect(len(equal) == len(same), "has other weights when it is built again with one seed; draw them from torch")
    changed = [name for name in same if not torch.equal(same[name], other[name])]
    case.expect(changed, "has the same weights whatever the seed; leave torch's random state alone")


def check_without_values(case: Case) -> None:
    """It can be built without memory, which is how a stranger's bundle is looked at before it is loaded."""
    try:
        with without_memory():
            built = case.build(shape=SHAPE)
    except (NotImplementedError, RuntimeError) as error:
        raise AssertionError(
            f"{case} reads values of tensors while it is built ({error}); compute them with plain numbers"
        ) from error
    placed = [name for name, tensor in built.state_dict().items() if not tensor.is_meta]
    case.expect(not placed, f"gives {', '.join(placed)} a device of its own; leave out device=")


def check_batch_order(case: Case) -> None:
    """What a row gives depends neither on its place in the batch nor on the other rows."""
    built = network(case)
    whole = answer(built)
    for rows in ([2, 0, 3, 1], [1], [3, 0]):
        case.expect(close(answer(built, rows), whole[rows]), "mixes the rows of a batch; keep to one row at a time")


def check_gradients(case: Case) -> None:
    """The gradient of the logits reaches every parameter."""
    built = network(case)
    for name, gradient in gradients(answer(built), built).items():
        reached = gradient is not None and gradient.abs().max() > 1e-12
        case.expect(reached, f"has a parameter, {name}, that no gradient reaches; use it or leave it out")


def check_modes(case: Case) -> None:
    """``eval()`` makes it deterministic, and ``train()`` and ``eval()`` reach all of it and are kept."""
    built = network(case)
    before, state = torch.get_rng_state(), copy.deepcopy(built.state_dict())
    first, second = answer(built), answer(built)
    same = torch.equal(first, second) and torch.equal(before, torch.get_rng_state())
    case.expect(same, "draws at random in evaluation mode; ask self.training, or use nn.Dropout")
    kept = all(torch.equal(state[name], tensor) for name, tensor in built.state_dict().items())
    case.expect(kept, "changes its buffers in evaluation mode; ask self.training")
    for mode in (True, False):
        built.train(mode)
        answer(built)
        case.expect(
            all(module.training is mode for module in built.modules()), "changes its mode itself; leave it to train()"
        )


def check_dropout(case: Case) -> None:
    """An option that is called dropout acts in training."""
    if not has_dropout(case):
        raise Skipped("it has no option called dropout")
    answers = []
    for share in (0.0, 0.5):
        built = network(Case(case.spec, {**case.changes, "dropout": share})).train()
        torch.manual_seed(3)
        answers.append(answer(built))
    case.expect(not close(answers[0], answers[1]), "has an option, dropout, that does nothing in training")


def has_dropout(case: Case) -> bool:
    return "dropout" in {field.name for field in case.spec.options.fields()}


def check_scale(case: Case) -> None:
    """With all parameters ten times as large, logits and gradients are finite in float32."""
    built = network(case, dtype=torch.float32)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.mul_(10)
    logits = answer(built)
    found = [logits, *(gradient for gradient in gradients(logits, built).values() if gradient is not None)]
    finite = all(tensor.isfinite().all() for tensor in found)
    case.expect(finite, "gives NaN or infinity at ten times its initial scale; normalise, or use log-softmax and clamp")


def check_bfloat16(case: Case) -> None:
    """Under bfloat16 autocast it runs, and gives about the same."""
    built = network(case, dtype=torch.float32)
    wanted = answer(built)
    try:
        with torch.autocast("cpu", torch.bfloat16):
            found = answer(built).float()
    except RuntimeError as error:
        raise AssertionError(
            f"{case} does not run under bfloat16 autocast ({error}); let new tensors take the type of those beside them"
        ) from error
    case.expect(found.isfinite().all(), "gives NaN or infinity under bfloat16 autocast; compute sums in float32")
    # Eight bits of mantissa, and errors that add up over layers; what is wrong is wrong by the size of the logits.
    near = (found - wanted).abs().max() <= 0.1 * wanted.abs().max() + 0.1
    case.expect(near, "gives other logits under bfloat16 autocast; compute sums in float32")


def check_cuda(case: Case) -> None:
    """On CUDA it gives what it gives on the CPU."""
    if not torch.cuda.is_available():
        raise Skipped("this machine has no CUDA")
    built = network(case)
    wanted = answer(built)
    try:
        found = answer(built.to("cuda")).cpu()
    except RuntimeError as error:
        raise AssertionError(
            f"{case} does not run on CUDA ({error}); register buffers, and make tensors on the device of their input"
        ) from error
    case.expect(close(found, wanted, 1e-6), "gives other logits on CUDA than on the CPU")


def check_safetensors(case: Case) -> None:
    """Its state_dict, through a file, makes another one of it to the bit."""
    built, other = network(case), network(case, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.safetensors"
        write_tensors(path, built.state_dict(), {})
        read_into(path, other)
    case.expect(
        torch.equal(answer(built), answer(other)),
        "is not whole in its state_dict; make every tensor a parameter or register_buffer it",
    )


def check_deepcopy(case: Case) -> None:
    """A copy gives the same, from parameters of its own: a moving average is such a copy."""
    built = network(case)
    wanted, copied = answer(built), copy.deepcopy(built)
    found = answer(copied)
    case.expect(
        torch.equal(found, wanted), "gives other logits when it is copied; keep all that it needs in its modules"
    )
    lost = [name for name, gradient in gradients(found, copied).items() if gradient is None]
    storages = [{parameter.data_ptr() for parameter in each.parameters()} for each in (built, copied)]
    own = not lost and storages[0].isdisjoint(storages[1])
    case.expect(own, "shares parameters with its copy; keep modules as attributes, not in functions")


CHECKS = (
    check_seeded_build,
    check_without_values,
    check_batch_order,
    check_gradients,
    check_modes,
    check_dropout,
    check_scale,
    check_bfloat16,
    check_cuda,
    check_safetensors,
    check_deepcopy,
)
