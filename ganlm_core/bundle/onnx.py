"""Export generators for other runtimes: ``torch.export`` and ONNX.

The exported function is ``forward``: it maps ``noise`` (B, Z) and, for autoregressive generators, ids ``tokens`` (B, T)
to ``logits`` (B, T, V), for any number B of sequences. The logits at position t depend on the ids before t: one call
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
from ganlm_core.system.files import check_free, write_file
from ganlm_core.system.lock import locked

ROWS = 2
"""Sequences in the example that is traced. With one, tracing would take the batch size for a constant."""


def export(generator: Generator, path: Path, force: bool = False) -> None:
    """Write a generator to a file: with the ending ``.pt2`` for torch.export, with ``.onnx`` for ONNX.

    Raises UsageError for another ending, when ``path`` exists and may not be replaced (``force``) or when the packages
    for ONNX are missing, FolderInUse while another process writes there, and GanlmError for a network that cannot be
    traced.
    """
    if path.suffix not in WRITERS:
        raise UsageError(f"{path} does not end in {' or '.join(WRITERS)}; choose one of them")
    with locked(path):
        check_free(path, force)
        write_file(path, WRITERS[path.suffix](trace(generator)))


def trace(generator: Generator) -> ExportedProgram:
    """Return ``forward`` as a graph, for any number of sequences. Raises GanlmError when it cannot be traced."""
    shape = generator.shape
    examples = {"noise": torch.zeros(ROWS, shape.noise, device=generator.prior.device)}
    if generator.autoregressive:
        examples["tokens"] = torch.full((ROWS, shape.length), EOS, device=generator.prior.device)
    sizes = {name: {0: Dim("batch")} for name in examples}
    try:
        with warnings.catch_warnings(action="ignore"):
            return torch.export.export(generator.eval(), (), examples, dynamic_shapes=sizes)
    except Exception as error:  # tracing raises errors of many types
        reason = str(error).strip().partition("\n")[0]
        raise GanlmError(f"{type(generator).__name__} cannot be traced: {reason}") from error


def _program_bytes(program: ExportedProgram) -> bytes:
    file = io.BytesIO()
    torch.export.save(program, file)
    return file.getvalue()


def _onnx_bytes(program: ExportedProgram) -> bytes:
    try:
        import onnxscript  # noqa: F401  torch's own message does not name what is missing
    except ImportError:
        raise UsageError("ONNX needs the packages onnx and onnxscript; pip install 'ganlm[onnx]'") from None
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(action="ignore"):
        written = torch.onnx.export(program, (), dynamo=True, verbose=False, output_names=["logits"])
    assert written is not None
    return written.model_proto.SerializeToString()


WRITERS = {".pt2": _program_bytes, ".onnx": _onnx_bytes}
