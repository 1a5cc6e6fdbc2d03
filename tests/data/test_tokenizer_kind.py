"""The kind and the tokens of a tokenizer.json, read without the library."""

import json
from pathlib import Path

import pytest

from ganlm_core.data.options import TOKENIZERS
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.data.tokenizer_kind import contents_of, tokenizer_kind

TEXTS = ["the cat sleeps", "a dog runs"]


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_the_kind_and_the_tokens_are_those_of_the_tokenizer(kind: str, tmp_path: Path) -> None:
    file, tokenizer = tmp_path / "tokenizer.json", Tokenizer.train(kind, TEXTS, 300)
    file.write_text(tokenizer.to_json())
    found = contents_of(file)
    assert found.kind == tokenizer_kind(file) == kind
    assert len(found.tokens) == tokenizer.vocabulary_size and found.tokens[:4] == ["<pad>", "<bos>", "<eos>", "<unk>"]
    assert bool(found.merges) == (kind == "bpe")


def test_a_file_of_anything_else_has_no_tokens(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps({"model": 3, "decoder": []}))
    assert contents_of(tmp_path / "x.json") == ("word", [], None)
