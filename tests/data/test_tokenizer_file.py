"""Untrusted tokenizer.json files, and files of earlier versions."""

import json
import random
from typing import Any

import pytest

from ganlm_core.data.options import TOKENIZERS
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.errors import WeightsError
from ganlm_core.protocol import EOS, PAD

TEXTS = ["the dog sees the cat .", "naïve café .", "low lower lowest"]
SETTINGS = "the tokenizer has settings that none of word, char, bpe and smiles has; fetch or export it again"


def content_of(kind: str) -> dict[str, Any]:
    content = json.loads(Tokenizer.train(kind, TEXTS, 100).to_json())
    assert isinstance(content, dict)
    return content


def refusal(content: Any) -> str:
    with pytest.raises(WeightsError) as caught:
        Tokenizer.from_json(content if isinstance(content, str) else json.dumps(content))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("text", ["", "{}", "[1]", "words\nand words", "[" * 100_000, '{"model": []}'])
def test_a_file_that_is_not_a_tokenizer_is_refused(text: str) -> None:
    with pytest.raises(WeightsError) as caught:
        Tokenizer.from_json(text)
    message = str(caught.value)
    assert message.startswith("not a tokenizer in the Hugging Face format (")
    assert message.endswith("); fetch or export it again")
    assert "\n" not in message


def test_a_tokenizer_with_other_ids_is_refused() -> None:
    content = content_of("word")
    ids = content["model"]["vocab"]
    ids["<pad>"], ids["<eos>"] = ids["<eos>"], ids["<pad>"]
    assert refusal(content) == (
        "the tokenizer has the ids [2, 1, 0, 3] for <pad>, <bos>, <eos>, <unk>; wanted 0, 1, 2, 3;"
        " fetch or export it again"
    )
    ids["<pad>"], ids["<eos>"], ids["the"] = PAD, EOS, 99
    size = len(ids)
    wanted = f"the tokenizer has {size} tokens, but not the ids 0 to {size - 1}; fetch or export it again"
    assert refusal(content) == wanted
    for wrong in (True, -1, 4.0, "4", None, 2**40):
        assert "; fetch or export it again" in refusal(
            content | {"model": content["model"] | {"vocab": ids | {"the": wrong}}}
        )


