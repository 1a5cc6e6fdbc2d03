"""Convert the weights of the SeqGAN authors' oracle to a file for ``--corpus.weights``.

    python benchmarks/convert_oracle.py target_params_py3.pkl oracle.safetensors
    python benchmarks/oracle.py --recipes mle --options "--corpus.weights oracle.safetensors"

The pickle is ``save/target_params_py3.pkl`` of https://github.com/LantaoYu/SeqGAN. It is a list of 15 arrays: the
embedding; for each of the input, forget and output gate and the cell, the input weights (E, H), the hidden weights
(H, H) and the bias (H,); the output weights (H, V) and bias (V,). Only arrays are read from it: a pickle that names
any other class is refused.
"""

import pickle
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor

from ganlm_core.cli import run_command
from ganlm_core.data.oracle import Oracle

ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}
"""The names in a pickle of arrays."""

ARRAYS = 15
GATES = {"input": 1, "forget": 4, "cell": 10, "output": 7}
"""The place of each gate's three arrays, in the order of the rows of an :class:`Oracle`."""


class Arrays(pickle.Unpickler):
    """Reads arrays, and nothing that could run code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise click.ClickException(f"the pickle names {module}.{name}; wanted a list of arrays")
        return super().find_class(module, name)


@click.command()
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
def main(source: Path, target: Path) -> None:
    """Convert the pickle SOURCE to the safetensors file TARGET."""
    with source.open("rb") as file:
        arrays = Arrays(file, encoding="latin1").load()
    if not isinstance(arrays, list) or len(arrays) != ARRAYS:
        raise click.ClickException(f"{source} is no list of {ARRAYS} arrays; take target_params_py3.pkl")
    Oracle(weights([torch.from_numpy(np.asarray(array)).float() for array in arrays]), length=1).save(target)


def weights(arrays: list[Tensor]) -> dict[str, Tensor]:
    """Return the tensors of an :class:`Oracle` by name, from the 15 tensors of the authors."""
    gates = [arrays[first : first + 3] for first in GATES.values()]
    inputs, hiddens, biases = zip(*gates, strict=True)
    return {
        "embedding": arrays[0],
        "input.weight": torch.cat(inputs, dim=1).T.contiguous(),
        "hidden.weight": torch.cat(hiddens, dim=1).T.contiguous(),
        "bias": torch.cat(biases),
        "output.weight": arrays[13].T.contiguous(),
        "output.bias": arrays[14],
    }


if __name__ == "__main__":
    sys.exit(run_command(main))
