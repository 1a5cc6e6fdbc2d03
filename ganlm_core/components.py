"""The components that a plugin registers: a name, a dotted target and a dataclass of options. It imports no torch.

The fields of an options dataclass are the single source of the command-line flags, the TOML keys, the environment
variables and the documentation. :meth:`Option.convert` converts and checks all of them, numbers by :func:`number`.
"""

import dataclasses
import functools
import math
import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import click

from ganlm_core.errors import OptionError, UnknownName
from ganlm_core.system.printable import shown

Kind = Literal[
    "generator", "discriminator", "algorithm", "loss", "penalty", "estimator", "corpus", "metric", "encoder", "reward"
]
KINDS: tuple[Kind, ...] = typing.get_args(Kind)

AUTO = 0
"""A size of 0 means that the size is taken from the data."""

_TYPES = (bool, int, float, str)


def _range_in_help(kind: click.IntRange | click.FloatRange) -> str:
    """Return what the help says of a range; nothing if it has no bounds."""
    return "" if kind.min is None and kind.max is None else click.types._NumberRangeBase._describe_range(kind)


class _Integer(click.IntRange):
    """An integer of at most 64 bits between bounds."""

    name = "integer"
    _describe_range = _range_in_help

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            converted = int(value)
        except (TypeError, ValueError, OverflowError):
            converted = None
        if converted is None or isinstance(value, bool) or not (isinstance(value, str) or converted == value):
            self.fail(f"{shown(value)} is not a valid integer", param, ctx)
        if not -(2**63) <= converted < 2**63:
            self.fail(f"{shown(value)} does not fit in 64 bits", param, ctx)
        return int(super().convert(converted, param, ctx))


class _Float(click.FloatRange):
    """A finite number between bounds."""

    name = "float"
    _describe_range = _range_in_help

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            converted = None if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            converted = None
        except OverflowError:
            converted = math.inf
        if converted is None:
            self.fail(f"{shown(value)} is not a valid float", param, ctx)
        if not math.isfinite(converted):
            self.fail(f"{shown(value)} is not a finite number", param, ctx)
        return float(super().convert(converted, param, ctx))


def number(type: type, min: float | None = None, max: float | None = None, open: bool = False) -> click.ParamType:
    """Return the click type for every ``int`` or ``float`` that a user gives: by flag, environment, TOML or Python.

    It converts text and numbers. It refuses NaN, infinities, integers of more than 64 bits, fractions and truth values
    for integers, and what is not between ``min`` and ``max``. With ``open``, ``min`` itself is refused too.
    """
    low, high = (bound if bound is None else type(bound) for bound in (min, max))
    kind = _Integer if type is int else _Float
    return kind(low, high, min_open=open)


@dataclass(frozen=True)
class Option:
    """One field of an options dataclass, as the command line and the documentation see it.

    ``open``: ``min`` itself is not allowed.
    """

    name: str
    type: type
    default: Any
    help: str
    min: float | None = None
    max: float | None = None
    choices: tuple[str, ...] = ()
    open: bool = False

    @property
    def flag(self) -> str:
        return self.name.replace("_", "-")

    @property
    def click_type(self) -> click.ParamType:
        """The click type that converts and checks a value."""
        if self.choices:
            return click.Choice(self.choices)
        if self.type in (int, float):
            return number(self.type, self.min, self.max, self.open)
        return click.BOOL if self.type is bool else click.STRING

    def convert(self, value: Any, owner: str) -> Any:
        """Return ``value`` (text, or what TOML, JSON or Python gives) as this option's type.

        Raises OptionError, which names ``owner``.
        """
        said = f"{owner}: {self.flag} is {shown(value)}"
        is_number = hasattr(value, "__float__") and not isinstance(value, bool)
        fits = {bool: isinstance(value, bool), str: False, int: is_number, float: is_number}[self.type]
        lossy = self.type is int and isinstance(value, float) and not value.is_integer()
        if not (fits or isinstance(value, str)) or lossy:
            raise OptionError(f"{said}; wanted a value of type {self.type.__name__}")
        if isinstance(value, str) and "\0" in value:
            raise OptionError(f"{said}; it has a NUL character, which no name of a file can have")
        try:
            return self.click_type.convert(value, None, None)
        except click.BadParameter as error:
            reason = error.message.rstrip(".").replace(repr(value), shown(value))
            raise OptionError(f"{said}; {reason}") from None


