"""Everything that a checkpoint keeps of a run beside its tensors."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ganlm_core.errors import DataError
from ganlm_core.metrics.judge import Values
from ganlm_core.training.checkpoint import Checkpoint, not_a_state

NUMBERS = (int, float)


@dataclass
class Progress:
    """The progress of a run, without its step and its tensors.

    ``evaluations``: columns of the final table. ``history``: the values of every interim evaluation. ``records``: lines
    of metrics.jsonl. ``good``: the step to go back to after a collapse. ``stopped``: why training ended before its last
    step, if it did. ``extended``: the length of the history when the run was given more steps; patience starts there.
    """

    evaluations: dict[str, Values] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    records: int = 0
    good: int = 0
    rollbacks: int = 0
    stopped: str = ""
    extended: int = 0


@dataclass
class Saved:
    """The values of a run in its checkpoint.

    ``batches``: the position in the data. ``data``: the hash of the training data. ``config``: the text of config.toml.
    """

    batches: tuple[int, int]
    data: str
    progress: Progress
    config: str

    def to_tree(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, tree: Any) -> "Saved":
        """Rebuild the output of :meth:`to_tree`. Raises TypeError or ValueError for values of other types."""
        saved = cls(**tree)
        drawn, tokens = saved.batches
        progress = tree["progress"]
        saved.batches, saved.progress = (drawn, tokens), Progress(**progress)
        _require(_are_like(progress, asdict(Progress())), "progress")
        _require(type(drawn) is int and type(tokens) is int, "batches")
        _require(type(saved.data) is str and type(saved.config) is str, "data and config")
        _require(all(_is_interim(each) for each in saved.progress.history), "history")
        _require(all(_are_numbers(each) for each in saved.progress.evaluations.values()), "evaluations")
        return saved


def saved_values(found: Checkpoint, data: str, run: Path) -> Saved:
    """Return the values of a run in a checkpoint. Raises WeightsError, and DataError for another hash than ``data``."""
    try:
        saved = Saved.of(found.extra)
    except (KeyError, TypeError, ValueError) as error:
        raise not_a_state(found.path, error) from error
    if saved.data != data:
        raise DataError(
            f"the training data of {run} have changed since it was started; put the old data back, or start a new run"
        )
    return saved


def _require(fine: bool, name: str) -> None:
    if not fine:
        raise TypeError(f"the values of {name} are of the wrong type")


def _are_like(values: Mapping[str, Any], examples: Mapping[str, Any]) -> bool:
    return all(type(values[name]) is type(example) for name, example in examples.items())


def _is_interim(value: Any) -> bool:
    return _are_numbers(value) and "step" in value


def _are_numbers(value: Any) -> bool:
    return isinstance(value, dict) and all(type(each) in NUMBERS for each in value.values())
