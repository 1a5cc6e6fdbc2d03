"""Compare two bundles. Their plugins need not be installed: no network is built."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ganlm_core.bundle.load import within_bounds
from ganlm_core.bundle.manifest import EVALUATION, RECIPE, TOKENIZER, Manifest, weights_file
from ganlm_core.bundle.verify import open_bundle
from ganlm_core.system.files import read_json, read_toml
from ganlm_core.system.sums import sha256
from ganlm_core.system.tensors import read_tensors
from ganlm_core.system.toml import flat

Pairs = dict[str, tuple[Any, Any]]
"""The values in A and in B by dotted key. A value is None if its bundle does not have the key."""


def diff(a: Path, b: Path) -> dict[str, Any]:
    """Return the differences between the bundles at ``a`` and ``b``. Raises WeightsError.

    ``configuration`` and ``evaluation`` are Pairs. ``tensors`` has, by network and name, the Euclidean ``norm`` of the
    difference and ``relative``, its share of the norm in A (None if that is zero), or a pair of ``shapes``.
    ``tokenizer`` says whether the tokenizers differ.
    """
    (a, first), (b, second) = open_bundle(a), open_bundle(b)
    with within_bounds(a), within_bounds(b):
        return {
            "configuration": _pairs(_configuration(a, first), _configuration(b, second)),
            "tokenizer": sha256(a / TOKENIZER) != sha256(b / TOKENIZER),
            "tensors": _compare_tensors(_tensors(a, first), _tensors(b, second)),
            "evaluation": _pairs(*(dict(flat(read_json(each / EVALUATION))) for each in (a, b))),
        }


def _pairs(a: Mapping[str, Any], b: Mapping[str, Any]) -> Pairs:
    both = {key: (a.get(key), b.get(key)) for key in sorted(a.keys() | b.keys())}
    return {key: values for key, values in both.items() if values[0] != values[1]}


def _configuration(folder: Path, manifest: Manifest) -> dict[str, Any]:
    """Return the settings of recipe.toml, and the sizes, origins and corpus of config.json."""
    origins = {f"{kind}.from": str(part.origin) for kind, part in manifest.components.items()}
    corpus = {} if manifest.corpus is None else {"corpus": manifest.corpus}
    others = {"shape": manifest.shape, "ganlm_version": manifest.ganlm_version, **corpus}
    return origins | dict(flat(others)) | dict(flat(read_toml(folder / RECIPE)))


def _tensors(folder: Path, manifest: Manifest) -> dict[str, Tensor]:
    return {
        f"{kind}.{name}": tensor
        for kind in manifest.networks
        for name, tensor in read_tensors(weights_file(folder, kind)).items()
    }


def _compare_tensors(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> dict[str, Any]:
    shapes = _pairs(*({name: list(tensor.shape) for name, tensor in each.items()} for each in (a, b)))
    found: dict[str, Any] = {name: {"shapes": pair} for name, pair in shapes.items()}
    for name in sorted(a.keys() & b.keys() - shapes.keys()):
        norm, whole = (a[name].double() - b[name].double()).norm().item(), a[name].double().norm().item()
        if norm != 0:
            found[name] = {"norm": norm, "relative": norm / whole if whole else None}
    return dict(sorted(found.items()))
