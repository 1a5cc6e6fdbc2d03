"""``report.html``: a run on one page that opens by double click. Figures are SVG in the page; no script, no network."""

import itertools
import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from ganlm_core import figures
from ganlm_core.config import RunConfig
from ganlm_core.errors import GanlmError
from ganlm_core.figures import Curve, Figure
from ganlm_core.files import read_json, read_text, write_file
from ganlm_core.plugins import Host
from ganlm_core.runs import RunFolder

SHOWN = 8
"""Sentences shown of each evaluation, and compared with their nearest training sentences."""

POINTS = 400
"""Points of a curve at most; of more, the means of neighbours are drawn."""

_TEMPLATE = Path(__file__).parent / "templates" / "report.html.j2"


Table = Sequence[Sequence[str]]
"""A line of titles, and rows of as many cells."""


def evaluation_of(run: RunFolder) -> dict[str, Any]:
    """evaluation.json of the bundle; nothing for a run that has none yet."""
    return read_json(run.bundle / "evaluation.json") if run.bundle.is_dir() else {}


def write(run: RunFolder, host: Host, results: Table) -> Path:
    """Write the report of a run, finished or not, into its folder. ``results`` is its final table.

    Raises GanlmError when the disk refuses, or when what the run left there is damaged.
    """
    write_file(run.report, render(run, host, results).encode())
    return run.report


def render(run: RunFolder, host: Host, results: Table) -> str:
    """The page. The same run gives the same text."""
    config, info = run.load_config(host), run.info()
    evaluation = evaluation_of(run)
    samples = dict(_samples(run))
    last = run.last_samples()[:SHOWN]
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        title=f"{config.generator.name} against {config.discriminator.name} on {config.corpus.name}",
        config=config,
        info=info,
        command=shlex.join(["ganlm", "run", "--config", str(run.path / "config.toml")]),
        evaluation=evaluation,
        results=results,
        troubles=[*_troubles(run)],
        training=[(each.title, figures.svg(each)) for each in training_figures(run.step_records())],
        quality=[(each.title, figures.svg(each)) for each in evaluation_figures(run.glance_records(), evaluation)],
        samples=samples,
        neighbours=_neighbours(last, config, host),
        toml=run.config(),
    )


def _troubles(run: RunFolder) -> Iterator[str]:
    """What went wrong in the course of the run, and why it ended before its last step."""
    for record in run.read_metrics():
        if "collapse" in record:
            yield f"The generator had collapsed at step {record['step']}: {record['collapse']}."
        if "rollback" in record:
            yield f"Back to step {record['step']}: {record['reason']}."
    if "stopped" in run.info():
        yield f"Stopped: {run.info()['stopped']}."


def training_figures(steps: Sequence[Mapping[str, Any]]) -> list[Figure]:
    """The losses together, the gradient norms together, and every other number of the steps by itself."""
    names = list(dict.fromkeys(name for record in steps for name in record if name not in ("step", "tokens")))
    groups: dict[str, list[str]] = {}
    for name in names:
        kind = next((kind for kind in ("loss", "gradient norm") if name.endswith(f"_{kind.replace(' ', '_')}")), name)
        groups.setdefault({"loss": "losses", "gradient norm": "gradient norms"}.get(kind, kind), []).append(name)
    return [
        Figure(title, "step", title.replace("_", " "), [_curve(steps, name, _short(name, title)) for name in members])
        for title, members in sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
    ]


def evaluation_figures(glances: Sequence[Mapping[str, Any]], evaluation: Mapping[str, Any]) -> list[Figure]:
    """Each metric in the course of the training, with the levels of real text and of the unigram model."""
    points = [{"step": glance["step"], **glance["evaluation"]} for glance in glances]
    names = list(dict.fromkeys(name for point in points for name in point if name != "step"))
    found = []
    for name in names:
        levels = {
            title: evaluation[key][name]
            for key, title in (("real", "real text"), ("unigram", "unigram model"))
            if name in evaluation.get(key, {})
        }
        title = name.replace("_", " ")
        found.append(Figure(title, "step", title, [_curve(points, name, title)], levels))
    return found


def _short(name: str, title: str) -> str:
    return name.removesuffix("_loss").removesuffix("_gradient_norm").replace("_", " ") if title != name else title


def _curve(records: Sequence[Mapping[str, Any]], name: str, title: str) -> Curve:
    points = [(record["step"], record[name]) for record in records if name in record]
    size = -(-len(points) // POINTS)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    x, y = ([sum(point[axis] for point in group) / len(group) for group in groups] for axis in (0, 1))
    return Curve(title, x, y)


def _samples(run: RunFolder) -> Iterator[tuple[int, list[str]]]:
    for file in sorted(run.samples.glob("step-*.txt")):
        step = re.fullmatch(r"step-(\d+)\.txt", file.name)
        if step:
            yield int(step[1]), read_text(file).splitlines()[:SHOWN]


@dataclass(frozen=True)
class Neighbour:
    """A sample, and the training sentence that shares most with it. ``shared`` is 1 for the same sentence."""

    sample: str
    training: str
    shared: float


def nearest(samples: Sequence[str], training: Sequence[str]) -> list[Neighbour]:
    """The nearest training sentence of each sample by Dice's coefficient of their words and pairs of words.

    Where no training sentence has a space, by its characters. Of several, the first. Dice 1945.
    """
    split: Callable[[str], list[str]] = str.split if any(" " in text for text in training) else list
    known = {text: _grams(split(text)) for text in dict.fromkeys(training)}
    sizes = {text: grams.total() for text, grams in known.items()}
    index: dict[str, list[str]] = {}
    for text, grams in known.items():
        for gram in grams:
            index.setdefault(gram, []).append(text)
    found = []
    for sample in samples:
        grams, shared = _grams(split(sample)), Counter[str]()
        for gram, count in grams.items():
            for text in index.get(gram, ()):
                shared[text] += min(count, known[text][gram])
        scores = {text: 2 * count / (grams.total() + sizes[text]) for text, count in shared.items()}
        best = max(scores, key=scores.__getitem__, default="")
        found.append(Neighbour(sample, best, scores.get(best, 0.0)))
    return found


def _grams(words: Sequence[str]) -> Counter[str]:
    return Counter([*words, *map(" ".join, itertools.pairwise(words))])


def _neighbours(samples: Sequence[str], config: RunConfig, host: Host) -> list[Neighbour]:
    """Empty where the training data are no longer there."""
    try:
        corpus = host.build("corpus", config.corpus.name, config.corpus.options)
    except GanlmError:
        return []
    return nearest(samples, corpus.train)
