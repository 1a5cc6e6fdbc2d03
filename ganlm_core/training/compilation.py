"""``--compile``: the networks through torch.compile, and on CUDA whole phases as graphs."""

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor

from ganlm_core.protocol import Algorithm, Batch, Discriminator, Parts, Phase
from ganlm_core.system.devices import cuda_graph

Loss = Callable[[Batch], Tensor]


def compile_networks(algorithm: Algorithm, parts: Parts) -> list[str]:
    """Compile the networks in place, so that tensors keep their names; gives the names of those that are left out.

    A penalty differentiates its discriminator twice, which torch.compile cannot.
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
    """Phases, but for those of the networks ``left_out``, to phases whose losses and gradients CUDA graphs compute.

    What torch cannot trace divides a phase into several graphs: an LSTM, and what is called by ``Generator.untraced``.
    """

    # By the loss, which an algorithm keeps; one that makes it anew at every step has but the newest of them kept.
    compiled = lru_cache(maxsize=32)(_as_graph)

    def prepared(phase: Phase) -> Phase:
        return phase if phase.network in left_out else replace(phase, loss=compiled(phase.loss))

    return prepared


def _as_graph(loss: Loss) -> Loss:
    graph = cuda_graph(loss)

    def compute(batch: Batch) -> Tensor:
        # From here on graphs may write over what those of earlier phases gave. Not between those of one phase, although
        # a step of sampling is a graph that is called by itself.
        torch.compiler.cudagraph_mark_step_begin()
        value = graph(batch)
        # Copied too, for whoever looks at them later. Gradients are used up before the next phase.
        batch.metrics.update({name: metric.clone() for name, metric in batch.metrics.items()})
        return value

    return compute