def changed(content: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy in which the field at a path of names with dots has the value."""
    copy = json.loads(json.dumps(content))
    *names, last = path.split(".")
    place = copy
    for name in names:
        place = place[int(name) if isinstance(place, list) else name]
    place[last] = value
    return copy


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model.continuing_subword_prefix", "#"),
        ("model.end_of_word_suffix", "</w>"),
        ("model.dropout", 0.5),
        ("model.unk_token", "the"),
        ("model.byte_fallback", True),
        ("model.type", "Unigram"),
        ("model.max_input_chars_per_word", 1),
        ("model.unknown", None),
        ("normalizer", {"type": "Replace", "pattern": {"Regex": "(a*)*b"}, "content": "x"}),
        ("normalizer", {"type": "NFD"}),
        ("pre_tokenizer", None),
        ("pre_tokenizer", {"type": "FixedLength", "length": 0}),
        ("post_processor", {"type": "BertProcessing", "sep": ["a", 1], "cls": ["b", 2]}),
        ("decoder", {"type": "Strip", "content": "a", "start": 10**9, "stop": 10**9}),
        ("truncation", {"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 0}),
        ("padding", {"strategy": {"Fixed": 10**9}, "direction": "Right", "pad_id": 0, "pad_type_id": 0}),
        ("added_tokens", []),
        ("added_tokens.0.normalized", True),
        ("added_tokens.3.content", "the"),
        ("version", "2.0"),
        ("unknown", {}),
    ],
)
@pytest.mark.parametrize("kind", TOKENIZERS)
def test_only_vocabulary_and_merges_may_differ(kind: str, path: str, value: Any) -> None:
    assert refusal(changed(content_of(kind), path, value)) == SETTINGS


@pytest.mark.parametrize(
    "merge", [[" ", " "], ["l", ""], ["", ""], ["l"], ["l", "o", "w"], "l o", None, [1, 2], ["l", "zz"], ["t", "t"]]
)
def test_a_merge_of_unknown_tokens_is_refused(merge: Any) -> None:
    """With a prefix of subwords, a merge of two spaces aborts the process in the library."""
    content = content_of("bpe")
    content["model"]["merges"].append(merge)
    number = len(content["model"]["merges"]) - 1
    assert refusal(content) == (
        f"merge {number} of the tokenizer is not of tokens in its vocabulary; fetch or export it again"
    )
    content["model"]["continuing_subword_prefix"] = "#"
    assert refusal(content) == SETTINGS
    content["model"]["merges"] = merge
    assert refusal(content | {"model": content["model"] | {"continuing_subword_prefix": None}}).startswith(
        "not a tokenizer in the Hugging Face format (its merges are not a list)"
        if not isinstance(merge, list)
        else "merge 0 of the tokenizer is not of tokens"
    )


def test_a_field_that_is_given_twice_is_not_seen_by_the_library() -> None:
    """Python takes the last of two; the library would keep the first where the last is null."""
    text = json.dumps(content_of("bpe"))
    twice = text.replace(
        '"continuing_subword_prefix": null', '"continuing_subword_prefix": "#", "continuing_subword_prefix": null'
    )
    assert twice != text
    assert Tokenizer.from_json(twice).to_json() == Tokenizer.from_json(text).to_json()


@pytest.mark.parametrize("kind", ["word", "char", "bpe"])
def test_tokenizers_of_earlier_versions_keep_their_behaviour(kind: str) -> None:
    """They normalised nothing, and words were not separated by U+001C to U+001F."""
    content = content_of(kind) | {"normalizer": None}
    if kind == "word":
        content["pre_tokenizer"] = {"type": "WhitespaceSplit"}
    for name in ("ignore_merges", "byte_fallback"):  # which later versions of the library write
        content["model"].pop(name, None)
    before = Tokenizer.from_json(json.dumps(content))
    again = json.loads(before.to_json())
    assert (again["normalizer"], again["pre_tokenizer"]) == (None, content["pre_tokenizer"])
    now = Tokenizer.train(kind, TEXTS, 100)
    assert before.encode(TEXTS, 32)[0].equal(now.encode(TEXTS, 32)[0])
    assert not before.encode(["nai\u0308ve"], 32)[0].equal(now.encode(["nai\u0308ve"], 32)[0])
    if kind == "word":
        assert (before.lengths(["the\x1fdog"]), now.lengths(["the\x1fdog"])) == ([2], [3])


VALUES = [None, True, 0, -1, 2**63, 1e308, "", "#", "<unk>", "\ud800", "\0", [], {}, [[]], {"type": "BPE"}]


def mutated(content: Any, rng: random.Random) -> Any:
    """Return the content with one value at a random place replaced, removed or repeated."""
    if isinstance(content, dict | list) and content and rng.random() < 0.8:
        places = list(content) if isinstance(content, dict) else list(range(len(content)))
        place, copy = rng.choice(places), content.copy()
        if rng.random() < 0.1:
            del copy[place]
        else:
            copy[place] = mutated(copy[place], rng)
        return copy
    return rng.choice(VALUES)


def test_a_changed_file_is_refused_or_encodes() -> None:
    """No panic and no abort of the library: 600 files with one or two fields changed."""
    rng, refused = random.Random(0), 0
    contents = [content_of(kind) for kind in TOKENIZERS]
    for _ in range(600):
        content = rng.choice(contents)
        for _ in range(rng.choice((1, 2))):
            content = mutated(content, rng)
        try:
            tokenizer = Tokenizer.from_json(json.dumps(content))
        except WeightsError as error:
            refused += 1
            assert str(error).endswith("; fetch or export it again")
        else:
            ids, _ = tokenizer.encode([*TEXTS, "", "\0\ufeff 日本"], 16)
            assert 0 <= ids.min() <= ids.max() < tokenizer.vocabulary_size
            assert len(tokenizer.decode(ids)) == len(ids)
    assert 300 < refused < 600
