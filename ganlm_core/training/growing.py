"""Grow the weights of a network to a larger vocabulary.

The rule fits every architecture in which each dimension that depends on the vocabulary has its size V and is indexed by
the ids of words. Along these dimensions, the values of the old words stay, and each new word gets the mean of the old
words (Hewitt 2021, "Initializing new word embeddings for pretrained language models"), without those that cannot occur.
So the logits of old words stay as they are, and a new word is no likelier than an average one.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ganlm_core.protocol import NEVER


class CannotGrow(ValueError):
    """A network has a tensor whose shape depends on the vocabulary in another way. The text names it."""


def grown_state(
    state: Mapping[str, Tensor], small: nn.Module, large: nn.Module, old: int, new: int, behind: int = 0
) -> dict[str, Tensor]:
    """Return ``state`` of a network with ``old`` words for one with ``new`` words.

    ``small`` and ``large`` are such networks, whose values are not read. ``behind`` more ids, such as labels, follow
    the words and stay behind them. Raises CannotGrow.
    """
    before, after = small.state_dict(), large.state_dict()
    if before.keys() != after.keys():
        name = sorted(before.keys() ^ after.keys())[0]
        raise CannotGrow(f"only one of the two sizes has {name}")
    return {name: _grown(name, state[name], before[name], after[name], old, new, behind) for name in before}


def _grown(name: str, tensor: Tensor, before: Tensor, after: Tensor, old: int, new: int, behind: int) -> Tensor:
    shapes = f"{name} has the shape {list(before.shape)} for {old} words, and {list(after.shape)} for {new}"
    if before.dim() != after.dim():
        raise CannotGrow(shapes)
    for dimension, (size, larger) in enumerate(zip(before.shape, after.shape, strict=True)):
        if size == larger:
            continue
        if size - old != behind or larger - size != new - old or not tensor.is_floating_point():
            raise CannotGrow(shapes)
        words, rest = tensor.split([old, size - old], dim=dimension)
        mean = words.masked_fill(words <= NEVER, torch.nan).nanmean(dim=dimension, keepdim=True)
        added = mean.repeat_interleave(new - old, dim=dimension)
        tensor = torch.cat([words, added, rest], dim=dimension)
    return tensor
