"""Arguments of a loaded model, which a program may give in any type."""

import operator
from collections.abc import Iterable
from numbers import Integral

from ganlm_core.errors import OptionError
from ganlm_core.system.printable import shown

LARGEST = 2**63 - 1
"""The largest seed of torch."""


def whole(name: str, value: object, least: int = 0) -> int:
    """Return a whole number, such as an int of NumPy. Raises OptionError for other values and outside of the bounds."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise OptionError(f"{name} is {shown(value)}; wanted a whole number") from None
    if number < least:
        raise OptionError(f"{name} is {number}; wanted {least} or more")
    if number > LARGEST:
        raise OptionError(f"{name} is {number}; wanted {LARGEST} at most")
    return number


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
