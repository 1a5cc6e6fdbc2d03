"""The settings that a plan may vary, by the names of flags or by their places in a configuration.

``seed`` and ``training.seed`` are one setting, and so are ``gen.hidden-size`` and ``generator.hidden_size``.
``generator.lstm.hidden_size`` also chooses the LSTM, and ``reward.regex.weight`` adds the reward ``regex``.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from ganlm_core.bundle.start import START, resolve
from ganlm_core.config.options import TrainingOptions
from ganlm_core.config.run_config import CHOSEN, PREFIXES, Layer, RunConfig, catalog, data_layer, nest
from ganlm_core.errors import OptionError, UnknownName, UsageError
from ganlm_core.plugins.host import Host
from ganlm_core.system.printable import shown

LAYERS = ("recipe", "data", *START)
"""Settings that are neither a section nor an option of one."""

_SECTIONS = {name: section for section, prefix in PREFIXES.items() for name in (section, prefix)} | {"reward": "reward"}
_OPTIMIZER = re.compile(r"(?P<section>optimizer\.\w+)(?:\.(?P<owner>\w+))?\.(?P<option>[\w-]+)")
"""The option of an optimiser without a short prefix, such as ``optimizer.generator_warmup.weight-decay``."""
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_NUMBER = re.compile(r"-?\d+(\.\d+)?(e-?\d+)?")

LONGEST_RANGE = 10_000


class Place(NamedTuple):
    """The place of a setting: an ``option`` of the choice ``owner`` of a section, or the choice itself without one."""

    section: str
    owner: str = ""
    option: str = ""


def place_of(key: str) -> Place:
    """Return the place of a setting. Raises UnknownName, with the nearest setting, if there is none of this name."""
    training = {option.name for option in TrainingOptions.fields()}
    name = key.removeprefix("training.").replace("-", "_")
    if name in training:
        return Place("training", "training", name)
    if key in LAYERS:
        return Place(key)
    for prefix in sorted(_SECTIONS, key=len, reverse=True):
        if key == prefix:
            return Place(_SECTIONS[prefix])
        if key.startswith(f"{prefix}."):
            owner, _, option = key.removeprefix(f"{prefix}.").rpartition(".")
            return Place(_SECTIONS[prefix], owner or CHOSEN, option)
    if optimizer := _OPTIMIZER.fullmatch(key):
        return Place(optimizer["section"], optimizer["owner"] or CHOSEN, optimizer["option"])
    known = [*LAYERS, *PREFIXES.values(), *(option.flag for option in TrainingOptions.fields())]
    hint = "a setting is a flag of 'ganlm run' without its dashes, such as seed or gen.hidden-size"
    raise UnknownName("setting", key, known, hint=hint)


def configured(host: Host, base: Sequence[Layer], settings: Mapping[str, Any]) -> RunConfig:
    """Return the configuration of one run: ``settings`` over the ``base`` layers.

    Raises UsageError and PluginError, as :func:`ganlm_core.config.run_config.resolve` does.
    """
    places = {key: place_of(key) for key in settings}
    start = {START[key]: settings[key] for key in places if key in START}
    rest = {key: place for key, place in places.items() if key not in START}
    chosen = [_layer(host, key, place, settings[key]) for key, place in rest.items() if not place.option]
    options = [_layer(host, key, place, settings[key]) for key, place in rest.items() if place.option]
    return resolve(host, [*base, *chosen, {"start": start}, *options])


def _layer(host: Host, key: str, place: Place, value: Any) -> Layer:
    if isinstance(value, list | dict):
        raise OptionError(f"{key} is {shown(value)}; one value is wanted here")
    if place.option:
        table = {place.option: value}
        return {"training": table} if place.section == "training" else nest({place.section: {place.owner: table}})
    if not isinstance(value, str):
        raise OptionError(f"{key} is {shown(value)}; wanted a name in quotes")
    if place.section == "recipe":
        return {"recipe": value}
    if place.section == "data":
        return data_layer(host, value)
    catalog(host, place.section)
    return nest({place.section: {value: {}}})


def parse(words: Sequence[str]) -> dict[str, str]:
    """Return settings from flags: ``--seed 0..4 --gen.hidden-size=64 --compile --no-prior``.

    Raises UsageError for a word that is no flag, and for a flag that comes twice.
    """
    found: dict[str, str] = {}
    for key, value in _pairs(list(words)):
        if key in found:
            raise UsageError(f"--{key} is there twice; give its values once, comma-separated: --{key} A,B")
        found[key] = value
    return found


def _pairs(words: list[str]) -> Iterator[tuple[str, str]]:
    """Yield settings and their values. A flag without a value is a switch: ``--compile``, ``--no-prior``."""
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            raise UsageError(f"'{word}' is no flag; settings of the runs are flags, such as --seed 0..4")
        key, equals, value = word[2:].partition("=")
        before, dot, last = key.rpartition(".")
        if equals:
            yield key, value
        elif words and not words[0].startswith("--"):
            yield key, words.pop(0)
        elif last.startswith("no-"):
            yield before + dot + last.removeprefix("no-"), "false"
        else:
            yield key, "true"


def values_of(text: str) -> list[str]:
    """Return the values in the text of a flag: comma-separated, and ``0..4`` for 0, 1, 2, 3, 4."""
    return list(chain.from_iterable(map(_spread, _words(text))))


def has_ranges(text: str) -> bool:
    """Return whether a text is of ranges, or of ranges and numbers: ``0..4``, ``0..2,7``."""
    return ".." in text and all(_RANGE.fullmatch(word) or _NUMBER.fullmatch(word) for word in _words(text))


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _spread(word: str) -> list[str]:
    match = _RANGE.fullmatch(word)
    if match is None:
        return [word]
    first, last = map(int, match.groups())
    if last < first:
        raise UsageError(f"{word} is no range; give the first and the last number, such as 0..4")
    if last - first >= LONGEST_RANGE:
        raise UsageError(f"{word} has {last - first + 1:,} values; a range has {LONGEST_RANGE:,} at most")
    return [str(number) for number in range(first, last + 1)]


def label(key: str, value: Any) -> str:
    """Return the part of a run's name that tells one value of a setting: ``seqgan``, ``seed0``, ``hidden-size64``."""
    place = place_of(key)
    if not place.option:
        text = Path(value).stem if place.section == "data" and isinstance(value, str) else str(value)
        text = f"{place.section}-{Path(text).name or 'nothing'}" if place.section in START else text
    else:
        text = f"{place.option.replace('_', '-')}{value}"
    return file_name(text)


def file_name(text: str) -> str:
    """Return text as a part of a file name: letters of ASCII, digits, and ``.``, ``_`` and ``-`` inside."""
    return _UNSAFE.sub("-", text).strip("-.") or "run"


def is_file_name(text: str) -> bool:
    """Return whether text has only the characters of :func:`file_name`, and names a file that is not hidden."""
    return bool(text) and not _UNSAFE.search(text) and not text.startswith(".")
