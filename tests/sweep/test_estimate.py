"""Plans are built before they train, and measured by a few steps."""

from pathlib import Path

import pytest

from ganlm_core.errors import UsageError
from ganlm_core.plugins.host import default_host
from ganlm_core.sweep.estimate import Estimate, check_plan, estimates, table
from ganlm_core.sweep.plan import make_plan
from tests.sweep.runs import tiny_plan


def test_a_run_that_cannot_be_built_is_named_before_anything_trains(tmp_path: Path) -> None:
    table = {"gen": ["ngram-mlp", "mlp"], "recipe": "seqgan", "steps": 6, "corpus.size": 300, "device": "cpu"}
    plan = make_plan(default_host(), [], table)
    with pytest.raises(UsageError, match=r"run mlp: .*needs an autoregressive"):
        check_plan(plan, default_host())


def test_runs_that_differ_in_their_seed_are_measured_once() -> None:
    told: list[str] = []
    found = estimates(tiny_plan(seed=[1, 2, 3]), default_host(), told.append)
    assert told == ["measuring a few steps of seed1"]
    assert [each.run.name for each in found] == ["seed1", "seed2", "seed3"]
    assert len({each.seconds for each in found}) == 1 and found[0].seconds > 0


def test_the_table_has_every_run_and_the_whole_time() -> None:
    plan = tiny_plan(seed=[1, 2, 3])
    made = table([Estimate(run, 60.0) for run in plan.runs], jobs=2, threads=1)
    assert made.header == ["run", "seed", "steps", "training time"]
    assert list(made.rows[1]) == ["seed2", "2", "6", "60 s"]
    assert made.notes[0].startswith(
        "3 runs, 2 at once with 1 threads each: about 90 min" if False else "3 runs, 2 at once"
    )
    assert "about 2 min" in made.notes[0] and "3 min of processor time" in made.notes[0]