def furthest(sizes: Mapping[str, tuple[Any, Any]]) -> str:
    """Return the name of the number that is furthest above its default, as a ratio; "" if none is above it.

    ``sizes`` has the value and the default of each name. A list in text, such as the widths of filters, counts by its
    sum; other values and a change of type do not count.
    """
    ratios = {
        name: _sum(value) / max(_sum(default), 1)
        for name, (value, default) in sizes.items()
        if type(value) is type(default) and _NUMBERS.fullmatch(str(default))
    }
    name = max(ratios, key=lambda name: ratios[name], default="")
    return name if name and ratios[name] > 1 else ""


_NUMBERS = re.compile(r"\d+([ ,]+\d+)*")


def _sum(value: object) -> int:
    return sum(map(int, re.findall(r"\d+", str(value))))


def option(
    default: Any,
    help: str,
    *,
    min: float | None = None,
    max: float | None = None,
    choices: tuple[str, ...] = (),
    open: bool = False,
) -> Any:
    """Declare a field of an :class:`Options` dataclass: its default, one line of help, and bounds or choices.

    With ``open``, ``min`` itself is not allowed.
    """
    metadata = {"help": help, "min": min, "max": max, "choices": choices, "open": open}
    return dataclasses.field(default=default, metadata=metadata)


