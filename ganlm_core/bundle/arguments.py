"""Tensors that a program gives to a loaded model."""

import torch
from torch import Tensor

from ganlm_core.errors import OptionError


def ids(name: str, value: object, shape: tuple[int, ...], below: int) -> Tensor:
    """Return a tensor of whole numbers, from 0 up to and without ``below``, with this shape after its first dimension.

    Raises OptionError for other values.
    """
    wanted = f"a tensor of whole numbers ({', '.join(['B', *map(str, shape)])})"
    if not isinstance(value, Tensor):
        raise OptionError(f"{name} is of type {type(value).__name__}; wanted {wanted}")
    if value.is_floating_point() or value.is_complex() or value.dtype == torch.bool:
        raise OptionError(f"{name} is of type {value.dtype}; wanted {wanted}")
    if value.dim() != 1 + len(shape) or value.shape[1:] != shape or not len(value):
        raise OptionError(f"{name} has the shape {tuple(value.shape)}; wanted {wanted}")
    least, most = value.min().item(), value.max().item()
    if least < 0 or most >= below:
        raise OptionError(f"{name} has numbers from {least} to {most}; wanted 0 to {below - 1}")
    return value.long()
