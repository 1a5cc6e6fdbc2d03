"""Search a plan: Optuna chooses which of its runs to train next, by a value of the validation split.

The trials are in a journal file in the folder of the sweep, so that a search goes on after a stop. A trial whose
interim evaluations are worse than those of most others at the same step is pruned: its run saves and stops.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from ganlm_core.errors import GanlmError, UnknownName, UsageError, WeightsError
from ganlm_core.evaluation.tables import Cell, Number, Table
from ganlm_core.metrics.formatting import SHARES
from ganlm_core.metrics.interim import MONITORED
from ganlm_core.plugins.host import Host
from ganlm_core.sweep.job import Engine, Job, Stop, Trained
from ganlm_core.sweep.plan import Plan, PlannedRun
from ganlm_core.sweep.processes import follow
from ganlm_core.system.files import read_json, write_file, write_json
from ganlm_core.training.run_folder import RunFolder

JOURNAL, PAGE, OPTIONS_FILE = "search.log", "search.html", "search.json"

UNPRUNED = 5
"""Trials before any is pruned."""


@dataclass(frozen=True)
class Objective:
    """A value of the interim evaluations, and which way it is better."""

    name: str
    better: str

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        return "minimize" if self.better == "lower" else "maximize"


def objective_of(host: Host, name: str) -> Objective:
    """Return the objective of this name. Raises UnknownName for a value that is not of the validation split."""
    during = [measure for spec in host.specs("metric").values() if spec.when == "run" for measure in spec.measures]
    known = {each.name: each.better for each in (*MONITORED, *during) if each.better and each.name != "test_nll"}
    if name == "test_nll":
        raise UsageError("test_nll is of the test split, which a search must not see; search by validation_nll")
    if name not in known:
        hint = f"a search goes by a value of the validation split: {', '.join(known)}"
        raise UnknownName("objective", name, known, hint=hint)
    return Objective(name, known[name])


def space_of(plan: Plan) -> dict[str, list[Any]]:
    """Return the values of each setting that the plan varies. Raises UsageError unless it has all combinations."""
    keys = dict.fromkeys(key for run in plan.runs for key in run.settings)
    space = {key: list(dict.fromkeys(run.settings.get(key) for run in plan.runs)) for key in keys}
    size = 1
    for values in space.values():
        size *= len(values)
    if len(plan.runs) < 2 or size != len(plan.runs):
        raise UsageError(
            "a search needs lists that are all combined; make named variants of what is under [sweep.zip], "
            "and take [[sweep.exclude]] out"
        )
    return space


@dataclass(frozen=True)
class Search:
    """An engine that trains some of its jobs, chosen by the trials before them, ``parallel`` at once."""

    engine: Engine
    plan: Plan
    objective: Objective
    journal: Path
    trials: int = 20
    parallel: int = 1
    _locks: defaultdict[str, Lock] = field(default_factory=lambda: defaultdict(Lock), init=False, repr=False)

    def train(self, jobs: Sequence[Job], stop: Stop, watch: Callable[[], None]) -> list[Trained]:
        """Make the trials that are left of all, and return the outcomes of their runs."""
        settings = {"search": "optuna", "objective": self.objective.name, "trials": self.trials}
        write_json(self.journal.with_name(OPTIONS_FILE), settings)
        study, by_name = study_of(self.journal, self.objective), {job.name: job for job in jobs}
        left = self.trials - _put_back(study)
        with ThreadPoolExecutor(self.parallel) as pool:
            futures = [pool.submit(self._try, study, by_name, stop) for _ in range(left)]
            follow(futures, watch)
            return [future.result() for future in futures]

    def _try(self, study: Any, jobs: Mapping[str, Job], stop: Stop) -> Trained:
        """Ask for settings, train their run, and tell its value. Trials of equal settings share a run, by turns."""
        if stop.level:
            return Trained(self.journal.parent, "stopped before it began", interrupted=True)
        trial = study.ask()
        chosen = {key: trial.suggest_categorical(key, values) for key, values in space_of(self.plan).items()}
        run = next(run for run in self.plan.runs if dict(run.settings) == chosen)
        trial.set_user_attr("run", run.name)
        with self._locks[run.name]:
            return self._train(study, trial, jobs[run.name], stop)

    def _train(self, study: Any, trial: Any, job: Job, stop: Stop) -> Trained:
        """Train the run of a trial, and tell its value."""
        from optuna.trial import TrialState

        job.prune.unlink(missing_ok=True)
        told: set[int] = set()
        (done,) = self.engine.train([job], stop, lambda: self._report(trial, job, told))
        values = interims(job.run, self.objective.name)
        if job.prune.exists():
            study.tell(trial, state=TrialState.PRUNED)
            return Trained(job.run)
        if done.interrupted:  # the trial stays unfinished, as after a kill, and gets another turn
            return done
        if done.failure or not values:
            study.tell(trial, state=TrialState.FAIL)
            return done
        study.tell(trial, values[max(values)])
        return done

    def _report(self, trial: Any, job: Job, told: set[int]) -> None:
        """Report new interim evaluations; ask the run to stop if they are worse than those of other trials."""
        for step, value in interims(job.run, self.objective.name).items():
            if step not in told:
                trial.report(value, step)
                told.add(step)
        if trial.should_prune() and not RunFolder(job.run).is_finished:
            job.prune.touch()


def kept(folder: Path) -> dict[str, Any]:
    """Return the options of the search in the folder of a sweep, by name; empty if its runs are not searched.

    Raises WeightsError.
    """
    path = folder / OPTIONS_FILE
    return read_json(path) if path.exists() else {}


def interims(run: Path, name: str) -> dict[int, float]:
    """Return a value of the interim evaluations of a run by step; empty before the first."""
    with suppress(WeightsError):
        values = {record["step"]: record["evaluation"].get(name) for record in RunFolder(run).metrics.interims()}
        return {step: value for step, value in values.items() if value is not None}
    return {}


def study_of(journal: Path, objective: Objective) -> Any:
    """Return the study in a journal file, new or old. Raises GanlmError if Optuna is missing."""
    try:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
    except ImportError:
        raise GanlmError("--search needs Optuna; install it: pip install 'ganlm[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        study_name=f"by {objective.name}",
        storage=JournalStorage(JournalFileBackend(str(journal))),
        direction=objective.direction,
        sampler=optuna.samplers.TPESampler(seed=0),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED),
        load_if_exists=True,
    )


def _put_back(study: Any) -> int:
    """Give trials that a stop cut short another turn; return the number of those that ended."""
    from optuna.trial import TrialState

    ended = 0
    for trial in study.get_trials():
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
            ended += 1
        elif trial.state == TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)
            study.enqueue_trial(trial.params)
    return ended


def table(study: Any, objective: Objective, runs: Sequence[PlannedRun]) -> Table:
    """Return every trial, the best first: its run, its settings, its state and its value."""
    keys = list(dict.fromkeys(key for run in runs for key in run.settings))
    ended = [trial for trial in study.get_trials() if "run" in trial.user_attrs]
    sign = 1 if objective.better == "lower" else -1
    ended.sort(key=lambda trial: (trial.value is None, sign * (trial.value or 0.0), trial.number))
    rows: list[list[Cell]] = [
        [
            trial.user_attrs["run"],
            str(trial.number),
            *(str(trial.params.get(key, "")) for key in keys),
            trial.state.name.lower() if trial.state.is_finished() else "interrupted",
            str(max(trial.intermediate_values, default="")),
            Number(trial.value, share=objective.name in SHARES),
        ]
        for trial in ended
    ]
    note = (
        f"{objective.name} of the validation split after the last step ({objective.better} is better); the best of "
        "many trials looks better than it is: train it again with other seeds before you report it."
    )
    header = ["run", "trial", *keys, "state", "last step", objective.name]
    return Table(header, rows, "Trials of the search.", [note])


def write_page(path: Path, trials: Table, command: str) -> None:
    """Write the page of a search. Raises WriteError."""
    from ganlm_core.evaluation.pages import searched

    write_file(path, searched(trials, command).encode())
