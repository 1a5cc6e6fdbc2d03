"""Searches: the objective is of the validation split, trials are kept, pruned, resumed and shown."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ganlm_core.errors import UnknownName, UsageError
from ganlm_core.plugins.host import default_host
from ganlm_core.sweep.job import Job, Stop, Trained
from ganlm_core.sweep.search import (
    Objective,
    Search,
    interims,
    kept,
    objective_of,
    space_of,
    study_of,
    table,
    write_page,
)
from ganlm_core.training.run_folder import RunFolder
from tests.sweep.runs import StopLevel, sweep, tiny_plan

pytest.importorskip("optuna")

BY = Objective("validation_nll", "lower")


class Pretending:
    """An engine whose runs have a value that grows with their layers at each of two interim evaluations."""

    def __init__(self) -> None:
        self.trained: list[str] = []

    def train(self, jobs: Sequence[Job], stop: Stop, watch: Callable[[], None]) -> list[Trained]:
        (job,) = jobs
        self.trained.append(job.name)
        folder = RunFolder(job.run)
        job.run.mkdir(exist_ok=True)
        folder.metrics.path.write_text("")
        for step in (1, 2):
            folder.metrics.append({"step": step, "evaluation": {"validation_nll": float(job.name[-1]) - step / 10}})
            watch()
            if job.prune.exists():
                return [Trained(job.run, "interrupted", interrupted=True)]
        return [Trained(job.run)]


class Interrupting(Pretending):
    """An engine whose runs are stopped by Ctrl-C after their first interim evaluation."""

    def train(self, jobs: Sequence[Job], stop: Stop, watch: Callable[[], None]) -> list[Trained]:
        (job,) = jobs
        job.run.mkdir(exist_ok=True)
        RunFolder(job.run).metrics.append({"step": 1, "evaluation": {"validation_nll": 1.0}})
        watch()
        return [Trained(job.run, "interrupted", interrupted=True)]


class Alone(Pretending):
    """An engine that fails if a run is trained twice at once, as a run folder does."""

    def __init__(self) -> None:
        super().__init__()
        self.busy: set[str] = set()

    def train(self, jobs: Sequence[Job], stop: Stop, watch: Callable[[], None]) -> list[Trained]:
        (job,) = jobs
        if job.name in self.busy:
            return [Trained(job.run, "is in use")]
        self.busy.add(job.name)
        time.sleep(0.2)
        done = super().train(jobs, stop, watch)
        self.busy.remove(job.name)
        return done


def searched(folder: Path, engine: Pretending, trials: int) -> Search:
    plan = tiny_plan(**{"gen.layers": [1, 2, 3]})
    found = sweep(folder, **{"gen.layers": [1, 2, 3]})
    search = Search(engine, plan, BY, folder / "search.log", trials)
    search.train(found.jobs(), StopLevel(), lambda: None)
    return search


def test_trials_are_kept_pruned_and_shown(tmp_path: Path) -> None:
    engine = Pretending()
    search = searched(tmp_path / "s", engine, 12)
    made = table(study_of(search.journal, BY), BY, search.plan.runs)
    assert len(made.rows) == 12 == len(engine.trained)
    assert made.header == ["run", "trial", "gen.layers", "state", "last step", "validation_nll"]
    first = made.rows[0]
    assert (first[0], first[3], str(first[5])) == ("layers1", "complete", "0.800")
    states = {(row[0], row[3], row[4]) for row in made.rows}
    assert not {each for each in states if each[0] == "layers1" and each[1] == "pruned"}
    write_page(tmp_path / "page.html", made, "ganlm sweep")
    page = (tmp_path / "page.html").read_text()
    assert page.count("<tr>") == 13 and "train it again with other seeds before you report it" in page


def test_a_bad_trial_is_pruned_at_its_first_interim_evaluation(tmp_path: Path) -> None:
    """After five trials of one layer, the median is theirs."""
    folder = tmp_path / "s"
    found = sweep(folder, **{"gen.layers": [1, 3]})
    search = Search(Pretending(), tiny_plan(**{"gen.layers": [1, 3]}), BY, folder / "search.log", 6)
    study = study_of(search.journal, BY)
    for layers in (1, 1, 1, 1, 1, 3):
        study.enqueue_trial({"gen.layers": layers})
    search.train(found.jobs(), StopLevel(), lambda: None)
    assert [trial.state.name for trial in study.get_trials()] == ["COMPLETE"] * 5 + ["PRUNED"]
    assert study.get_trials()[-1].intermediate_values == {1: 2.9}


def test_trials_of_equal_settings_train_their_run_by_turns(tmp_path: Path) -> None:
    folder, varied = tmp_path / "s", {"gen.layers": [1, 2]}
    jobs, plan = sweep(folder, **varied).jobs(), tiny_plan(**varied)
    search = Search(Alone(), plan, BY, folder / "search.log", trials=3, parallel=3)
    for _ in range(3):
        study_of(search.journal, BY).enqueue_trial({"gen.layers": 2})
    assert [done.failure for done in search.train(jobs, StopLevel(), lambda: None)] == [""] * 3


def test_a_search_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """A trial that was cut short gets another turn."""
    engine = Pretending()
    search = searched(tmp_path / "s", engine, 3)
    study = study_of(search.journal, BY)
    study.ask().suggest_categorical("gen.layers", [1, 2, 3])
    searched(tmp_path / "s", engine, 5)
    assert len(engine.trained) == 5
    assert kept(tmp_path / "s") == {"search": "optuna", "objective": "validation_nll", "trials": 5}
    assert kept(tmp_path) == {}
    assert [trial.state.name for trial in study.get_trials()].count("FAIL") == 1


def test_a_trial_that_was_interrupted_gets_another_turn(tmp_path: Path) -> None:
    folder, varied = tmp_path / "s", {"gen.layers": [1, 2, 3]}
    jobs, plan = sweep(folder, **varied).jobs(), tiny_plan(**varied)
    search = Search(Interrupting(), plan, BY, folder / "search.log", 3)
    for layers in (3, 1, 2):
        study_of(search.journal, BY).enqueue_trial({"gen.layers": layers})
    assert all(done.interrupted for done in search.train(jobs, StopLevel(), lambda: None))
    made = table(study_of(search.journal, BY), BY, plan.runs)
    assert [(row[0], row[3]) for row in made.rows] == [(f"layers{n}", "interrupted") for n in (3, 1, 2)]

    engine = Pretending()
    Search(engine, plan, BY, search.journal, 3).train(jobs, StopLevel(), lambda: None)
    assert engine.trained == ["layers3", "layers1", "layers2"]


def test_the_objective_is_of_the_validation_split() -> None:
    host = default_host()
    assert objective_of(host, "validation_nll") == BY and BY.direction == "minimize"
    assert objective_of(host, "distinct").direction == "maximize"
    with pytest.raises(UsageError, match="test_nll is of the test split, which a search must not see"):
        objective_of(host, "test_nll")
    with pytest.raises(UnknownName, match="there is no objective 'validation_nl'; did you mean 'validation_nll'"):
        objective_of(host, "validation_nl")


def test_a_search_needs_lists_that_are_combined() -> None:
    assert space_of(tiny_plan(seed=[1, 2], **{"gen.layers": [1, 2]})) == {"seed": [1, 2], "gen.layers": [1, 2]}
    with pytest.raises(UsageError, match="a search needs lists that are all combined"):
        space_of(tiny_plan(zip={"seed": [1, 2], "gen.layers": [1, 2]}))


def test_a_value_that_was_not_finite_is_not_reported(tmp_path: Path) -> None:
    for step, value in ((1, 2.5), (2, float("nan"))):
        RunFolder(tmp_path).metrics.append({"step": step, "evaluation": {"validation_nll": value}})
    assert interims(tmp_path, "validation_nll") == {1: 2.5}
