"""Arguments that a program may give in any type: convert them, or refuse them in one line. It imports no torch."""

import operator
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from numbers import Integral
from typing import TypeVar

from ganlm_core.errors import OptionError
from ganlm_core.system.printable import shown

LARGEST = 2**63 - 1
"""The largest seed of torch."""

Kind = TypeVar("Kind")


def whole(name: str, value: object, least: int = 0, most: int = LARGEST) -> int:
    """Return a whole number, such as an int of NumPy. Raises OptionError for other values and outside of the bounds."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise OptionError(f"{name} is {shown(value)}; wanted a whole number")
    if number < least:
        raise OptionError(f"{name} is {number}; wanted {least} or more")
    if number > most:
        raise OptionError(f"{name} is {number}; wanted {most} at most")
    return number


def real(name: str, value: object) -> float:
    """Return a number as a float, such as a float of NumPy. Raises OptionError for text and for lists and arrays."""
    if hasattr(value, "__float__") and not isinstance(value, bool) and not getattr(value, "ndim", 0):
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError):
            pass
    raise OptionError(f"{name} is {shown(value)}; wanted a number")


def string(name: str, value: object) -> str:
    """Return a string. Raises OptionError for other values."""
    return instance(name, value, str, "a string")


def strings(name: str, values: Iterable[object]) -> list[str]:
    """Return strings as a list. In ``labels``, a whole number is the name of a label as text is.

    Raises OptionError for other values, and for one string, whose characters would be taken for sentences.
    """
    if isinstance(values, str):
        raise OptionError(f"{name} is one string; give a list of strings")
    try:
        found = list(values)
    except TypeError:
        raise OptionError(f"{name} is {shown(values)}; give a list of strings") from None
    kinds = (str, Integral) if name == "labels" else str
    for value in found:
        if not isinstance(value, kinds):
            raise OptionError(f"{name} has {shown(value)} among its values; give a list of strings")
    return list(map(str, found))


def label(value: object) -> str:
    """Return the name of a label; empty for None. A whole number is a name as text is. Raises OptionError."""
    if value is None:
        return ""
    if not isinstance(value, str | Integral):
        raise OptionError(f"label is {shown(value)}; wanted the name of one label")
    return str(value)


def path(name: str, value: object, wanted: str = "a path") -> str:
    """Return a path or an address as text.

    Raises OptionError for other values, for empty text, and for what no file can be called.
    """
    found = os.fspath(value) if isinstance(value, str | os.PathLike) else value
    if not isinstance(found, str):
        raise OptionError(f"{name} is {shown(value)}; wanted {wanted}")
    if not found:
        raise OptionError(f"{name} is empty; wanted {wanted}")
    with suppress(UnicodeEncodeError):
        if b"\0" not in os.fsencode(found):
            return found
    raise OptionError(f"{name} is {shown(found)}; no file can have this name")


def device(value: object) -> str:
    """Return the name of a device, also of a ``torch.device``. Raises OptionError for other values."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.device):
        return str(value)
    return instance("device", value, str, "auto, cpu, cuda, cuda:N or mps")


def instance(name: str, value: object, kind: type[Kind], wanted: str) -> Kind:
    """Return ``value`` if it is of the class ``kind``. Raises OptionError, which says what is ``wanted``."""
    if not isinstance(value, kind):
        raise OptionError(f"{name} is {shown(value)}; wanted {wanted}")
    return value
