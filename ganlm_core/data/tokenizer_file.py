"""Check an untrusted ``tokenizer.json`` before the library reads it.

The library trusts its files: some files make it panic, abort the process, or need unlimited time for a sentence. So
only the vocabulary and the merges are taken from a file, and all other fields must be as ganlm writes them.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ganlm_core.errors import Unreadable
from ganlm_core.protocol import BOS, EOS, PAD, SPECIAL_TOKENS, UNK
from ganlm_core.system.printable import shown

Settings = Mapping[str, Any]
"""The content of a ``tokenizer.json``, in which the fields of FREE have no meaning."""

FREE = {"vocab", "merges"}
"""Fields of the model that differ between tokenizers of one kind."""


def checked(text: str, known: Sequence[Settings]) -> str:
    """Return a ``tokenizer.json`` with the vocabulary and the merges of ``text``, and the settings of one of ``known``.

    A field that is missing in ``text`` has its known value, because later versions of the library write more fields.
    Raises Unreadable if the ids are not 0 to V - 1 with the special tokens first, if the settings are not known, or
    if a merge has or makes a token that is not in the vocabulary.
    """
    content = _read(text)
    vocabulary = _vocabulary(content["model"].get("vocab"))
    settings = next((each for each in known if _agrees(content, each)), None)
    if settings is None:
        raise Unreadable("the tokenizer has settings that none of word, char, bpe and smiles has")
    model = settings["model"] | {"vocab": vocabulary}
    if "merges" in model:
        model["merges"] = content["model"].get("merges")
        _check_merges(model["merges"], vocabulary)
    return json.dumps({**settings, "model": model})


def _read(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _wrong_format(shown(str(error))) from None
    if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
        raise _wrong_format("it has no object 'model'")
    return content


def _wrong_format(reason: str) -> Unreadable:
    return Unreadable(f"not a tokenizer in the Hugging Face format ({reason})")


def _agrees(content: Settings, settings: Settings) -> bool:
    """Return whether the content has only known fields, with the values of the settings unless they are free."""
    pairs = [(content[name], settings.get(name, ...)) for name in content if name != "model"]
    model = settings["model"]
    pairs += [(value, model.get(name, ...)) for name, value in content["model"].items() if name not in FREE]
    return content["model"].keys() & FREE <= model.keys() and all(found == wanted for found, wanted in pairs)


def _vocabulary(vocabulary: Any) -> dict[str, int]:
    if not isinstance(vocabulary, dict) or not all(type(number) is int for number in vocabulary.values()):
        raise _wrong_format("its vocabulary is not an object of integers")
    ids = [vocabulary.get(token) for token in SPECIAL_TOKENS]
    if ids != [PAD, BOS, EOS, UNK]:
        names = ", ".join(SPECIAL_TOKENS)
        raise Unreadable(f"the tokenizer has the ids {ids} for {names}; wanted 0, 1, 2, 3")
    if sorted(vocabulary.values()) != list(range(size := len(vocabulary))):
        raise Unreadable(f"the tokenizer has {size} tokens, but not the ids 0 to {size - 1}")
    return vocabulary


def _check_merges(merges: Any, vocabulary: Mapping[str, int]) -> None:
    if not isinstance(merges, list):
        raise _wrong_format("its merges are not a list")
    for number, merge in enumerate(merges):
        if not _is_merge(merge, vocabulary):
            raise Unreadable(f"merge {number} of the tokenizer is not of tokens in its vocabulary")


def _is_merge(merge: Any, vocabulary: Mapping[str, int]) -> bool:
    if not isinstance(merge, list) or len(merge) != 2 or not all(isinstance(part, str) and part for part in merge):
        return False
    return all(token in vocabulary for token in (*merge, "".join(merge)))
