"""Checks of training methods. They run the real training loop, one phase at a time."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields

import torch
from torch import Tensor, nn

from ganlm_core.config.options import SGDOptimizer
from ganlm_core.config.run_config import Choice
from ganlm_core.data.batches import Batches
from ganlm_core.errors import GanlmError, UsageError
from ganlm_core.plugins.wording import described
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
    """An algorithm of one phase of another algorithm, so that the loop runs this phase alone."""

    def __init__(self, whole: Algorithm, phase: Phase) -> None:
        super().__init__()
        self.whole, self.phase = whole, phase

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return self.whole.networks

    def phases(self, step: int) -> Sequence[Phase]:
        return [self.phase]


def check_networks(case: Case) -> None:
    """``networks`` maps names to modules, one named ``generator``, and the state_dict holds all of them."""
    algorithm: Algorithm = build(case)
    problem = problem_with_networks(algorithm)
    case.expect(not problem, problem)
    held = {id(parameter) for parameter in algorithm.parameters()}
    for name, network in algorithm.networks.items():
        kept = all(id(parameter) in held for parameter in network.parameters())
        case.expect(kept, f"does not hold its network '{name}'; make it an attribute, so that state_dict has it")
    unknown = ", ".join(set(algorithm.unused) - {part.name for part in fields(Parts)})
    case.expect(
        not unknown, f"says that {unknown} is unused, which is no kind of component; name kinds, as in ('penalty',)"
    )


def check_phases(case: Case) -> None:
    """Every step has at least one phase, each of a network in ``networks``, and ``phases`` has no side effect."""
    algorithm: Algorithm = build(case)
    for step in range(STEPS):
        problem = problem_with_phases(algorithm, step)
        case.expect(not problem, problem)
        phases = algorithm.phases(step)
        case.expect(phases, f"has no phase at step {step} of {STEPS}; give at least one")
        again = [phase.name for phase in algorithm.phases(step)]
        case.expect(
            [phase.name for phase in phases] == again,
            "returns other phases when called twice for one step; compute them from the step",
        )
    start = algorithm.adversarial_from
    case.expect(
        0 <= start <= STEPS,
        f"has adversarial_from = {start} in a run of {STEPS} steps; give a step from 0 to the number of steps",
    )


def check_losses(case: Case) -> None:
    """The loss of each phase is a finite scalar with a gradient for its network, and changes no parameter."""
    algorithm: Algorithm = build(case)
    for step, phase in _phases(algorithm):
        before = _parameters(algorithm)
        value = phase(batch(ROWS, step=step, progress=step / (STEPS - 1)))
        case.scalar(value, f" as the loss of phase '{phase.name}'")
        case.expect(value.isfinite(), f"has a loss of {value.item()} in phase '{phase.name}'; keep it finite")
        case.expect(
            not _moved(before, _parameters(algorithm)),
            f"changes parameters itself in phase '{phase.name}'; a loss only computes, the loop makes the step",
        )
        parameters = [one for one in _moves(algorithm, phase).parameters() if one.requires_grad]
        found = torch.autograd.grad(value, parameters, allow_unused=True) if value.requires_grad else [None]
        reached = any(gradient is not None and gradient.any() for gradient in found)
        case.expect(reached, f"gives its {phase.network} no gradient in phase '{phase.name}'; detach less")


def check_phases_move_their_network(case: Case) -> None:
    """A step of a phase changes parameters of its network (or of its ``part``, if set) and no others."""
    algorithm: Algorithm = build(case)
    for step, phase in _phases(algorithm):
        own = {id(parameter) for parameter in _moves(algorithm, phase).parameters()}
        before = _parameters(algorithm)
        _step(algorithm, phase, step)
        moved = _moved(before, _parameters(algorithm))
        ids = {name: id(parameter) for name, parameter in _named_parameters(algorithm)}
        others = [name for name in moved if not name.startswith(f"{phase.network}.") or ids[name] not in own]
        shown = ", ".join(others[:3])
        case.expect(
            not others, f"moves {shown} in phase '{phase.name}' of {phase.network}; let networks share no module"
        )
        case.expect(moved, f"does not move its {phase.network} in phase '{phase.name}'; let the loss depend on it")


def check_resume(case: Case) -> None:
    """The state_dict holds all of its state: training continues identically after loading it."""
    first, second = build(case), build(case, seed=1)
    _train(first, 0, STEPS // 2)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    states = []
    for algorithm in (first, second):
        _train(algorithm, STEPS // 2, STEPS)
        states.append(_parameters(algorithm))
    case.expect(not _moved(*states), "trains differently after a resume; keep its state in buffers")


def check_refusals(case: Case) -> None:
    """The constructor refuses networks that it cannot train, with a UsageError of one line."""
    for generator, discriminator in references.pairs():
        try:
            algorithm: Algorithm = case.build(parts=references.parts(generator, discriminator, STEPS))
        except GanlmError as error:
            case.expect(isinstance(error, UsageError), f"refuses networks with {described(error)}; raise UsageError")
            case.expect("\n" not in str(error), f"refuses networks in several lines: {error}; write one line")
            continue
        for step, phase in _phases(algorithm):
            try:
                phase(batch(ROWS, step=step, progress=step / (STEPS - 1)))
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                pair = f"{type(generator).__name__} and {type(discriminator).__name__}"
                raise case.failed(
                    f"accepts {pair} and fails in phase '{phase.name}' ({described(error)}); "
                    "raise UsageError in the constructor"
                ) from error


def _phases(algorithm: Algorithm) -> list[tuple[int, Phase]]:
    """Return each phase of a run, by name and network, with the first step that has it."""
    found: dict[tuple[str, str], tuple[int, Phase]] = {}
    for step in range(STEPS):
        for phase in algorithm.phases(step):
            found.setdefault((phase.name, phase.network), (step, phase))
    return list(found.values())


def _step(algorithm: Algorithm, phase: Phase, step: int) -> None:
    _train(OnePhase(algorithm, phase), step, step + 1)


def _train(algorithm: Algorithm, start: int, stop: int) -> None:
    """Run the training loop from step ``start`` to ``stop`` with plain gradient descent."""
    sgd = Choice("sgd", SGDOptimizer(lr=LEARNING_RATE, momentum=0.0))
    torch.manual_seed(11 + start)
    tokens = references.tokens(ROWS)
    batches = Batches(tokens, ROWS, 0, SHAPE.noise, torch.device("cpu"))
    trained = {name: net for name, net in algorithm.networks.items() if any(p.requires_grad for p in net.parameters())}
    optimizers = {name: build_optimizer(sgd, network.parameters()) for name, network in trained.items()}
    Trainer(algorithm, optimizers, batches, steps=stop, clip=1.0).train(start, lambda step, metrics: None)


def _moves(algorithm: Algorithm, phase: Phase) -> nn.Module:
    """Return the module that a phase trains: its ``part`` if set, else its network."""
    return algorithm.networks[phase.network] if phase.part is None else phase.part


def _named_parameters(algorithm: Algorithm) -> Iterator[tuple[str, nn.Parameter]]:
    for network, module in algorithm.networks.items():
        for name, parameter in module.named_parameters():
            yield f"{network}.{name}", parameter


def _parameters(algorithm: Algorithm) -> State:
    return {name: parameter.detach().clone() for name, parameter in _named_parameters(algorithm)}


def _moved(before: State, after: State) -> list[str]:
    """Return the names of the parameters that changed, with their network."""
    return [name for name, old in before.items() if not torch.equal(old, after[name])]


FIRST = (check_networks, check_phases, check_losses)
CHECKS = (check_phases_move_their_network, check_resume, check_refusals)