@typing.dataclass_transform(frozen_default=True, kw_only_default=True)
class Options:
    """Base class of options: a frozen record whose fields are all declared by :func:`option`.

    Field types are ``bool``, ``int``, ``float`` and ``str``, which flags, TOML keys and environment variables can all
    express. Values are checked when an instance is made, wherever they come from. A subclass needs no decorator: it
    becomes a standard dataclass with the methods of this class. ``@dataclass(frozen=True)`` would generate methods for
    it, which adds half a millisecond to every start.
    """

    def __init_subclass__(cls) -> None:
        for base in cls.__bases__:
            _complete(base)  # otherwise a decorator on cls would silently leave out the fields of the base

    def __init__(self, **values: Any) -> None:
        for spec in self.fields():
            object.__setattr__(self, spec.name, values.pop(spec.name, spec.default))
        if values:
            raise TypeError(f"{type(self).__name__} has no option {', '.join(map(repr, values))}")
        self.__post_init__()

    def __post_init__(self) -> None:
        for spec in self.fields():
            value = spec.convert(getattr(self, spec.name), type(self).__name__)
            object.__setattr__(self, spec.name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")

    def __repr__(self) -> str:
        values = (f"{name}={value!r}" for name, value in self.as_dict().items())
        return f"{type(self).__qualname__}({', '.join(values)})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *vars(self).values()))

    @classmethod
    @functools.cache
    def fields(cls) -> tuple[Option, ...]:
        """Return the options in the order of their declaration. Raises TypeError for a field that is no option."""
        _complete(cls)
        hints = typing.get_type_hints(cls)
        specs = []
        for field in dataclasses.fields(cls) if cls is not Options else ():  # type: ignore[arg-type]
            if "help" not in field.metadata:
                raise TypeError(f"{cls.__name__}.{field.name} has no help; declare it with option(default, help)")
            if hints[field.name] not in _TYPES:
                wanted = ", ".join(known.__name__ for known in _TYPES)
                raise TypeError(f"{cls.__name__}.{field.name} is {hints[field.name]}; an option is one of {wanted}")
            specs.append(Option(field.name, hints[field.name], field.default, **field.metadata))
        return tuple(specs)

    @classmethod
    def field(cls, name: str, owner: str) -> Option:
        """Return the option of this name, in Python's or the command line's spelling.

        Raises UnknownName, which names ``owner``.
        """
        flags = {spec.flag: spec for spec in cls.fields()}
        flag = name.replace("_", "-")
        if flag not in flags:
            raise UnknownName(f"{owner} option", flag, flags, hint=f"it takes {', '.join(flags) or 'no options'}")
        return flags[flag]

    @classmethod
    def of(cls, values: Mapping[str, Any], owner: str) -> Self:
        """Return an instance from TOML keys or flags. Raises UnknownName or OptionError, which name ``owner``."""
        specs = [(cls.field(name, owner), value) for name, value in values.items()]
        converted = {spec.name: spec.convert(value, owner) for spec, value in specs}
        try:
            return cls(**converted)
        except OptionError as error:  # values that do not fit together
            raise OptionError(f"{owner}: {error}") from None

    def as_dict(self) -> dict[str, Any]:
        return {spec.name: getattr(self, spec.name) for spec in self.fields()}


def _complete(options: type) -> None:
    """Make a class of options a dataclass, unless a decorator has done so."""
    if issubclass(options, Options) and options is not Options and "__dataclass_fields__" not in vars(options):
        options.__doc__ = options.__doc__ or options.__name__  # else dataclass asks inspect for a signature
        dataclass(init=False, repr=False, eq=False)(options)


class NoOptions(Options):
    """For components without options."""


class RewardOptions(Options):
    """Options of every reward; a run may have several."""

    weight: float = option(1.0, "weight among the rewards of the run", min=0)


class LanguageModelOptions(Options):
    """Options of a discriminator that is a language model, beside those of its network."""

    models: int = option(1, "language models, whose mean probability of each word is taken", min=1)


@dataclass(frozen=True)
class Measure:
    """Describe one of the numbers that a metric returns, for tables and comparisons.

    name    its key in ``evaluation.json``
    title   the title of its column
    better  whether higher or lower is better; empty if neither is
    sees    what it measures: the quality of single sentences, the diversity of all sentences, or both. A model with
            better quality than real text has collapsed to a mode of it.
    share   whether it is a number from 0 to 1 that is shown in per cent
    """

    name: str
    title: str
    better: Literal["higher", "lower", ""] = ""
    sees: Literal["quality", "diversity", "both", ""] = ""
    share: bool = False


WHEN = ("run", "eval", "asked")


@dataclass(frozen=True)
class ComponentSpec:
    """One component as data. Its target is imported only when the component is built.

    kind     one of KINDS
    name     the name that users type: lower-case letters, digits and hyphens
    target   ``package.module:attribute``, called with the keyword arguments that its kind has in
             :mod:`ganlm_core.protocol`
    options  its class of options
    summary  one line for ``ganlm list``
    source   the paper, with the equation or algorithm
    recipe   generators only: the recipe that trains it if the user chooses none
    measures metrics only: the numbers that it returns; a number that is not declared is shown under its own name
    when     metrics only: ``run``, at the end of every run and in ``ganlm eval``; ``eval``, in ``ganlm eval`` only;
             ``asked``, only if it is named
    exceptions  checks of :mod:`ganlm_core.testing` that it cannot pass, by name, each with the reason
    """

    kind: Kind
    name: str
    target: str
    options: type[Options] = NoOptions
    summary: str = ""
    source: str = ""
    recipe: str = ""
    measures: tuple[Measure, ...] = ()
    when: Literal["run", "eval", "asked"] = "run"
    exceptions: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)


