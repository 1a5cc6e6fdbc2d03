"""Check that a built component fulfils its contract, before a run starts.

Each function returns the problem, as the continuation of the component's name in a message to its author, or an empty
string. The conformance kit makes the same checks and many more.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganlm_core.data.corpus import Corpus, spaced
from ganlm_core.data.options import SPLITS
from ganlm_core.data.text import one_line
from ganlm_core.protocol import Algorithm, Discriminator, Estimator, Generator, Loss, Penalty, Phase, Reward
from ganlm_core.system.printable import shown

BASES: Mapping[str, type] = {
    "generator": Generator,
    "discriminator": Discriminator,
    "algorithm": Algorithm,
    "loss": Loss,
    "penalty": Penalty,
    "estimator": Estimator,
    "corpus": Corpus,
    "reward": Reward,
}
"""The class that a component must be an instance of, by its kind."""

CHECKED = 300
"""Sentences of each split that are checked. A run must not read all of a large corpus before it starts."""

_NETWORKS = {"generator": Generator, "discriminator": Discriminator}
"""The class of a network of an algorithm, by its name; any other network is a module."""


def problem_with_kind(built: object, base: type) -> str:
    if isinstance(built, base):
        return ""
    return f"gave {_told(built)}, and must be a {_path(base)}; derive it from that"


def problem_with_corpus(corpus: Corpus, rows: int = CHECKED) -> str:
    """Check the sentences of each split; of a large one, some that are evenly spaced."""
    for split in SPLITS:
        texts = getattr(corpus, split)
        if isinstance(texts, str) or not isinstance(texts, Sequence):
            return f"gave {_told(texts)} as its {split} split; give a list of sentences"
        for text in spaced(texts, rows):
            if not isinstance(text, str):
                return f"gave {_told(text)} in its {split} split; give sentences as text"
            if one_line(text) != text:
                return f"has a sentence in its {split} split that is not one line of text, {shown(text)}; clean it"
    return ""


def problem_with_loss(loss: Loss) -> str:
    """Check the costs of the logits of four sequences."""
    return problem_with_costs(loss, torch.tensor([-2.0, 0.0, 0.5, 3.0]), torch.tensor([1.0, -3.0, 0.0, 0.25]))


def problem_with_costs(loss: Loss, real: Tensor, generated: Tensor) -> str:
    """Check that each logit of a sequence gets a cost, for the discriminator and for the generator."""
    real, generated = (logits.clone().requires_grad_() for logits in (real, generated))
    pair: Any = loss.discriminator(real, generated)
    if not (isinstance(pair, tuple) and len(pair) == 2):
        return f"gave {_told(pair)} from discriminator(); return two costs, of real and of generated logits"
    costs = [("discriminator", cost) for cost in pair] + [("generator", loss.generator(generated, real))]
    return next(filter(None, (_problem_with_cost(name, cost, real) for name, cost in costs)), "")


def _problem_with_cost(function: str, cost: Any, logits: Tensor) -> str:
    if not isinstance(cost, Tensor):
        return f"gave {_told(cost)} as a cost from {function}(); return a tensor"
    if cost.shape != logits.shape:
        return (
            f"gave costs {tuple(cost.shape)} for logits {tuple(logits.shape)} from {function}(); "
            "return a cost for each logit, not their mean"
        )
    if cost.dtype != logits.dtype:
        return f"gave costs of type {cost.dtype} for logits of type {logits.dtype} from {function}(); keep their type"
    if not cost.requires_grad:
        return f"gave costs without a gradient from {function}(); compute them from the logits, and detach nothing"
    if not cost.isfinite().all():
        return f"gave the costs {cost.tolist()} from {function}() for logits from -3 to 3; return finite costs"
    return ""


def problem_with_algorithm(algorithm: Algorithm, steps: int) -> str:
    """Check the networks, and the phases of the first step, of the first adversarial step and of the last one."""
    start: Any = algorithm.adversarial_from
    if not isinstance(start, int):
        return f"gave {_told(start)} as adversarial_from; give the number of a step"
    problem = problem_with_networks(algorithm)
    probed = sorted({0, min(start, steps - 1), steps - 1})
    for step in probed:
        problem = problem or problem_with_phases(algorithm, step)
    if not problem and not any(algorithm.phases(step) for step in probed):
        return f"has no phases in steps {', '.join(map(str, probed))}, so nothing is trained; return at least one Phase"
    return problem


def problem_with_networks(algorithm: Algorithm) -> str:
    networks: Any = algorithm.networks
    if not isinstance(networks, Mapping):
        return f"gave {_told(networks)} as its networks; return a dict of modules by name"
    for name, network in networks.items():
        base = _NETWORKS.get(name, nn.Module)
        if not isinstance(network, base):
            return f"gave {_told(network)} as its network '{name}'; give a {_path(base)}"
    return "" if "generator" in networks else "has no 'generator' among its networks; name it so"


def problem_with_phases(algorithm: Algorithm, step: int) -> str:
    """Check the phases of a step. They are a list and not an iterator, because the loop reads them more than once."""
    phases: Any = algorithm.phases(step)
    if not isinstance(phases, Sequence):
        return f"gave {_told(phases)} as the phases of step {step}; return a list of Phase"
    networks = algorithm.networks
    for phase in phases:
        if not isinstance(phase, Phase):
            return f"gave {_told(phase)} among the phases of step {step}; return a list of Phase"
        if phase.network not in networks:
            return f"has a phase of '{phase.network}'; name one of its networks: {', '.join(networks)}"
        if phase.network in algorithm.frozen:
            return f"has a phase of '{phase.network}', which is among its frozen networks; take it out of one of them"
        if not callable(phase.loss):
            return f"gave {_told(phase.loss)} as the loss of phase '{phase.name}'; give a function of a batch"
    return ""


def _told(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"


def _path(base: type) -> str:
    return "torch.nn.Module" if base is nn.Module else f"{base.__module__}.{base.__name__}"
