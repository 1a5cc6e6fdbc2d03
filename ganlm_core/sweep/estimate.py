"""Build every run of a plan before any trains, and estimate the time of a plan from a few measured steps."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ganlm_core.config.run_config import RunConfig
from ganlm_core.errors import GanlmError, reworded
from ganlm_core.evaluation.tables import Cell, Table
from ganlm_core.plugins.host import Host
from ganlm_core.sweep.plan import Plan, PlannedRun
from ganlm_core.sweep.status import duration

if TYPE_CHECKING:
    from ganlm_core.training.setup import Setup

MEASURED = 3
"""Steps to measure at the start and after the warm-up, each after one step that is not measured."""


@dataclass(frozen=True)
class Estimate:
    """A run and the seconds of its training in one process, without evaluations."""

    run: PlannedRun
    seconds: float


class _Enough(Exception):
    """Raised after a step, to leave the loop."""


def check_plan(plan: Plan, host: Host) -> None:
    """Build the corpus, the networks and the rest of every run. Raises GanlmError that names the impossible run.

    Runs that differ only in their seed are built once.
    """
    for _ in _prepared(plan, host):
        pass


def estimates(plan: Plan, host: Host, tell: Callable[[str], None]) -> list[Estimate]:
    """Return the time of each run, from a few steps of it; runs that differ only in their seed take equally long."""
    seconds: dict[str, float] = {}
    for run, setup in _prepared(plan, host):
        tell(f"measuring a few steps of {run.name}")
        seconds[_content(run.config)] = _training_seconds(setup)
    return [Estimate(run, seconds[_content(run.config)]) for run in plan.runs]


def table(found: Sequence[Estimate], jobs: int, threads: int) -> Table:
    """Return the runs with their settings and times, and the total time below."""
    keys = list(dict.fromkeys(key for each in found for key in each.run.settings))
    rows: list[list[Cell]] = [
        [
            each.run.name,
            *(str(each.run.settings.get(key, "")) for key in keys),
            f"{each.run.config.training.steps:,}",
            duration(each.seconds),
        ]
        for each in found
    ]
    total = sum(each.seconds for each in found)
    whole = max(total / jobs, max((each.seconds for each in found), default=0.0))
    note = (
        f"{len(found)} runs, {jobs} at once with {threads} threads each: about {duration(whole)}, and "
        f"{duration(total)} of processor time for each thread, without evaluations; nothing was trained."
    )
    return Table(["run", *keys, "steps", "training time"], rows, notes=[note])


def _prepared(plan: Plan, host: Host) -> Iterator[tuple[PlannedRun, "Setup"]]:
    """Yield the first run of each configuration, ignoring the seed, with everything that it needs built."""
    from ganlm_core.training.setup import prepare

    first: dict[str, PlannedRun] = {}
    for run in plan.runs:
        first.setdefault(_content(run.config), run)
    for run in first.values():
        try:
            setup = prepare(run.config, host)
        except GanlmError as error:
            raise reworded(error, f"run {run.name}: {error}") from error
        yield run, setup


def _content(config: RunConfig) -> str:
    """Return a configuration as text without its seed."""
    without_seed = replace(config, training=replace(config.training, seed=0))
    return json.dumps(without_seed.to_dict(), sort_keys=True)


def _training_seconds(setup: "Setup") -> float:
    """Return the seconds of all steps: the warm-up, and adversarial training."""
    steps = setup.trainer.steps
    start = min(max(setup.trainer.algorithm.adversarial_from, 0), steps)
    warm = _seconds_of_a_step(setup, 0) * start if start else 0.0
    return warm + (_seconds_of_a_step(setup, start) * (steps - start) if start < steps else 0.0)


def _seconds_of_a_step(setup: "Setup", start: int) -> float:
    ends: list[float] = []

    def after_step(step: int, metrics: object) -> None:
        ends.append(time.perf_counter())
        if len(ends) > MEASURED:
            raise _Enough

    began = time.perf_counter()
    with suppress(_Enough):
        setup.trainer.train(start, after_step)
    if len(ends) < 2:
        return (ends[0] if ends else began) - began
    return (ends[-1] - ends[0]) / (len(ends) - 1)
