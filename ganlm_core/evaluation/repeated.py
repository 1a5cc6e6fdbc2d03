"""Runs in groups, with seeds as repetitions: their names, their tables with spreads, their curves with bands."""

import csv
import io
import json
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ganlm_core.components import Measure
from ganlm_core.evaluation.captions import caption_of, in_order
from ganlm_core.evaluation.compare import Comparison, Standing, is_shared, named_rows
from ganlm_core.evaluation.figures import Band, Curve, Figure
from ganlm_core.evaluation.scores import ARROWS, MARK, REFERENCES, Row, Scores, titled
from ganlm_core.evaluation.tables import Cell, Number, Table
from ganlm_core.metrics.interim import title_of
from ganlm_core.system.toml import flat
from ganlm_core.training.run_folder import RunFolder

Groups = Mapping[str, Sequence[RunFolder]]

SHOWN = ("valid", "process_nll", "distinct", "copied", "test_nll", "frechet")
"""The default measures of a manuscript's table; missing measures are left out."""

TEMPERATURE = 1.0
"""The temperature of that table."""


def without_repeats(runs: Sequence[RunFolder]) -> tuple[list[RunFolder], list[RunFolder]]:
    """Return the first run of each configuration, seed included, and the rest, which is no further evidence."""
    first: dict[str, RunFolder] = {}
    again = []
    for run in runs:
        config = json.dumps(run.tables(), sort_keys=True)
        if config in first:
            again.append(run)
        else:
            first[config] = run
    return list(first.values()), again


def grouped(runs: Sequence[RunFolder]) -> dict[str, list[RunFolder]]:
    """Group runs that differ only in their seed. Equal titles also get the settings that differ, or else the paths."""
    found: dict[str, list[RunFolder]] = {}
    for run in runs:
        config = run.tables()
        config["training"].pop("seed", None)
        found.setdefault(json.dumps(config, sort_keys=True), []).append(run)
    titles = [members[0].title() for members in found.values()]
    settings = [dict(flat(json.loads(key))) for key in found]
    named: dict[str, list[RunFolder]] = {}
    for title, own, members in zip(titles, settings, found.values(), strict=True):
        others = [each for other, each in zip(titles, settings, strict=True) if other == title and each is not own]
        full = f"{title} ({_told(own, others)})" if others else title
        if full in named:
            full = f"{title} ({', '.join(str(each.path) for each in members)})"
        named[full] = members
    return named


