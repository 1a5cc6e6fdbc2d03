"""``--compile``: compile the networks with torch.compile, and on CUDA whole phases as graphs."""

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor

from ganlm_core.protocol import Algorithm, Batch, Discriminator, Parts, Phase
from ganlm_core.system.devices import cuda_graph

Loss = Callable[[Batch], Tensor]


def compile_networks(algorithm: Algorithm, parts: Parts) -> list[str]:
    """Compile the networks in place, so that tensors keep their names; return the names of networks not compiled.

    A discriminator with a penalty is left out: it is differentiated twice, and torch.compile supports that once.
    """
    left_out = []
    for name, network in algorithm.networks.items():
        if parts.penalty.interval > 0 and isinstance(network, Discriminator):
            left_out.append(name)
        else:
            network.compile()
    return left_out


def as_it_is(phase: Phase) -> Phase:
    return phase


def as_graphs(left_out: Collection[str]) -> Callable[[Phase], Phase]:
    """Return a function that compiles a phase: CUDA graphs compute its loss and gradients.

    Phases of the networks ``left_out`` stay as they are. Code that torch cannot trace (an LSTM, and calls through
    ``Generator.untraced``) divides a phase into several graphs.
    """

    # Keyed by the loss, which an algorithm keeps. If it makes losses anew at every step, only the newest stay cached.
    compiled = lru_cache(maxsize=32)(_as_graph)

    def prepared(phase: Phase) -> Phase:
        return phase if phase.network in left_out else replace(phase, loss=compiled(phase.loss))

    return prepared


def _as_graph(loss: Loss) -> Loss:
    graph = cuda_graph(loss)

    def compute(batch: Batch) -> Tensor:
        # From here on graphs may overwrite the results of earlier phases, but not those of this phase, although a step
        # of sampling is a graph of its own.
        torch.compiler.cudagraph_mark_step_begin()
        value = graph(batch)
        # Metrics are read later, so they are copied too. Gradients are used up before the next phase.
        batch.metrics.update({name: metric.clone() for name, metric in batch.metrics.items()})
        return value

    return compute
