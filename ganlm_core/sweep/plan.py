"""The plan of a sweep: every run with its configuration, resolved and checked before anything trains.

A plan is a TOML file. Its tables are those of a run's configuration and hold for all runs; ``[sweep]`` varies them::

    [training]
    steps = 60

    [sweep]
    threads = 1                              # of each run; its bytes depend on them
    data = "captions.txt"                    # one value, or a list
    recipe = ["mle", "seqgan", "relgan"]     # lists are combined: every recipe with every seed
    seed = "0..4"                            # a range, or a list

    [sweep.zip]                              # these lists are paired
    batch-size = [32, 64]
    "gen-optimizer.lr" = [0.001, 0.002]

    [sweep.variants.small]                   # named variants, each with one value for each setting
    "gen.hidden-size" = 32

    [[sweep.exclude]]                        # leaves out the runs with all of these settings
    recipe = "mle"
    variant = "small"

    [sweep.cluster]                          # for --scheduler slurm, pbs or sge: the arguments of dask-jobqueue
    queue = "short"

Settings have the names of flags or their places in a configuration (:mod:`ganlm_core.sweep.settings`).
"""

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganlm_core.components import number
from ganlm_core.config.run_config import Layer, RunConfig, read_layer
from ganlm_core.errors import GanlmError, OptionError, UnknownName, UsageError, reworded
from ganlm_core.plugins.host import Host
from ganlm_core.sweep import settings
from ganlm_core.system.printable import printable, shown
from ganlm_core.system.toml import flat

Settings = Mapping[str, Any]

MOST_RUNS = 10_000
"""Runs of one plan: a typing error in a range must not fill the disk."""

VARIANT = "variant"
"""The key that holds the name of a variant."""

_TABLES = ("zip", "variants", "cluster")
_EXCLUDE = "exclude"
_THREADS = number(int, min=1)

TAKEN = ("configs", "logs", "sweep.json", "search.log", "search.html", "search.json")
"""Names in the folder of a sweep that no run can have."""


@dataclass(frozen=True)
class PlannedRun:
    """A run: the name of its folder, the ``settings`` by which it differs from others, its configuration."""

    name: str
    settings: Settings
    config: RunConfig


@dataclass(frozen=True)
class Plan:
    """All runs. ``threads`` is of each run; ``cluster`` has arguments for a job queue."""

    runs: Sequence[PlannedRun]
    threads: int = 1
    cluster: Mapping[str, Any] = field(default_factory=dict)


def read_plan(host: Host, path: Path, given: Mapping[str, Sequence[Any]], threads: int | None = None) -> Plan:
    """Read a plan. ``given`` has values by setting, from flags, which replace the values of the file.

    Raises UsageError, UnknownName, OptionError and PluginError that name the impossible run.
    """
    layer = read_layer(path)
    table = layer.pop("sweep", {})
    _check_base(layer)
    if not isinstance(table, Mapping):
        raise OptionError(f"sweep is {shown(table)}; wanted a table: [sweep]")
    return make_plan(host, [layer], table, given, threads)


def make_plan(
    host: Host,
    base: Sequence[Layer],
    table: Mapping[str, Any],
    given: Mapping[str, Sequence[Any]] | None = None,
    threads: int | None = None,
) -> Plan:
    """Make a plan from the content of ``[sweep]`` over ``base`` layers. Raises the errors of :func:`read_plan`."""
    zipped, variants, cluster = (_subtable(table, key) for key in _TABLES)
    varied = {key: _values(key, value) for key, value in _flat(table, (*_TABLES, _EXCLUDE, "threads"))}
    varied |= {key: _values(key, value) for key, value in (given or {}).items()}
    axes = [[{key: value} for value in values] for key, values in varied.items()]
    axes += [_zipped(zipped)] if zipped else []
    axes += [_variants(variants)] if variants else []
    count = 1
    for axis in axes:
        count *= len(axis)
    if count > MOST_RUNS:
        raise UsageError(f"the plan has {count:,} runs, more than the {MOST_RUNS:,} allowed; shorten its lists")
    products = [_merged(parts) for parts in itertools.product(*axes)]
    combined = _without(table.get(_EXCLUDE, []), products, variants, bool(given))
    runs = [_planned(host, base, each, name) for each, name in zip(combined, _names(combined), strict=True)]
    _refuse_equal(runs)
    own = threads or table.get("threads", 1)
    return Plan(_with_differences(runs), _one_number("threads", own), cluster)


