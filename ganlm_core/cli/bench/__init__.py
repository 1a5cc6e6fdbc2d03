"""``ganlm bench``: the speed of this machine, beside a textbook implementation and beside a lower bound."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ganlm_core.cli.options import json_option
from ganlm_core.cli.output import echo, echo_json, echo_table, note
from ganlm_core.cli.types import POSITIVE_COUNT

if TYPE_CHECKING:
    from ganlm_core.cli.bench.measuring import Measurement

HEADER = [
    "work",
    "ours",
    "textbook",
    "ratio",
    "goal",
    "by hand",
    "ratio",
    "goal",
    "over products",
    "goal",
    "share of floor",
    "memory",
    "textbook's",
]


@click.command(context_settings={"show_default": True})
@click.option("--full", is_flag=True, help="measure the sizes of docs/performance.md, which takes minutes")
@click.option("--rounds", type=POSITIVE_COUNT, default=2, help="measurements of each implementation, in turns")
@json_option
def bench(full: bool, rounds: int, as_json: bool) -> None:
    """Measure how fast this machine trains and samples on all its cores, beside textbook implementations.

    'by hand' is the loop that a good programmer writes in an hour, where it differs from the textbook's; for the
    transformer, the library transformers, if it is installed.
    Other programs that run at the same time spoil the numbers. 'over products' is the time divided by the time of its
    matrix products alone; 'share of floor' is the lower bound on the time, computed from the operations and bytes of
    its products, as a share of the time; 'memory' is the peak. docs/performance.md says more.
    """
    from ganlm_core.cli.bench.measuring import loop_overhead, measure
    from ganlm_core.cli.bench.workloads import GOALS, OVERHEAD, SHORT, Sizes

    found = []
    for goal in GOALS:
        note(f"{goal.title} ...")
        found.append(measure(goal, Sizes() if full else SHORT, rounds))
    note("the training loop ...")
    overhead = loop_overhead(steps=200 if full else 30)
    if as_json:
        echo_json({"workloads": [as_json_object(each) for each in found], "loop_overhead": overhead})
        return
    echo_table(HEADER, [cells(each) for each in found])
    echo(f"the training loop adds {overhead:.1%} to a step of networks, loss and optimiser; goal {OVERHEAD:.0%}")


def as_json_object(found: "Measurement") -> dict[str, object]:
    return {
        "work": found.goal.title,
        "seconds": found.ours,
        "textbook_seconds": found.textbook,
        "ratio": found.ratio,
        "hand_seconds": found.hand,
        "hand_ratio": found.hand_ratio,
        "over_products": found.over_products,
        "share_of_floor": found.share,
        "memory": found.ours_memory,
        "textbook_memory": found.textbook_memory,
        "limits": asdict(found.limits),
    }


def cells(found: "Measurement") -> list[str]:
    """Return a row of the table."""
    goal = found.goal
    return [
        goal.title,
        _seconds(found.ours),
        _seconds(found.textbook),
        f"{found.ratio:.1f}",
        f"{goal.ratio:g}" if goal.ratio else "-",
        "-" if found.hand is None else _seconds(found.hand),
        "-" if found.hand_ratio is None else f"{found.hand_ratio:.1f}",
        f"{goal.hand:g}" if goal.hand else "-",
        f"{found.over_products:.1f}",
        f"{goal.products:g}" if goal.products else "-",
        f"{found.share:.0%}",
        f"{found.ours_memory / 2**20:.0f} MB",
        f"{found.textbook_memory / 2**20:.0f} MB",
    ]


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{1000 * value:.1f} ms"
