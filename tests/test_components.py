"""Options and component specs: conversion, bounds, and messages that say what to change."""

import builtins
import copy
from dataclasses import FrozenInstanceError, asdict, dataclass, fields, replace
from datetime import date
from typing import Any

import click
import numpy as np
import pytest

from ganlm_core.components import ComponentSpec, Measure, Options, check_spec, furthest, number, option
from ganlm_core.data.options import FileOptions
from ganlm_core.errors import OptionError, UnknownName


class Everything(Options):
    size: int = option(4, "a whole number", min=1, max=9)
    rate: float = option(0.5, "a number", min=0)
    free: float = option(0.5, "a number without bounds")
    many: int = option(0, "a whole number without bounds")
    share: float = option(1, "a number above its bound", min=0, max=1, open=True)
    bias: bool = option(False, "a switch")
    kind_of: str = option("a", "a choice", choices=("a", "b"))
    path: str = option("", "any text")


@pytest.mark.parametrize(
    ("name", "given", "wanted"),
    [
        ("size", "7", 7),
        ("size", 7.0, 7),
        ("rate", 1, 1.0),
        ("rate", "1e-3", 0.001),
        ("many", 2**63 - 1, 2**63 - 1),
        ("many", np.int64(3), 3),
        ("free", np.float32(0.5), 0.5),
        ("bias", "yes", True),
        ("bias", False, False),
        ("kind_of", "b", "b"),
        ("path", "x y", "x y"),
    ],
)
def test_text_and_toml_values_become_the_type_of_the_option(name: str, given: Any, wanted: Any) -> None:
    value = getattr(Everything.of({name: given}, "x"), name)
    assert value == wanted
    assert type(value) is type(wanted)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("size", 0, "thing: size is 0; 0 is not in the range 1<=x<=9"),
        ("size", "ten", "thing: size is 'ten'; 'ten' is not a valid integer"),
        ("size", 1.5, "thing: size is 1.5; wanted a value of type int"),
        ("size", True, "thing: size is True; wanted a value of type int"),
        ("size", [1], "thing: size is [1]; wanted a value of type int"),
        ("size", date(1979, 5, 27), "thing: size is datetime.date(1979, 5, 27); wanted a value of type int"),
        ("size", None, "thing: size is None; wanted a value of type int"),
        ("rate", -1, "thing: rate is -1; -1.0 is not in the range x>=0"),
        ("rate", float("nan"), "thing: rate is nan; nan is not a finite number"),
        ("free", "inf", "thing: free is 'inf'; 'inf' is not a finite number"),
        ("free", 10**400, f"thing: free is {10**17}...{'0' * 19}; {10**17}...{'0' * 19} is not a finite number"),
        ("many", 2**63, "thing: many is 9223372036854775808; 9223372036854775808 does not fit in 64 bits"),
        ("many", "-9223372036854775809", "thing: many is '-9223372036854775809'; '-9223372036854775809' does not fit"),
        ("many", "9" * 5000, "thing: many is {0}; {0} is not a valid integer".format(f"'{'9' * 37}...{'9' * 38}'")),
        ("many", 1e300, "thing: many is 1e+300; 1e+300 does not fit in 64 bits"),
        ("many", np.float32(1.5), "thing: many is np.float32(1.5); np.float32(1.5) is not a valid integer"),
        ("share", 0, "thing: share is 0; 0.0 is not in the range 0.0<x<=1.0"),
        ("bias", 1, "thing: bias is 1; wanted a value of type bool"),
        ("bias", "perhaps", "thing: bias is 'perhaps'; 'perhaps' is not a valid boolean. Recognized values"),
        ("kind_of", "c", "thing: kind-of is 'c'; 'c' is not one of 'a', 'b'"),
        ("path", 3, "thing: path is 3; wanted a value of type str"),
    ],
)
def test_values_that_do_not_fit_are_refused(name: str, given: Any, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        Everything.of({name: given}, "thing")
    assert str(caught.value).startswith(message)


def test_a_value_is_checked_however_the_instance_is_made() -> None:
    with pytest.raises(OptionError, match=r"^Everything: size is 0; 0 is not in the range 1<=x<=9$"):
        Everything(size=0)


def test_flags_and_python_names_are_the_same_option() -> None:
    assert Everything.of({"kind-of": "b"}, "x") == Everything.of({"kind_of": "b"}, "x")


def test_an_unknown_option_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName) as caught:
        Everything.of({"siz": 1}, "thing 'x'")
    assert str(caught.value) == (
        "there is no thing 'x' option 'siz'; did you mean 'size'? "
        "it takes size, rate, free, many, share, bias, kind-of, path"
    )


