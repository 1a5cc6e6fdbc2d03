"""``ganlm bench``: how fast this machine is, beside the textbook's way and beside the least that the work can cost."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ganlm_core.cli.output import echo_json, echo_table, json_option

if TYPE_CHECKING:
    from ganlm_core.cli.bench.measuring import Measurement

HEADER = [
    "work",
    "ours",
    "textbook",
    "ratio",
    "goal",
    "over products",
    "goal",
    "share of floor",
    "memory",
    "textbook's",
]


@click.command(context_settings={"show_default": True})
@click.option("--full", is_flag=True, help="the sizes of docs/performance.md, which take minutes")
@click.option("--rounds", type=click.IntRange(1), default=2, help="times that both ways take turns")
@json_option
def bench(full: bool, rounds: int, as_json: bool) -> None:
    """How fast this machine trains and samples, on all its cores, beside the way that textbooks do the same.

    Other work on it spoils the times. 'over products' is how many times the matrix products alone the work takes;
    'share of floor' is how much of its time the least is that it could take, by the operations and the bytes of its
    products; memory is the most that it needs. docs/performance.md says more.
    """
    from ganlm_core.cli.bench.measuring import loop_overhead, measure
    from ganlm_core.cli.bench.works import GOALS, OVERHEAD, SHORT, Sizes

    found = []
    for goal in GOALS:
        click.echo(f"{goal.title} ...", err=True)
        found.append(measure(goal, Sizes() if full else SHORT, rounds))
    click.echo("the training loop ...", err=True)
    overhead = loop_overhead(steps=200 if full else 30)
    if as_json:
        echo_json({"works": [as_json_object(each) for each in found], "loop_overhead": overhead})
        return
    echo_table(HEADER, [cells(each) for each in found])
    click.echo(f"the training loop adds {overhead:.1%} to a step of networks, loss and optimiser; goal {OVERHEAD:.0%}")


def as_json_object(found: "Measurement") -> dict[str, object]:
    return {
        "work": found.goal.title,
        "seconds": found.ours,
        "textbook_seconds": found.textbook,
        "ratio": found.ratio,
        "over_products": found.over_products,
        "share_of_floor": found.share,
        "memory": found.ours_memory,
        "textbook_memory": found.textbook_memory,
        "limits": asdict(found.limits),
    }


def cells(found: "Measurement") -> list[str]:
    """A row of the table."""
    goal = found.goal
    return [
        goal.title,
        _seconds(found.ours),
        _seconds(found.textbook),
        f"{found.ratio:.1f}",
        f"{goal.ratio:g}" if goal.ratio else "-",
        f"{found.over_products:.1f}",
        f"{goal.products:g}" if goal.products else "-",
        f"{found.share:.0%}",
        f"{found.ours_memory / 2**20:.0f} MB",
        f"{found.textbook_memory / 2**20:.0f} MB",
    ]


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{1000 * value:.1f} ms"
