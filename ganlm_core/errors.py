"""The errors that a user can meet. Each has an exit code for the command line.

GanlmError                     1  anything below
├── UsageError                 2  the request is not possible
│   ├── UnknownName            2  no component, recipe or option has this name; the nearest is suggested
│   ├── OptionError            2  a value is of the wrong type or out of range
│   └── RunExists              2  the run folder already exists
├── DataError                  1  a corpus cannot be read, or leaves nothing to train on
├── WriteError                 1  the disk is full, or the folder is not writable
├── FolderInUse                1  another process works in this folder
├── PluginError                3  a plugin is missing, is broken or violates its contract
├── WeightsError               4  weights do not verify: truncated, altered, of another architecture or format
│   └── Unreadable             4  a file is missing, damaged or of another kind
├── TrainingError              1  a step could not be finished
│   ├── NonFinite              1  a loss or a logit became NaN or infinite
│   └── OutOfMemory            1  the device has no memory left
├── ProcessLost                1  another process of a distributed run has ended
└── Interrupted              130  the run was stopped by the user; a checkpoint was saved

Warnings of a run in Python are of the category GanlmWarning.

A message says in one line what came, what was wanted and what to do.
"""

import signal
from collections.abc import Iterable, Mapping
from typing import Any

LONGEST_NAME = 200
"""Characters of an unknown name that a message shows."""


def did_you_mean(name: str, known: Iterable[str], similarity: float = 0.5) -> str:
    """Return the end of a message that suggests the nearest of ``known``; empty if none is similar enough (0 to 1).

    Upper and lower case are the same.
    """
    import difflib

    names = {each.lower(): each for each in known}
    nearest = difflib.get_close_matches(name.lower(), names, n=1, cutoff=similarity)
    return f"; did you mean '{names[nearest[0]]}'?" if nearest else ""


class GanlmError(Exception):
    exit_code = 1

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how to pickle and copy the error, also between processes: with its message and its attributes."""
        return _made, (type(self), self.args, self.__dict__)


def _made(kind: type[GanlmError], arguments: tuple[object, ...], attributes: Mapping[str, Any]) -> GanlmError:
    """Make an error without its constructor, which may build the message from other arguments."""
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(attributes)
    return error


class UsageError(GanlmError):
    exit_code = 2


class UnknownName(UsageError):
    """``name`` is no ``what``, such as a loss, in ``where``; ``hint`` says where the ``known`` names are listed.

    ``meant``: another word for which the nearest known name is suggested.
    """

    def __init__(
        self, what: str, name: str, known: Iterable[str], hint: str = "", where: str = "", meant: str = ""
    ) -> None:
        self.what, self.name = what, name
        suggestion = did_you_mean(meant or name, known) or (";" if hint else "")
        shown = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."
        place = f" in {where}" if where else ""
        super().__init__(f"there is no {what} '{shown}'{place}{suggestion}{' ' * bool(hint)}{hint}")


class OptionError(UsageError):
    pass


class RunExists(UsageError):
    pass


class DataError(GanlmError):
    pass


class WriteError(GanlmError):
    pass


class FolderInUse(GanlmError):
    pass


class PluginError(GanlmError):
    exit_code = 3


class WeightsError(GanlmError):
    exit_code = 4


FETCH_AGAIN = "fetch or export it again"


class Unreadable(WeightsError):
    """``fact`` says what is wrong with a file. The default advice is for bundles.

    :func:`ganlm_core.system.files.advising` replaces the advice for files that are not part of a bundle.
    """

    def __init__(self, fact: str, advice: str = FETCH_AGAIN) -> None:
        self.fact = fact
        super().__init__(f"{fact}; {advice}")


class TrainingError(GanlmError):
    pass


class NonFinite(TrainingError):
    pass


class OutOfMemory(TrainingError):
    pass


class ProcessLost(GanlmError):
    pass


class Interrupted(GanlmError):
    """``number``: the signal that stopped the run; SIGINT for a KeyboardInterrupt without one."""

    exit_code = 130

    def __init__(self, message: str, number: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.number = number


class GanlmWarning(UserWarning):
    """A warning of a run, such as of a collapse."""


def reworded(error: GanlmError, message: str) -> GanlmError:
    """Return an error of the same class, with its attributes and another message."""
    return _made(type(error), (message,), error.__dict__)