def named_plan(host: Host, runs: Mapping[str, Sequence[str]], threads: int = 1) -> Plan:
    """Make a plan of runs by name, each with the flags of its settings. Raises the errors of :func:`read_plan`."""
    return Plan([_planned(host, [], settings.parse(words), name) for name, words in runs.items()], threads)


def _check_base(layer: Layer, place: str = "") -> None:
    """Raise OptionError for a list outside of ``[sweep]``, where every option has one value."""
    for key, value in layer.items():
        name = f"{place}.{key}" if place else key
        if isinstance(value, Mapping):
            _check_base(value, name)
        elif isinstance(value, list):
            raise OptionError(f"{name} is {shown(value)}; one value is wanted here, and lists go under [sweep]")


def _subtable(table: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = table.get(key, {})
    if not isinstance(value, Mapping):
        raise OptionError(f"sweep.{key} is {shown(value)}; wanted a table: [sweep.{key}]")
    return dict(value)


def _flat(table: Mapping[str, Any], left_out: Sequence[str] = ()) -> Iterator[tuple[str, Any]]:
    """Yield settings with dotted keys: ``gen.hidden-size`` without quotes is a table in a table."""
    for name, value in flat({key: value for key, value in table.items() if key not in left_out}):
        settings.place_of(name)
        yield name, value


def _values(key: str, value: Any) -> list[Any]:
    """Return the values of a setting: of a list, of a text with ranges, or the one value."""
    settings.place_of(key)
    if isinstance(value, str) and settings.has_ranges(value):
        value = settings.values_of(value)
    values = list(value) if isinstance(value, list | tuple) else [value]
    if not values:
        raise OptionError(f"{key} has no values; give one or more")
    if nested := [each for each in values if isinstance(each, list | dict)]:
        raise OptionError(f"{key} has {shown(nested[0])} among its values; each must be one value")
    return values


def _zipped(table: Mapping[str, Any]) -> list[dict[str, Any]]:
    lists = {key: _values(key, value) for key, value in _flat(table)}
    lengths = {key: len(values) for key, values in lists.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{key} has {length}" for key, length in lengths.items())
        raise OptionError(f"the lists of [sweep.zip] must be equally long ({told})")
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def _variants(table: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for name, own in table.items():
        if not isinstance(own, Mapping):
            raise OptionError(f"sweep.variants.{name} is {shown(own)}; wanted a table: [sweep.variants.{name}]")
        values = dict(_flat(own))
        for key, value in values.items():
            if isinstance(value, list):
                raise OptionError(f"{key} of variant '{name}' is {shown(value)}; one value is wanted here")
        found.append({VARIANT: name, **values})
    return found


def _merged(parts: Sequence[Settings]) -> dict[str, Any]:
    """Return the settings of one run. Raises UsageError for one that two lists set."""
    found: dict[str, Any] = {}
    for part in parts:
        for key in part:
            if key in found:
                raise UsageError(f"{key} is in two lists of the plan; keep one of them")
        found |= part
    return found


def _without(excluded: Any, combined: Sequence[Settings], variants: Collection[str], narrowed: bool) -> list[Settings]:
    """Return the runs that have not all settings of an exclusion.

    Raises OptionError for an exclusion of no run, which flags allow if they have ``narrowed`` the plan.
    """
    if not (isinstance(excluded, list) and all(isinstance(each, Mapping) for each in excluded)):
        raise OptionError(f"sweep.{_EXCLUDE} is {shown(excluded)}; wanted tables: [[sweep.{_EXCLUDE}]]")
    runs = [(run, _meaning(run)) for run in combined]
    left = runs
    for own in excluded:
        wanted = dict(_flat(own, (VARIANT,)))
        if VARIANT in own:
            wanted[VARIANT] = own[VARIANT]
        if several := [key for key, value in wanted.items() if isinstance(value, list)]:
            raise OptionError(
                f"{several[0]} of sweep.{_EXCLUDE} is {shown(wanted[several[0]])}; one value is wanted here"
            )
        meant = _meaning(wanted).items()
        matches = any(meant <= meaning.items() for _, meaning in runs)
        if not (matches or (narrowed and wanted.get(VARIANT) in {None, *variants})):
            told = ", ".join(f"{key} {value}" for key, value in wanted.items())
            raise OptionError(
                f"sweep.{_EXCLUDE} has {told}, and no run has that; write each setting as in the lists, with one value"
            )
        left = [(run, meaning) for run, meaning in left if not meant <= meaning.items()]
    if not left:
        raise OptionError(f"sweep.{_EXCLUDE} leaves no run; take one of its tables out")
    return [run for run, _ in left]


def _meaning(own: Settings) -> dict[Any, Any]:
    """Return settings by place, with equal values for ``"1e-3"`` and ``0.001``, and for ``"true"`` and ``True``."""
    found: dict[Any, Any] = {}
    for key, value in own.items():
        place: Any = key
        if key != VARIANT:
            place = settings.place_of(key)
            place = place._replace(option=place.option.replace("-", "_"))
        text = str(value).lower() if isinstance(value, bool) else str(value)
        try:
            found[place] = float(text)
        except ValueError:
            found[place] = text
    return found


def _planned(host: Host, base: Sequence[Layer], own: Settings, name: str) -> PlannedRun:
    values = {key: value for key, value in own.items() if key != VARIANT}
    try:
        return PlannedRun(name, own, settings.configured(host, base, values))
    except UnknownName:
        raise
    except GanlmError as error:
        raise reworded(error, f"run {name}: {error}") from error


def _names(combined: Sequence[Settings]) -> list[str]:
    """Return a name for each run from the settings that differ, in the order of the plan."""
    keys = _differing(combined)
    return run_names(
        "-".join(
            settings.file_name(str(own[key])) if key == VARIANT else settings.label(key, own[key])
            for key in keys
            if key in own
        )
        for own in combined
    )


def run_names(wanted: Iterable[str]) -> list[str]:
    """Return the names of runs, each with a number if another run or a file of the sweep has its name."""
    names = dict.fromkeys(TAKEN)
    for text in wanted:
        name = printable(text)[:100] or "run"
        numbered = (f"{name}-{number}" for number in itertools.count(1))
        names[next(each for each in itertools.chain([name], numbered) if each not in names)] = None
    return list(names)[len(TAKEN) :]


def _differing(combined: Sequence[Settings]) -> list[str]:
    """Return the keys whose values differ. The settings of a variant are told by its name."""
    keys = dict.fromkeys(key for own in combined for key in own)
    found = [key for key in keys if len({str(own.get(key)) for own in combined}) > 1]
    if VARIANT in found:
        inside = {key for own in combined for key in list(own)[list(own).index(VARIANT) + 1 :]}
        found = [key for key in found if key not in inside]
    return found


def _with_differences(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    keys = _differing([run.settings for run in runs])
    return [
        PlannedRun(run.name, {key: run.settings[key] for key in keys if key in run.settings}, run.config)
        for run in runs
    ]


def _refuse_equal(runs: Sequence[PlannedRun]) -> None:
    """Raise UsageError for two runs of one configuration: each would be counted as a repetition of the other."""
    seen: dict[str, str] = {}
    for run in runs:
        content = run.config.to_dict() | {"recipe": ""}
        other = seen.setdefault(repr(content), run.name)
        if other != run.name:
            told = ", ".join(f"{key} {value}" for key, value in run.settings.items()) or "no settings"
            raise UsageError(
                f"{other} and {run.name} are the same run ({told}); take one out of the plan, or vary the seed"
            )


def _one_number(key: str, value: Any) -> int:
    if isinstance(value, list | dict | bool):
        raise OptionError(f"{key} is {shown(value)}; one number is wanted here")
    import click

    try:
        return int(_THREADS.convert(value, None, None))
    except click.BadParameter as error:
        raise OptionError(f"{key} is {shown(value)}; {error.message.rstrip('.')}") from None