def test_every_field_keeps_what_it_was_declared_with() -> None:
    by_name = {spec.name: spec for spec in Everything.fields()}
    assert list(by_name) == [field.name for field in fields(Everything)]
    assert (by_name["size"].type, by_name["size"].default, by_name["size"].min, by_name["size"].max) == (int, 4, 1, 9)
    assert by_name["kind_of"].choices == ("a", "b")
    assert by_name["kind_of"].flag == "kind-of"


class More(Everything):
    size: int = option(5, "another default")
    more: int = option(6, "one more")


@dataclass(frozen=True)
class Decorated(Options):
    size: int = option(4, "a whole number", min=1, max=9)


def test_options_are_frozen_records_of_their_class() -> None:
    given = More(size=3)
    assert (
        repr(given) == "More(size=3, rate=0.5, free=0.5, many=0, share=1.0, bias=False, kind_of='a', path='', more=6)"
    )
    assert given == More(size=3) == copy.deepcopy(given) and hash(given) == hash(More(size=3))
    assert given != More() and given != Everything(size=3)
    with pytest.raises(FrozenInstanceError, match=r"^cannot assign to field 'size'$"):
        given.size = 4  # type: ignore[misc]
    with pytest.raises(TypeError, match=r"^More has no option 'siz'$"):
        More(siz=3)  # type: ignore[call-arg]


def test_options_are_dataclasses_to_the_standard_library() -> None:
    assert asdict(More()) == More().as_dict() == {**Everything().as_dict(), "size": 5, "more": 6}
    assert replace(More(), size=2) == More(size=2)


def test_a_decorator_is_welcome() -> None:
    assert Decorated(size=3).as_dict() == {"size": 3}
    with pytest.raises(OptionError, match=r"^Decorated: size is 0"):
        Decorated(size=0)


class Helpless(Options):
    size: int = 3


class Exotic(Options):
    size: complex = option(1j, "size")


@dataclass
class Thawed(Options):
    size: int = option(4, "a whole number")


def declared(name: str, type: type, *arguments: Any, **settings: Any) -> type[Options]:
    """Return a class of options with one option."""
    return builtins.type("Odd", (Options,), {"__annotations__": {name: type}, name: option(*arguments, **settings)})


class Switches(Options):
    bias: bool = option(True, "a switch")
    no_bias: bool = option(True, "its opposite")


