"""The table of a sweep: the results of its runs, with the seeds of a setting as its repetitions."""

import json
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from ganlm_core.evaluation.scores import REFERENCES, column_of, ordered
from ganlm_core.evaluation.tables import Cell, Number, Table
from ganlm_core.metrics.formatting import SHARES
from ganlm_core.sweep.folder import Entry, SweepFolder
from ganlm_core.training.run_folder import RunFolder

SEEDS = ("seed", "training.seed")

Group = list[RunFolder]


def finished(sweep: SweepFolder) -> dict[str, RunFolder]:
    """Return the finished runs of a sweep by name."""
    runs = {entry.name: RunFolder(sweep.path / entry.name) for entry in sweep.entries()}
    return {name: run for name, run in runs.items() if run.path.is_dir() and run.is_finished}


def table(sweep: SweepFolder) -> Table:
    """Return the results of the finished runs: a row for each setting but the seed, with its runs as repetitions.

    Below them are the reference rows of each text that was trained on, which no run changes.
    """
    groups = grouped(sweep)
    results = {title: [run.results() for run in runs] for title, runs in groups.items()}
    names = ordered(name for found in results.values() for each in found for name in each["after"])
    rows: list[list[Cell]] = []
    for title, found in results.items():
        seconds = Number.of(float(run.info().get("cpu_seconds", 0)) for run in groups[title])
        after = [each["after"] for each in found]
        rows.append([title, str(len(found)), *(Number.of_each(after, name, name in SHARES) for name in names), seconds])
    for title, shared in _references(groups):
        rows.append([title, "", *(Number.of_shared(shared, name, name in SHARES) for name in names), ""])
    header = ["", "runs", *map(column_of, names), "CPU seconds"]
    first = next((each for found in results.values() for each in found), {})
    return Table(header, rows, "Results of the sweep: mean ± standard deviation over runs.", _notes(sweep, first))


def grouped(sweep: SweepFolder) -> dict[str, Group]:
    """Return the finished runs by the settings in which they differ, without the seed."""
    runs, found = finished(sweep), dict[str, Group]()
    for entry in sweep.entries():
        if entry.name in runs:
            found.setdefault(title_of(entry), []).append(runs[entry.name])
    return found


def title_of(entry: Entry) -> str:
    """Return the settings of a run in words, without its seed: ``seqgan, hidden-size 64``."""
    told = [_told(key, value) for key, value in entry.settings.items() if key not in SEEDS]
    return ", ".join(told) or "all runs"


def _told(key: str, value: Any) -> str:
    if key in ("recipe", "data", "variant", "gen", "disc", "generator", "discriminator"):
        return str(value)
    return f"{key} {value}"


def _references(groups: Mapping[str, Group]) -> Iterator[tuple[str, list[tuple[Any, Mapping[str, float]]]]]:
    """Yield the reference rows of each text with their values in all runs on it, each with the seed of its run."""
    texts: dict[str, list[RunFolder]] = {}
    for run in chain.from_iterable(groups.values()):
        corpus = run.info().get("corpus", {})
        texts.setdefault(json.dumps(corpus, sort_keys=True), []).append(run)
    for text, runs in texts.items():
        name = json.loads(text).get("name", "") if len(texts) > 1 else ""
        evaluations = [(run.tables()["training"].get("seed"), run.results()) for run in runs]
        for key, title in REFERENCES.items():
            if found := [(seed, each[key]) for seed, each in evaluations if key in each]:
                yield (f"{title} ({name})" if name else title), found


def _notes(sweep: SweepFolder, first: Mapping[str, Any]) -> list[str]:
    notes = []
    if first:
        notes.append(f"{first['samples']:,} sentences of each run at temperature {first['temperature']:g}.")
    missing = len(sweep.entries()) - len(finished(sweep))
    if missing:
        notes.append(f"{missing} of {len(sweep.entries())} runs are not finished and are left out.")
    return notes
