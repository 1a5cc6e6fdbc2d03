"""The kind and the tokens of a ``tokenizer.json``, read without the library and without torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ganlm_core.data.text import SMILES
from ganlm_core.system.files import read_json


class Contents(NamedTuple):
    """The kind of a tokenizer, its tokens by their ids, and its merges."""

    kind: str
    tokens: list[str]
    merges: Any


def tokenizer_kind(path: Path) -> str:
    """Return whether a file has a tokenizer of words, characters, byte pairs or molecules."""
    return _kind(read_json(path))


def contents_of(path: Path) -> Contents:
    """Return what decides whether two tokenizers are the same."""
    content = read_json(path)
    model = _part(content, "model")
    vocabulary = _part(model, "vocab")
    tokens = sorted(vocabulary, key=lambda word: str(vocabulary[word]).zfill(20))
    return Contents(_kind(content), tokens, model.get("merges"))


def _kind(content: Mapping[str, Any]) -> str:
    if _part(content, "model").get("type") == "BPE":
        return "bpe"
    if _part(content, "decoder").get("type") != "Fuse":
        return "word"
    return "smiles" if _part(content, "pre_tokenizer").get("pattern") == {"Regex": SMILES} else "char"


def _part(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = content.get(name)
    return part if isinstance(part, Mapping) else {}
