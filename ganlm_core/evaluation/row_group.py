"""Groups of rows that share a judge, the units of work that the processes of ``ganlm eval`` divide."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ganlm_core.evaluation.scores import Row
from ganlm_core.metrics.judge import Judge, round_values
from ganlm_core.metrics.metric import Measured, Subject

Tell = Callable[[str], None]


class Filled(NamedTuple):
    """A row, what each metric measured of its subject, and how many of the subject's sentences are empty."""

    row: Row
    measured: Mapping[str, Measured]
    empty: int


@dataclass(frozen=True)
class RowGroup:
    """Rows measured by one process in order; each subject is made when its row is measured."""

    rows: Sequence[Row]
    subjects: Sequence[Callable[[], Subject]]
    judge: Judge

    def measured(self, n: int, tell: Tell) -> Iterator[Filled]:
        """Yield the rows with their values. A subject at a temperature has ``n`` sentences to draw."""
        for row, make in zip(self.rows, self.subjects, strict=True):
            if row.temperature is not None:
                tell(f"drawing {n:,} sentences from {row.name}")
            subject = make()
            tell(f"measuring {row.name}")
            found = self.judge.measure(subject)
            empty = sum(not text.strip() for text in subject.texts)
            yield Filled(_filled(row, len(subject.texts), found), found, empty)


def _filled(row: Row, sentences: int, measured: Mapping[str, Measured]) -> Row:
    values = {name: value for each in measured.values() for name, value in each.values.items()}
    protocol = {name: each.protocol for name, each in measured.items() if each.protocol}
    errors = {name: error for each in measured.values() for name, error in each.errors.items() if error}
    return replace(
        row, sentences=sentences, values=round_values(values), protocol=protocol, errors=round_values(errors)
    )