ANOTHER_NAME = (
    "the option {!r} needs another name, of lower-case letters, digits and underscores, a letter first; "
    "Options has methods named as_dict, field, fields and of"
)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Helpless, "Helpless.size has no help; declare it with option(default, help)"),
        (Exotic, "Exotic.size is <class 'complex'>; an option is one of bool, int, float, str"),
        (Thawed, "Thawed is not frozen; leave out @dataclass, or write frozen=True"),
        *(
            (declared(name, int, 3, "x"), ANOTHER_NAME.format(name))
            for name in ("fields", "of", "_p", "P", "größe", "p_")
        ),
        (declared("p", int, 3, None), "the help of p is None; give one line of text"),
        (declared("p", int, -1, "x", min=0), "p is -1; -1 is not in the range x>=0; choose a default that fits"),
        (declared("p", int, None, "x"), "p is None; wanted a value of type int; choose a default that fits"),
        (
            declared("p", str, "c", "x", choices=("a", "b")),
            "p is 'c'; 'c' is not one of 'a', 'b'; choose a default that fits",
        ),
        (
            declared("p", bool, True, "x", choices=(True, False)),
            "the choices of p are (True, False); give a tuple of texts to a str",
        ),
        (declared("p", int, 1, "x", choices=("1",)), "the choices of p are ('1',); give a tuple of texts to a str"),
        (declared("p", str, "a", "x", choices="ab"), "the choices of p are 'ab'; give a tuple of texts to a str"),
        (Switches, "no-bias is the flag that turns bias off; rename the option"),
    ],
)
def test_a_badly_declared_option_is_refused(options: type[Options], message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        check_spec(ComponentSpec("loss", "x", "m:a", options))
    assert str(caught.value) == f"component 'loss' 'x': {message}"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("lstm", "ganlm_components gave 'lstm'; yield ComponentSpec objects"),
        (
            ComponentSpec("gan", "x", "m:a"),  # type: ignore[arg-type]
            "component 'gan' 'x': unknown kind; the kinds are generator, discriminator, algorithm, loss, penalty, "
            "estimator, corpus, metric, encoder, reward",
        ),
        *(
            (
                ComponentSpec("loss", name, "m:a"),
                f"component 'loss' '{name}': a name has lower-case letters, digits and hyphens, and starts with a "
                "letter",
            )
            for name in ("", "Big", "two words", "1st", "a-", "a/b", "ümlaut")
        ),
        *(
            (
                ComponentSpec("loss", "x", target),
                f"component 'loss' 'x': the target '{target}' is not 'package.module:attribute'",
            )
            for target in ("", "module", "module:", ":a", "module:a.b")
        ),
        (
            ComponentSpec("loss", "x", "m:a", options=dict),  # type: ignore[arg-type]
            "component 'loss' 'x': options is <class 'dict'>; give a dataclass derived from Options",
        ),
        (
            ComponentSpec("reward", "x", "m:a"),
            "component 'reward' 'x': options is <class 'ganlm_core.components.NoOptions'>; derive the options of a "
            "reward from RewardOptions",
        ),
        (
            ComponentSpec("loss", "x", "m:a", summary=None),  # type: ignore[arg-type]
            "component 'loss' 'x': summary, source and recipe are text",
        ),
        *(
            (
                ComponentSpec("loss", "x", "m:a", exceptions=exceptions),  # type: ignore[arg-type]
                f"component 'loss' 'x': exceptions is {exceptions!r}; give a dict: name of a check -> reason",
            )
            for exceptions in ("check_slope", {"check_slope": None})
        ),
        *(
            (
                ComponentSpec("metric", "x", "m:a", measures=measures),  # type: ignore[arg-type]
                f"component 'metric' 'x': measures is {measures!r}; give a tuple of Measure objects",
            )
            for measures in (None, "a", ("a",), Measure("a", "a"))
        ),
        (
            ComponentSpec("metric", "x", "m:a", measures=(Measure(3, "a"),)),  # type: ignore[arg-type]
            "component 'metric' 'x': the name of a measure is 3 and its title 'a'; give texts",
        ),
        (
            ComponentSpec("metric", "x", "m:a", measures=(Measure("a", "a", "up"),)),  # type: ignore[arg-type]
            "component 'metric' 'x': better is 'up' in measure a; it is higher, lower or ''",
        ),
        (
            ComponentSpec("metric", "x", "m:a", measures=(Measure("a", "a"), Measure("a", "b"))),
            "component 'metric' 'x': two measures have one name; give each its own",
        ),
    ],
)
def test_a_malformed_spec_is_refused(spec: object, message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        check_spec(spec)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("kind", "given", "wanted"),
    [
        (number(int, 0), "7", 7),
        (number(int), str(2**63 - 1), 2**63 - 1),
        (number(int), str(-(2**63)), -(2**63)),
        (number(float, 0, open=True), "1e-45", 1e-45),
        (number(float, 0, 1, open=True), "1", 1.0),
        (number(float), "1e308", 1e308),
    ],
)
def test_a_number_of_the_command_line_is_converted(kind: click.ParamType, given: str, wanted: float) -> None:
    value = kind.convert(given, None, None)
    assert value == wanted and type(value) is type(wanted)


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (number(int, 0), "-1", "-1 is not in the range x>=0"),
        (number(int, 0), str(2**63), "'9223372036854775808' does not fit in 64 bits"),
        (number(int), "1e3", "'1e3' is not a valid integer"),
        (number(float, 0, open=True), "0", "0.0 is not in the range x>0.0"),
        (number(float, 0, open=True), "nan", "'nan' is not a finite number"),
        (number(float), "-inf", "'-inf' is not a finite number"),
        (number(float), "1e309", "'1e309' is not a finite number"),
        (number(float), "\x1b[2J", r"'\x1b[2J' is not a valid float"),
    ],
)
def test_a_number_outside_its_domain_is_refused(kind: click.ParamType, given: str, message: str) -> None:
    with pytest.raises(click.BadParameter) as caught:
        kind.convert(given, None, None)
    assert caught.value.message.startswith(message)


def test_a_number_says_its_type_and_its_declared_bounds_in_help() -> None:
    assert [number(int).name, number(float).name] == ["integer", "float"]
    bounds = number(float, 0, 1, open=True).to_info_dict()
    assert (bounds["min"], bounds["max"], bounds["min_open"], bounds["max_open"]) == (0, 1, True, False)
    assert (number(int).to_info_dict()["min"], number(int).to_info_dict()["max"]) == (None, None)


def test_a_nul_character_is_no_part_of_a_text() -> None:
    """A TOML file can spell it, and no path of a file can have it."""
    with pytest.raises(OptionError, match="it has a NUL character, which no name of a file can have"):
        FileOptions(path="a\0b")


@pytest.mark.parametrize(
    ("sizes", "name"),
    [
        ({"a": (8, 2), "b": (9, 3)}, "a"),
        ({"a": (3, 2), "free": (5, 0)}, "free"),
        ({"a": (2, 2), "b": (1, 3)}, ""),
        ({"widths": ("2,300", "2,3"), "a": (8, 2)}, "widths"),
        ({"device": ("cuda:3", "cpu"), "path": ("my2000.txt", ""), "flag": (True, False), "none": (9, None)}, ""),
        ({"rate": (0.9, 0.1)}, ""),
        ({}, ""),
    ],
)
def test_the_number_that_is_furthest_above_its_default_is_found(sizes: dict[str, tuple[Any, Any]], name: str) -> None:
    assert furthest(sizes) == name
