"""Errors that blame a plugin, and the wording of its exceptions, which may be of any class and have any text."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ganlm_core.errors import GanlmError, PluginError
from ganlm_core.plugins.isolation import HEAVY
from ganlm_core.system.memory import lacks_memory
from ganlm_core.system.printable import printable

LONGEST_TEXT = 500
"""Characters of the text of an exception that are shown."""

_NOT_A_PLUGIN = {*sys.stdlib_module_names, *HEAVY, "pluggy", "click", "ganlm_core"}
"""The packages that load and run a plugin."""


@contextmanager
def blaming(title: str, what: str = "failed") -> Iterator[None]:
    """Turn every exception of a plugin's code, SystemExit too, into a PluginError: ``title what: its type and text``.

    A GanlmError stays as it is, and so does a lack of memory, which is no fault of the plugin.
    """
    try:
        yield
    except (GanlmError, KeyboardInterrupt):
        raise
    except BaseException as error:
        if lacks_memory(error):
            raise
        raise PluginError(f"{title} {what}: {described(error)}; --debug shows where") from error


def described(error: BaseException) -> str:
    """Return an exception in one line: its type and text, or the text alone for a PluginError."""
    text = printable(" ".join(text_of(error).split()), LONGEST_TEXT)
    return text if isinstance(error, PluginError) else f"{type(error).__name__}: {text}".rstrip(": ")


def text_of(error: BaseException) -> str:
    """Return ``str(error)``, or a note where a plugin's exception has a text that raises."""
    try:
        return str(error)
    except KeyboardInterrupt:
        raise
    except BaseException as failure:
        return f"(its text raises {type(failure).__name__})"


def place_of(error: BaseException) -> str:
    """Return the file and line of a plugin where an exception was raised: the innermost outside of libraries."""
    found, trace = "", error.__traceback__
    while trace is not None:
        file, module = trace.tb_frame.f_code.co_filename, str(trace.tb_frame.f_globals.get("__name__"))
        if not file.startswith("<") and module.partition(".")[0] not in _NOT_A_PLUGIN:
            found = f"{file}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return found
