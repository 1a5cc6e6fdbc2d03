"""The parts that all pages share: one template, the curves of quality against diversity, the page of a comparison."""

import base64
import hashlib
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from ganlm_core.bundle.manifest import RUN_CONFIG
from ganlm_core.components import Measure
from ganlm_core.evaluation import repeated
from ganlm_core.evaluation.compare import Comparison, Contender, means
from ganlm_core.evaluation.figures import Curve, Figure, svg
from ganlm_core.evaluation.scores import Scores
from ganlm_core.evaluation.tables import Table
from ganlm_core.system.printable import printable
from ganlm_core.training.run_folder import RunFolder

SORT = Path(__file__).parent / "templates" / "sort.js"
"""The script that sorts a table."""

SHOWN = 6
"""Sentences shown of each method."""


def _visible(value: Any) -> Any:
    """Escape invisible characters: a bidi override in a sentence must not reorder the page."""
    if isinstance(value, Markup):
        return Markup(printable(value))
    return printable(value) if isinstance(value, str) else value


_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    finalize=_visible,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
)


def render(template: str, **values: Any) -> str:
    """Return a page as text. It opens by double click and loads nothing."""
    return _ENVIRONMENT.get_template(template).render(**values)


def compared(
    found: Comparison,
    evaluations: Mapping[str, Sequence[Scores]],
    runs: Mapping[str, Sequence[RunFolder]],
    command: str,
    notes: Sequence[str] = (),
    also: Sequence[Comparison] = (),
) -> str:
    """Return the page of ``ganlm compare`` from the evaluations and the runs of each method, both by its title.

    ``also`` are comparisons at other values of the same measure.

    The page runs one script, which sorts its table and which its policy allows by its hash.
    """
    scores = means(evaluations)
    script = SORT.read_text(encoding="utf-8")
    return render(
        "compare.html.j2",
        title=f"Comparison on {text_name(scores.conditions['corpus'])}",
        conditions=scores.conditions,
        comparison=found,
        also=also,
        table=repeated.table(found, evaluations, also=also),
        tradeoff=svg(tradeoff(found, scores)),
        curves=[(each.title, svg(each), each.caption) for each in repeated.curves(runs).values()],
        scores=scores,
        samples={title: members[0].last_samples()[:SHOWN] for title, members in runs.items()},
        commands=[repeating(run) for members in runs.values() for run in members],
        command=command,
        notes=notes,
        script=script,
        script_hash=hash_of(script),
    )


def searched(table: Table, command: str) -> str:
    """Return the page of a search: a table of its trials, which sorts."""
    script = SORT.read_text(encoding="utf-8")
    return render(
        "search.html.j2", title=table.caption, table=table, command=command, script=script, script_hash=hash_of(script)
    )


def hash_of(script: str) -> str:
    """Return the hash by which a Content-Security-Policy allows a script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def text_name(corpus: str) -> str:
    """Return the name of a corpus; for a file, without its folders."""
    return Path(corpus).name or corpus


def repeating(run: RunFolder) -> str:
    """Return the command that repeats the training of a run."""
    return shlex.join(["ganlm", "run", "--config", str(run.path / RUN_CONFIG)])


def tradeoff(found: Comparison, scores: Scores) -> Figure:
    """Draw quality against diversity: a curve over temperatures for each contender and seed, and a point for real text.

    A point above the line at the quality of real text is mode seeking; below it, if lower is better.
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
    best = found.ceiling.value if quality.sees == "quality" else None
    meaning = f"quality of real text: {beyond} it is mode seeking"
    levels = {"real text": found.real.quality} if best is None else {meaning: best}
    x, y = _axis(diversity, "more diverse" if diversity.sees == "diversity" else "better"), _axis(quality, "better")
    return Figure("quality and diversity", x, y, [*curves, *references], levels, large=True)


def _curves(contender: Contender, ends: bool) -> list[Curve]:
    """Return a curve for each seed. The temperatures are beside the first curve; only at its ``ends`` if crowded."""
    found: list[Curve] = []
    for curve in contender.curves:
        diversity, quality = [point.diversity for point in curve], [point.quality for point in curve]
        labels = ["" if point.temperature is None else f"{point.temperature:g}" for point in curve]
        if ends:
            labels[1:-1] = [""] * len(labels[1:-1])
        found.append(Curve(contender.title, diversity, quality, labels=labels if not found else ()))
    return found


def _axis(measure: Measure, good: str) -> str:
    return f"{measure.title} ({measure.better} is {good})" if measure.better else measure.title
