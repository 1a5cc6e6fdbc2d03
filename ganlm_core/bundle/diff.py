"""What differs between two bundles. Their plugins need not be installed: no network is built."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ganlm_core.bundle.manifest import EVALUATION, RECIPE, TOKENIZER, Manifest, weights_file
from ganlm_core.bundle.verify import open_bundle, read_toml
from ganlm_core.system.files import read_json, sha256
from ganlm_core.system.tensors import read_tensors

Pairs = dict[str, tuple[Any, Any]]
"""By dotted key, the values in A and in B, of which one is None where only the other has the key."""


def diff(a: Path, b: Path) -> dict[str, Any]:
    """What differs between the bundles at ``a`` and ``b``, as JSON shows it. Raises WeightsError.

    ``configuration`` and ``evaluation`` are Pairs. ``tensors`` has by network and name the ``norm`` (Euclidean) of the
    difference, and the same ``relative`` to the norm in A, None if that is zero; or a pair of ``shapes``.
    ``tokenizer``: whether it differs.
    """
    (a, first), (b, second) = open_bundle(a), open_bundle(b)
    return {
        "configuration": _pairs(_configuration(a, first), _configuration(b, second)),
        "tokenizer": sha256(a / TOKENIZER) != sha256(b / TOKENIZER),
        "tensors": _compare_tensors(_tensors(a, first), _tensors(b, second)),
        "evaluation": _pairs(_flat(read_json(a / EVALUATION)), _flat(read_json(b / EVALUATION))),
    }


def _pairs(a: Mapping[str, Any], b: Mapping[str, Any]) -> Pairs:
    both = {key: (a.get(key), b.get(key)) for key in sorted(a.keys() | b.keys())}
    return {key: values for key, values in both.items() if values[0] != values[1]}


def _configuration(folder: Path, manifest: Manifest) -> dict[str, Any]:
    """The settings of recipe.toml, and of config.json what these do not say: sizes, and where the parts are from."""
    origins = {f"{kind}.from": str(part.origin) for kind, part in manifest.components.items()}
    sizes = _flat({"shape": manifest.shape, "ganlm_version": manifest.ganlm_version})
    return origins | sizes | _flat(read_toml(folder / RECIPE))


def _flat(table: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    return dict(_leaves(table, above))


def _leaves(table: Mapping[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


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
