"""Generators in the forms that other runtimes read: ``torch.export`` and ONNX.

What is written is ``forward``: ``noise`` (B, Z) and, for generators that write word by word, ids ``tokens`` (B, T) to
``logits`` (B, T, V), with any number B of sequences. Position t of the logits has seen the ids before t: one call
scores a sentence, and T calls write one.
"""

import io
import logging
import warnings
from pathlib import Path

import torch
from torch.export import Dim, ExportedProgram

from ganlm_core.errors import GanlmError, UsageError
from ganlm_core.protocol import EOS, Generator
from ganlm_core.system.files import write_file

ROWS = 2
"""Sequences in the example that is traced; one would be taken for a constant."""


def export(generator: Generator, path: Path) -> None:
    """Write a generator in the format that the name of ``path`` ends in: ``.pt2`` for torch.export, or ``.onnx``.

    Raises UsageError for another ending, for a path that is taken and when the packages for ONNX are missing, and
    GanlmError for a network that cannot be traced.
    """
    if path.suffix not in WRITERS:
        raise UsageError(f"{path} ends in none of {', '.join(WRITERS)}; choose one of them")
    if path.exists():
        raise UsageError(f"{path} already exists; choose another file")
    write_file(path, WRITERS[path.suffix](trace(generator)))


def trace(generator: Generator) -> ExportedProgram:
    """``forward`` as a graph, for any number of sequences. Raises GanlmError for a network that cannot be traced."""
    shape = generator.shape
    examples = {"noise": torch.zeros(ROWS, shape.noise, device=generator.prior.device)}
    if generator.autoregressive:
        examples["tokens"] = torch.full((ROWS, shape.length), EOS, device=generator.prior.device)
    sizes = {name: {0: Dim("batch")} for name in examples}
    try:
        with warnings.catch_warnings(action="ignore"):
            return torch.export.export(generator.eval(), (), examples, dynamic_shapes=sizes)
    except Exception as error:  # what tracing cannot do, it says in many ways
        reason = str(error).strip().partition("\n")[0]
        raise GanlmError(f"{type(generator).__name__} cannot be traced: {reason}") from error


def _program_bytes(program: ExportedProgram) -> bytes:
    file = io.BytesIO()
    torch.export.save(program, file)
    return file.getvalue()


def _onnx_bytes(program: ExportedProgram) -> bytes:
    try:
        import onnxscript  # noqa: F401  torch says no more than that something is missing
    except ImportError:
        raise UsageError("ONNX needs the packages onnx and onnxscript; pip install 'ganlm[onnx]'") from None
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(action="ignore"):
        written = torch.onnx.export(program, (), dynamo=True, verbose=False, output_names=["logits"])
    assert written is not None
    return written.model_proto.SerializeToString()


WRITERS = {".pt2": _program_bytes, ".onnx": _onnx_bytes}