def _told(own: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> str:
    """Return the settings in which a group differs from the others of its title."""
    keys = [key for key, value in own.items() if any(other.get(key) != value for other in others)]
    return ", ".join(f"{key.rpartition('.')[2].replace('_', '-')} {own[key]}" for key in keys)


def differing(groups: Groups) -> list[str]:
    """Return a note for each difference between runs that makes their numbers incomparable."""
    notes = []
    for name, seen in (("tokenizers", _tokenizer), ("lengths", _length)):
        kinds: dict[str, list[str]] = {}
        for title, runs in groups.items():
            for run in runs:
                titles = kinds.setdefault(seen(run), [])
                titles.extend({title} - set(titles))
        if len(kinds) > 1:
            told = "; ".join(f"{kind}: {', '.join(titles)}" for kind, titles in kinds.items())
            notes.append(
                f"the runs have other {name} ({told}), so values per token and perplexities are not comparable"
                if name == "tokenizers"
                else f"the runs write texts of other {name} ({told}), so longer ones are cut in some of them"
            )
    return notes


def _tokenizer(run: RunFolder) -> str:
    table = run.tables()["tokenizer"]
    (name, options), *_ = table.items()
    return f"{name}, vocabulary {options.get('vocabulary', 0) or 'of the text'}"


def _length(run: RunFolder) -> str:
    return str(run.info().get("shape", {}).get("length", "unknown"))


def table(
    found: Comparison,
    evaluations: Mapping[str, Sequence[Scores]],
    names: Sequence[str] = (),
    notes: Sequence[str] = (),
    also: Sequence[Comparison] = (),
) -> Table:
    """Return the table of a manuscript: quality at matched diversity, and measures at temperature 1, over seeds.

    ``names`` are measures; by default those of SHOWN that were made. ``also`` are comparisons at other values of the
    same measure, each with a column of its own. References come last.
    """
    rows, first = _by_name(evaluations), next(iter(evaluations.values()))[0]
    wanted = [each for each in first.all_measures if each.name in (names or SHOWN)]
    every = [found, *also]
    cells: list[list[Cell]] = []
    for title, own in rows.items():
        standings = [next((one for one in each.standings if one.title == title), None) for each in every]
        matched: list[Cell] = [_matched(each, one) if one else "" for each, one in zip(every, standings, strict=True)]
        at = [row for row in own if row.temperature in (None, TEMPERATURE)]
        seeds = next((one.seeds for one in standings if one), len(at))
        cells.append([title, str(seeds), *matched, *(_number(at, each) for each in wanted)])
    for row in first.rows:
        if row.kind in REFERENCES:
            real: Cell = Number(found.real.quality, share=found.quality.share) if row.kind == "real" else ""
            cells.append([row.shown, "", *[real] * len(every), *(_number([row], each) for each in wanted)])
    header = ["", "seeds", *(f"{each.column}{ARROWS.get(found.quality.better, '')}" for each in every)]
    header += map(titled, wanted)
    told = f"Mean ± standard deviation over seeds; {found}; all other values at temperature {TEMPERATURE:g}."
    verdicts = [verdict for each in every for verdict in each.verdicts()]
    return Table(header, cells, "Comparison of methods.", [told, *notes, *verdicts])


def _matched(found: Comparison, one: Standing) -> Number:
    return Number(one.quality, one.spread, one.seeds, found.quality.share, MARK * found.seeks_modes(one))


def every_value(evaluations: Mapping[str, Sequence[Scores]]) -> Table:
    """Return every measure of every method at every temperature, over seeds, and the references."""
    first = next(iter(evaluations.values()))[0]
    measures = first.all_measures
    cells: list[list[Cell]] = []
    for title, own in _by_name(evaluations).items():
        for temperature in dict.fromkeys(row.temperature for row in own):
            at = [row for row in own if row.temperature == temperature]
            cells.append([title, at[0].at, str(len(at)), *(_number(at, each) for each in measures)])
    for row in (row for row in first.rows if row.is_reference):
        cells.append([row.shown, "", "", *(_number([row], each) for each in measures)])
    return Table(["", "T", "seeds", *(each.title for each in measures)], cells)


def _by_name(evaluations: Mapping[str, Sequence[Scores]]) -> dict[str, list[Row]]:
    """Return the rows of each method and baseline over all seeds; equal rows of one baseline count once."""
    found: dict[str, list[Row]] = {}
    for title, scores in evaluations.items():
        for each in scores:
            for name, row in named_rows(each, title):
                rows = found.setdefault(name, [])
                if not is_shared(name, row) or row not in rows:
                    rows.append(row)
    return found


def _number(rows: Sequence[Row], measure: Measure) -> Number:
    return Number.of_each([row.values for row in rows], measure.name, measure.share)


def curves(groups: Groups) -> dict[str, Figure]:
    """Return a figure for each value of the interim evaluations: the mean over the seeds of a group, with a band."""
    interims = {title: [_interims(run) for run in runs] for title, runs in groups.items()}
    names = dict.fromkeys(
        name for found in interims.values() for one in found for point in one.values() for name in point
    )
    made = {}
    for name in in_order(names):
        title, caption = title_of(name), caption_of(name)
        drawn = [_curve(group, found, name) for group, found in interims.items()]
        if any(each.band for each in drawn):
            caption = f"{caption} The band is one standard deviation over seeds to either side."
        made[name] = Figure(title, "step", title, drawn, caption=caption)
    return made


def _interims(run: RunFolder) -> dict[int, Mapping[str, float]]:
    """Return the values of each interim evaluation by its step, without those that were not finite."""
    return {
        record["step"]: {name: value for name, value in record["evaluation"].items() if value is not None}
        for record in run.metrics.interims()
    }


def _curve(title: str, runs: Sequence[Mapping[int, Mapping[str, float]]], name: str) -> Curve:
    """Return the mean of a value over runs at the steps that all of them have."""
    steps = [step for step in sorted(set.intersection(*map(set, runs)) if runs else ()) if _all_have(runs, step, name)]
    values = [[run[step][name] for run in runs] for step in steps]
    means = [statistics.fmean(each) for each in values]
    if len(runs) < 2:
        return Curve(title, steps, means)
    spreads = [statistics.stdev(each) for each in values]
    low, high = ([mean + sign * by for mean, by in zip(means, spreads, strict=True)] for sign in (-1, 1))
    return Curve(title, steps, means, band=Band(low, high))


def _all_have(runs: Sequence[Mapping[int, Mapping[str, float]]], step: int, name: str) -> bool:
    return all(name in run[step] for run in runs)


def curves_csv(groups: Groups) -> str:
    """Return the values of all interim evaluations as CSV: a line for each run, step and value."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["method", "run", "seed", "step", "measure", "value"])
    for title, runs in groups.items():
        for run in runs:
            seed = run.tables()["training"].get("seed", 0)
            for step, values in _interims(run).items():
                writer.writerows([title, run.path.name, seed, step, name, value] for name, value in values.items())
    return out.getvalue()
