"""Workloads of the benchmark: all implementations do the same amount."""

import ganlm_lstm.networks
import pytest
import torch

from ganlm_core.cli.bench import workloads
from ganlm_core.cli.bench.limits import count_products, operations
from ganlm_core.cli.bench.workloads import GOALS, Sizes

TINY = Sizes(vocabulary=30, length=5, batch=3, rollouts=2, long=6)


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.title)
def test_each_work_is_done_both_ways(goal: workloads.Goal) -> None:
    """And the matrix products of the textbook's way are at least as many as ours, but for the special words."""
    torch.manual_seed(0)
    work = goal.work(TINY)
    ours, plain = (operations(count_products(way)) for way in (work.ours, work.textbook))
    assert 0 < ours <= 1.5 * plain
    assert work.hand is None or 0.5 * ours <= operations(count_products(work.hand)) <= 1.1 * plain


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.title)
def test_each_work_is_done_where_tensors_are_made_by_default(
    goal: workloads.Goal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the meta device, which refuses tensors of another one: so nothing of a work on CUDA is left on the CPU."""
    run = ganlm_lstm.networks._run
    monkeypatch.setattr(ganlm_lstm.networks, "recur", lambda lstm, states, start, twice=False: run(lstm, states, start))
    with torch.device("meta"):
        work = goal.work(TINY)
        work.ours(), work.textbook()
        if work.hand is not None and goal.work is not workloads.transformer_sampling:  # the library reads its samples
            work.hand()