def check_spec(spec: object) -> ComponentSpec:
    """Return ``spec`` if it is well formed. Raises TypeError or ValueError that say what its author should change."""
    if not isinstance(spec, ComponentSpec):
        raise TypeError(f"ganlm_components gave {spec!r}; yield ComponentSpec objects")
    where = f"component {spec.kind!r} {spec.name!r}"
    if spec.kind not in KINDS:
        raise ValueError(f"{where}: unknown kind; the kinds are {', '.join(KINDS)}")
    check_name(where, spec.name)
    check_target(where, spec.target)
    if not (isinstance(spec.options, type) and issubclass(spec.options, Options)):
        raise TypeError(f"{where}: options is {spec.options!r}; give a dataclass derived from Options")
    if spec.kind == "reward" and not issubclass(spec.options, RewardOptions):
        raise TypeError(f"{where}: options is {spec.options!r}; derive the options of a reward from RewardOptions")
    if not all(isinstance(text, str) for text in (spec.summary, spec.source, spec.recipe)):
        raise TypeError(f"{where}: summary, source and recipe are text")
    _check_measures(where, spec.measures)
    if spec.when not in WHEN:
        raise ValueError(f"{where}: when is {spec.when!r}; it is one of {', '.join(WHEN)}")
    texts = [*spec.exceptions, *spec.exceptions.values()] if isinstance(spec.exceptions, Mapping) else [None]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError(f"{where}: exceptions is {spec.exceptions!r}; give a dict: name of a check -> reason")
    _check_options(where, spec.options)
    return spec


def _check_measures(where: str, measures: Any) -> None:
    if not (isinstance(measures, tuple | list) and all(isinstance(measure, Measure) for measure in measures)):
        raise TypeError(f"{where}: measures is {measures!r}; give a tuple of Measure objects")
    for measure in measures:
        if not all(isinstance(text, str) and text for text in (measure.name, measure.title)):
            raise TypeError(
                f"{where}: the name of a measure is {measure.name!r} and its title {measure.title!r}; give texts"
            )
        if measure.better not in ("higher", "lower", ""):
            raise ValueError(
                f"{where}: better is {measure.better!r} in measure {measure.name}; it is higher, lower or ''"
            )
    if len({measure.name for measure in measures}) < len(measures):
        raise ValueError(f"{where}: two measures have one name; give each its own")


def _check_options(where: str, options: type[Options]) -> None:
    """Check the names, defaults and choices of options."""
    _complete(options)
    if options.__hash__ is None:
        raise TypeError(f"{where}: {options.__name__} is not frozen; leave out @dataclass, or write frozen=True")
    names = options.__dataclass_fields__ if options is not Options else {}  # type: ignore[attr-defined]
    for name in names:
        if hasattr(Options, name) or not is_name(name.replace("_", "-")):
            raise ValueError(
                f"{where}: the option {name!r} needs another name, of lower-case letters, digits and underscores, "
                "a letter first; Options has methods named as_dict, field, fields and of"
            )
    try:
        options.fields()
    except TypeError as error:
        raise TypeError(f"{where}: {error}") from error
    for option in options.fields():
        if not isinstance(option.help, str):
            raise TypeError(f"{where}: the help of {option.flag} is {option.help!r}; give one line of text")
        are_texts = isinstance(option.choices, tuple | list) and {type(choice) for choice in option.choices} <= {str}
        if not are_texts or (option.choices and option.type is not str):
            raise TypeError(
                f"{where}: the choices of {option.flag} are {option.choices!r}; give a tuple of texts to a str"
            )
        if option.type is bool and f"no_{option.name}" in names:
            raise ValueError(f"{where}: no-{option.flag} is the flag that turns {option.flag} off; rename the option")
        try:
            option.convert(option.default, where)
        except OptionError as error:
            raise ValueError(f"{error}; choose a default that fits") from error


def check_name(where: str, name: object) -> None:
    """Raise ValueError, which begins with ``where``, for a name that no component or command can have."""
    if not isinstance(name, str) or not is_name(name):
        raise ValueError(f"{where}: a name has lower-case letters, digits and hyphens, and starts with a letter")


def check_target(where: str, target: object) -> None:
    """Raise ValueError, which begins with ``where``, for text that is no dotted target."""
    module, _, attribute = target.partition(":") if isinstance(target, str) else ("", "", "")
    if not module or not attribute.isidentifier():
        raise ValueError(f"{where}: the target {target!r} is not 'package.module:attribute'")


def is_name(text: str) -> bool:
    """Return whether a name has lower-case letters, digits and hyphens only, a letter first and no hyphen last."""
    plain = text.replace("-", "")
    return plain.isalnum() and plain.isascii() and text == text.lower() and text[0].isalpha() and text[-1] != "-"
