"""What the pages have in common: one template, the curves of quality against diversity, tables of every number."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from ganlm_core.components import Measure
from ganlm_core.evaluation.compare import Comparison, Contender, means
from ganlm_core.evaluation.figures import Curve, Figure, svg
from ganlm_core.evaluation.scores import Scores
from ganlm_core.training.run_folder import RunFolder

Table = Sequence[Sequence[str]]
"""A line of titles, and rows of as many cells."""

SHOWN = 6
"""Sentences shown of each method."""

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
)


def render(template: str, **values: Any) -> str:
    """A page as text; it opens by double click and asks no network for anything."""
    return _ENVIRONMENT.get_template(template).render(**values)


def compared(
    found: Comparison,
    evaluations: Mapping[str, Sequence[Scores]],
    runs: Mapping[str, Sequence[RunFolder]],
    command: str,
) -> str:
    """The page of ``ganlm compare``: the evaluations and the runs of each method by its title, in the same order."""
    scores = means(evaluations)
    return render(
        "compare.html.j2",
        title=f"Who is ahead on {scores.conditions['corpus']}",
        conditions=scores.conditions,
        comparison=found,
        tradeoff=svg(tradeoff(found, scores)),
        scores=scores,
        table=score_table(scores),
        samples={title: members[0].last_samples()[:SHOWN] for title, members in runs.items()},
        commands=[repeating(run) for members in runs.values() for run in members],
        command=command,
    )


def repeating(run: RunFolder) -> str:
    """The command that trains a run again."""
    return shlex.join(["ganlm", "run", "--config", str(run.path / "config.toml")])


def tradeoff(found: Comparison, scores: Scores) -> Figure:
    """Quality against diversity: a curve over temperatures for each contender and seed, and a point for real text.

    Above the line at the quality of real text is what keeps to a mode of it; below it, for measures where low is good.
    """
    ends = len(found.contenders) > 2
    curves = [curve for contender in found.contenders for curve in _curves(contender, ends)]
    quality, diversity = found.quality, found.diversity
    references = [
        Curve(row.shown, [row.values[diversity.name]], [row.values[quality.name]], joined=False)
        for row in scores.rows
        if row.kind in ("real", "process") and {quality.name, diversity.name} <= row.values.keys()
    ]
    beyond = "above" if quality.better == "higher" else "below"
    levels = {f"quality of real text: {beyond} it is mode seeking": found.real.quality}
    x, y = _axis(diversity, "more diverse"), _axis(quality, "better")
    return Figure("quality and diversity", x, y, [*curves, *references], levels, large=True)


def _curves(contender: Contender, ends: bool) -> list[Curve]:
    """One for each seed. The temperatures stand beside the first; where it is crowded, beside its ``ends``."""
    found: list[Curve] = []
    for curve in contender.curves:
        diversity, quality, temperatures = zip(*curve, strict=True)
        labels = ["" if each is None else f"{each:g}" for each in temperatures]
        if ends:
            labels[1:-1] = [""] * len(labels[1:-1])
        found.append(Curve(contender.title, diversity, quality, labels=labels if not found else ()))
    return found


def _axis(measure: Measure, good: str) -> str:
    return f"{measure.title} ({measure.better} is {good})"


def score_table(scores: Scores) -> Table:
    """Every row and every number of an evaluation."""
    measures = [measure for found in scores.measures.values() for measure in found]
    titles = ["", "T", *(measure.title for measure in measures)]
    return [titles, *([row.shown, row.at, *(scores.cell(row, each) for each in measures)] for row in scores.rows)]
