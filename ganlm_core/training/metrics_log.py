"""metrics.jsonl of a run: one JSON object a line, each with its step. Nothing imports torch.

The file of another user's run may hold anything. It is read with bounds, and each record is checked: numbers or null,
and text only under the names TEXTS.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganlm_core.errors import WeightsError
from ganlm_core.system.files import (
    advising,
    is_number,
    plain_size,
    read_bytes,
    reading,
    sync_file,
    to_json,
    write_file,
    writing,
)
from ganlm_core.system.printable import shown

MEND = "put the file back as it was, or start a new run"
"""The advice for a file of a run that cannot be read: unlike a bundle, a run cannot be fetched again."""

LARGEST = 256 * 2**20
"""Bytes of a file that is read, at most: about a million records."""

TEXTS = ("collapse", "memorised", "reason")
"""The names of the values of a record that are text."""

END = 2**16
"""Bytes at the end of a file in which its last record is looked for."""


@dataclass(frozen=True)
class MetricsLog:
    """The file at ``path``. Every method that writes raises WriteError, with the path, when the disk refuses."""

    path: Path

    def append(self, record: Mapping[str, Any]) -> None:
        """Append a line; ``record`` has a ``step``."""
        with writing(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(to_json(record) + "\n")

    def sync(self) -> None:
        """Wait until the disk has all lines. A checkpoint counts on those before it."""
        sync_file(self.path)

    def read(self) -> list[dict[str, Any]]:
        """Return the records so far, without a last line that a kill cut short.

        Raises WeightsError for other damage.
        """
        with advising(MEND):
            lines = read_bytes(self.path, LARGEST).split(b"\n") if self.path.exists() else []
        damage = f"{self.path} is damaged in line"
        return [_record(line, f"{damage} {number}") for number, line in enumerate(lines[:-1], 1)]

    def last(self) -> dict[str, Any] | None:
        """Return the last record, from the end of a file that grows with the run; None before the first record.

        Raises WeightsError if it is damaged.
        """
        with advising(MEND), reading(self.path):
            if not self.path.exists():
                return None
            plain_size(self.path)  # opening a pipe would wait for ever
            with self.path.open("rb") as file:
                start = file.seek(max(0, file.seek(0, os.SEEK_END) - END))
                lines = file.read().split(b"\n")
        if start > 0 and len(lines) < 3:  # a line longer than the end that was read
            return next(reversed(self.read()), None)
        return _record(lines[-2], f"{self.path} is damaged in its last line") if len(lines) > 1 else None

    def steps(self) -> list[dict[str, Any]]:
        """Return the records so far that :func:`steps_in` keeps."""
        return steps_in(self.read())

    def interims(self) -> list[dict[str, Any]]:
        """Return the records so far that :func:`interims_in` keeps."""
        return interims_in(self.read())

    def has_grown(self, records: int, step: int) -> bool:
        """Return whether more lines than ``records`` are from before the checkpoint of ``step``.

        Only a rollback and the final evaluation write lines of earlier steps, or of this one, after a checkpoint.
        """
        later = self.read()[records : records + 1]
        return any(record["step"] <= step and not {"rollback", "weights_step"} & record.keys() for record in later)

    def truncate(self, records: int) -> int:
        """Keep the first ``records`` records; return how many of them are there.

        A run that resumes from an older checkpoint writes the later ones again.
        """
        kept = self.read()[:records]
        write_file(self.path, "".join(to_json(record) + "\n" for record in kept).encode())
        return len(kept)


def steps_in(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the records of logged steps, without evaluations and rollbacks."""
    return [record for record in records if not {"evaluation", "rollback"} & record.keys()]


def interims_in(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the records of the interim evaluations, without the final one, which may be of other weights."""
    return [record for record in records if "evaluation" in record and "weights_step" not in record]


def _record(line: bytes, damage: str) -> dict[str, Any]:
    """Return a line of the file. Raises WeightsError, which begins with ``damage``."""
    try:
        record = json.loads(line)
        if not isinstance(record, dict) or type(record.get("step")) is not int:
            raise ValueError(f"{shown(record)} is no record of a step")
        _check_values(record)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{damage} ({error}); remove that line or start a new run") from None
    return record


def _check_values(record: Mapping[str, Any]) -> None:
    """Raise ValueError for a value of another type than a run writes."""
    evaluation = record.get("evaluation", {})
    if not isinstance(evaluation, dict):
        raise ValueError(f"'evaluation' is {shown(evaluation)}; wanted values by name")
    if "rollback" in record and "reason" not in record:
        raise ValueError("a rollback has no 'reason'")
    own = {name: value for name, value in record.items() if name != "evaluation"}
    for name, value in (*own.items(), *evaluation.items()):
        wanted = "text" if name in TEXTS else "a number or null"
        fine = isinstance(value, str) if name in TEXTS else value is None or is_number(value)
        if not fine:
            raise ValueError(f"{shown(name)} is {shown(value)}; wanted {wanted}")
