"""What is promised of training methods: through the loop that trains them, one phase at a time."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields

import torch
from torch import Tensor, nn

from ganlm_core.config.options import SGDOptimizer
from ganlm_core.config.run_config import Choice
from ganlm_core.data.batches import Batches
from ganlm_core.errors import GanlmError, UsageError
from ganlm_core.protocol import Algorithm, Parts, Phase
from ganlm_core.testing import references
from ganlm_core.testing.case import Case
from ganlm_core.testing.kinds import STEPS, build
from ganlm_core.testing.references import SHAPE, batch
from ganlm_core.training.checks import problem_with_networks, problem_with_phases
from ganlm_core.training.loop import Trainer
from ganlm_core.training.optimizers import build_optimizer

ROWS = 8
LEARNING_RATE = 0.1
State = dict[str, Tensor]


class OnePhase(Algorithm):
    """One phase of another algorithm, for the loop to make alone."""

    def __init__(self, whole: Algorithm, phase: Phase) -> None:
        super().__init__()
        self.whole, self.phase = whole, phase

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return self.whole.networks

    def phases(self, step: int) -> Sequence[Phase]:
        return [self.phase]


def check_networks(case: Case) -> None:
    """Its networks are modules of its own by name, ``generator`` among them, and all in its state_dict."""
    algorithm: Algorithm = build(case)
    problem = problem_with_networks(algorithm)
    case.expect(not problem, problem)
    held = {id(parameter) for parameter in algorithm.parameters()}
    for name, network in algorithm.networks.items():
        kept = all(id(parameter) in held for parameter in network.parameters())
        case.expect(kept, f"does not hold its network '{name}'; make it an attribute, so that state_dict has it")
    unknown = ", ".join(set(algorithm.unused) - {part.name for part in fields(Parts)})
    case.expect(not unknown, f"says that {unknown} is unused, which is no part; name kinds, as in ('penalty',)")


def check_phases(case: Case) -> None:
    """Every step has phases, of networks that it names, and asking for them changes nothing."""
    algorithm: Algorithm = build(case)
    for step in range(STEPS):
        problem = problem_with_phases(algorithm, step)
        case.expect(not problem, problem)
        phases = algorithm.phases(step)
        case.expect(phases, f"has no phase at step {step} of {STEPS}; give at least one")
        again = [phase.name for phase in algorithm.phases(step)]
        case.expect(
            [phase.name for phase in phases] == again,
            "has other phases when asked twice; derive them from the step",
        )
    start = algorithm.adversarial_from
    case.expect(0 <= start <= STEPS, f"has adversarial_from = {start} in a run of {STEPS} steps; keep it within them")


def check_losses(case: Case) -> None:
    """The loss of a phase is a finite scalar with a gradient for its network, and changes no parameter."""
    algorithm: Algorithm = build(case)
    for step, phase in _phases(algorithm):
        before = _parameters(algorithm)
        value = phase(batch(ROWS, step=step, progress=step / (STEPS - 1)))
        case.expect(
            value.dim() == 0, f"has a loss of shape {tuple(value.shape)} in phase '{phase.name}'; take the mean"
        )
        case.expect(value.isfinite(), f"has a loss of {value.item()} in phase '{phase.name}'")
        case.expect(
            not _moved(before, _parameters(algorithm)),
            f"changes parameters itself in phase '{phase.name}'; losses compute, the loop steps",
        )
        parameters = [one for one in _moves(algorithm, phase).parameters() if one.requires_grad]
        found = torch.autograd.grad(value, parameters, allow_unused=True) if value.requires_grad else [None]
        reached = any(gradient is not None and gradient.any() for gradient in found)
        case.expect(reached, f"gives its {phase.network} no gradient in phase '{phase.name}'; detach less")


def check_phases_move_their_network(case: Case) -> None:
    """A step of a phase changes the parameters of its network, or of the part that it names, and no others."""
    algorithm: Algorithm = build(case)
    for step, phase in _phases(algorithm):
        own = {id(parameter) for parameter in _moves(algorithm, phase).parameters()}
        before = _parameters(algorithm)
        _step(algorithm, phase, step)
        moved = _moved(before, _parameters(algorithm))
        ids = {name: id(parameter) for name, parameter in _named_parameters(algorithm)}
        others = [name for name in moved if not name.startswith(f"{phase.network}.") or ids[name] not in own]
        shown = ", ".join(others[:3])
        case.expect(not others, f"moves {shown} in phase '{phase.name}' of {phase.network}; share nothing")
        case.expect(moved, f"does not move its {phase.network} in phase '{phase.name}'; let the loss depend on it")


def check_resume(case: Case) -> None:
    """Its state_dict is all it remembers: one that loads it goes on with the same steps."""
    first, second = build(case), build(case, seed=1)
    _train(first, 0, STEPS // 2)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    states = []
    for algorithm in (first, second):
        _train(algorithm, STEPS // 2, STEPS)
        states.append(_parameters(algorithm))
    case.expect(not _moved(*states), "goes on otherwise after a resume; keep what it remembers in buffers")


def check_refusals(case: Case) -> None:
    """Networks that it cannot train are refused when it is built, in one line."""
    for generator, discriminator in references.pairs():
        try:
            algorithm: Algorithm = case.build(parts=references.parts(generator, discriminator, STEPS))
        except GanlmError as error:
            case.expect(isinstance(error, UsageError), f"refuses networks with {error!r}; raise UsageError")
            case.expect("\n" not in str(error), f"refuses networks in several lines: {error}")
            continue
        for step, phase in _phases(algorithm):
            try:
                phase(batch(ROWS, step=step, progress=step / (STEPS - 1)))
            except Exception as error:
                pair = f"{type(generator).__name__} and {type(discriminator).__name__}"
                raise AssertionError(
                    f"{case} takes {pair} and fails in phase '{phase.name}' ({error!r}); "
                    "raise UsageError in the constructor"
                ) from error


def _phases(algorithm: Algorithm) -> list[tuple[int, Phase]]:
    """Each phase that a run has, by name and network, at the first step that has it."""
    found: dict[tuple[str, str], tuple[int, Phase]] = {}
    for step in range(STEPS):
        for phase in algorithm.phases(step):
            found.setdefault((phase.name, phase.network), (step, phase))
    return list(found.values())


def _step(algorithm: Algorithm, phase: Phase, step: int) -> None:
    _train(OnePhase(algorithm, phase), step, step + 1)


def _train(algorithm: Algorithm, start: int, stop: int) -> None:
    """Steps of plain gradient descent, by the loop itself."""
    sgd = Choice("sgd", SGDOptimizer(lr=LEARNING_RATE, momentum=0.0))
    torch.manual_seed(11 + start)
    tokens = references.tokens(ROWS)
    batches = Batches(tokens, ROWS, 0, SHAPE.noise, torch.device("cpu"))
    optimizers = {name: build_optimizer(sgd, network.parameters()) for name, network in algorithm.networks.items()}
    Trainer(algorithm, optimizers, batches, steps=stop, clip=1.0).train(start, lambda step, metrics: None)


def _moves(algorithm: Algorithm, phase: Phase) -> nn.Module:
    """What a phase changes: its network, or the part of it that it names."""
    return algorithm.networks[phase.network] if phase.part is None else phase.part


def _named_parameters(algorithm: Algorithm) -> Iterator[tuple[str, nn.Parameter]]:
    for network, module in algorithm.networks.items():
        for name, parameter in module.named_parameters():
            yield f"{network}.{name}", parameter


def _parameters(algorithm: Algorithm) -> State:
    return {name: parameter.detach().clone() for name, parameter in _named_parameters(algorithm)}


def _moved(before: State, after: State) -> list[str]:
    """The parameters that changed, by network and name."""
    return [name for name, old in before.items() if not torch.equal(old, after[name])]


FIRST = (check_networks, check_phases, check_losses)
CHECKS = (check_phases_move_their_network, check_resume, check_refusals)
