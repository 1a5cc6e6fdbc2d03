"""``ganlm compare``: the quality of methods at matched diversity, over seeds."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganlm_core.cli.context import current_host
from ganlm_core.cli.options import FOLDER, PATH, force_option, form_options, refuse_beside
from ganlm_core.cli.output import echo, echo_data, echo_json, note
from ganlm_core.cli.sweep import resuming
from ganlm_core.cli.types import PLACES, Separated
from ganlm_core.errors import UsageError
from ganlm_core.evaluation.scores import Scores
from ganlm_core.sweep.folder import SWEEP, SweepFolder
from ganlm_core.system.files import check_free, write_file, writing
from ganlm_core.training.run_folder import RunFolder

if TYPE_CHECKING:
    from ganlm_core.evaluation.figures import Figure
    from ganlm_core.evaluation.repeated import Groups
    from ganlm_core.plugins.host import Host


WITH_AT = ("runs", "quality", "measures", "curves", "out", "force", "format", "json")
"""The other options that a comparison reads with ``--at``."""


@click.command(context_settings={"show_default": True})
@click.argument("runs", metavar="FOLDER|RUN...", nargs=-1, required=True, type=PATH)
@click.option("--quality", default="bleu4", metavar="MEASURE", help="measure of quality to compare")
@click.option(
    "--diversity",
    default="self_bleu4",
    metavar="MEASURE",
    help="measure of diversity; runs are compared at the value that real text has",
)
@click.option(
    "--at",
    type=PLACES,
    metavar="MEASURE=NUMBERS",
    help="compare where any measure has these values, comma-separated, instead of at the diversity of real text",
)
@click.option("--measures", type=Separated(), metavar="NAMES", help="measures of the table, comma-separated")
@click.option("--curves", type=FOLDER, metavar="FOLDER", help="also write curves as CSV, and as PDF and SVG figures")
@click.option("--out", type=PATH, default="compare.html", metavar="FILE", help="the HTML page to write")
@force_option
@form_options
def compare(
    runs: Sequence[Path],
    quality: str,
    diversity: str,
    at: tuple[str, Sequence[float]] | None,
    measures: Sequence[str] | None,
    curves: Path | None,
    out: Path,
    force: bool,
    form: str,
) -> None:
    """Compare the quality of runs at the same diversity, interpolated on their curves over temperature.

    FOLDER is a sweep, whose finished runs are compared. Runs that differ only in their seed count as one method; the
    spread over seeds shows how much of a lead may be chance, corrected for the number of comparisons. Each run is also
    compared with its own warm-up. A run without an evaluation is evaluated first, as 'ganlm eval RUN' does. The
    comparison is also written as an HTML page.

    With --at, --quality may be any measure: '--at process_nll_token=9,8 --quality test_nll' compares the likelihood of
    real text where sentences are equally likely under the process of the corpus.
    """
    from ganlm_core.evaluation import compare, pages, repeated

    if at is not None:
        refuse_beside("at", allowed=WITH_AT)
    host, groups = current_host(), group(runs)
    check_free(out, force)
    evaluations = {title: [_scores(host, run) for run in members] for title, members in groups.items()}
    if at is None:
        found, also = compare.compare(evaluations, quality, diversity), []
    else:
        found, *also = (compare.compare(evaluations, quality, at[0], value) for value in at[1])
    notes = repeated.differing(groups)
    command = ["ganlm", "compare", *map(str, runs), "--quality", quality, *_place(diversity, at)]
    write_file(out, pages.compared(found, evaluations, groups, shlex.join(command), notes, also).encode())
    table = repeated.table(found, evaluations, measures or (), notes, also)
    if form == "json":
        others = {"also": [each.to_dict() for each in also]} if also else {}
        echo_json({**found.to_dict(), **others, "notes": notes, "rows": table.records()})
    elif form == "csv":
        echo_data(repeated.every_value(evaluations).csv())
    elif form != "table":
        echo_data(table.text(form))
    else:
        from ganlm_core.cli.tables import show_comparison

        for each in (found, *also):
            show_comparison(each)
        for line in notes:
            echo(line)
    if curves is not None:
        tradeoff = {"quality_and_diversity": pages.tradeoff(found, compare.means(evaluations))}
        _write_curves(curves, groups, tradeoff | repeated.curves(groups))
        note(f"curves: {curves}")
    note(f"page: {out}")


def _place(diversity: str, at: tuple[str, Sequence[float]] | None) -> list[str]:
    """Return the options that say where runs are compared."""
    if at is None:
        return ["--diversity", diversity]
    return ["--at", f"{at[0]}={','.join(f'{value:g}' for value in at[1])}"]


def group(paths: Sequence[Path]) -> dict[str, list[RunFolder]]:
    """Group runs that differ only in their seed, by title. Raises UsageError for a path that is no run and no sweep.

    The runs of one sweep are named by the settings that its plan varies.
    """
    from ganlm_core.evaluation.repeated import grouped, without_repeats
    from ganlm_core.sweep import results

    if len(paths) == 1 and (paths[0] / SWEEP).is_file():
        found = results.grouped(SweepFolder(paths[0]))
        if not found:
            raise UsageError(f"no run of {paths[0]} is finished; go on with: {resuming(paths[0])}")
        return found
    runs, again = without_repeats(list(_runs(paths)))
    if again:
        note(f"{', '.join(str(run.path) for run in again)}: left out, another run has the same configuration and seed")
    return grouped(runs)


def _runs(paths: Sequence[Path]) -> Iterator[RunFolder]:
    from ganlm_core.sweep.results import finished

    for path in paths:
        if (path / SWEEP).is_file():
            yield from finished(SweepFolder(path)).values()
        else:
            yield RunFolder.open(path)


def _write_curves(folder: Path, groups: "Groups", figures: "Mapping[str, Figure]") -> None:
    """Write curves.csv, and each figure, by its name, as PDF and as SVG."""
    from ganlm_core.evaluation.figures import printed
    from ganlm_core.evaluation.repeated import curves_csv

    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / "curves.csv", curves_csv(groups).encode())
    for name, figure in figures.items():
        for form in ("pdf", "svg"):
            write_file(folder / f"{name.replace('_', '-')}.{form}", printed(figure, form))


def _scores(host: "Host", run: RunFolder) -> Scores:
    """Return the evaluation of a run. If there is none, evaluate the run and write it."""
    if not run.evaluation.exists():
        from ganlm_core.evaluation.evaluate import EvaluationSettings, choose_metrics, evaluate
        from ganlm_core.evaluation.sources import open_sources, real_text
        from ganlm_core.system.devices import keep_memory

        keep_memory()
        note(f"evaluating {run.path}")
        sources = open_sources(host, [str(run.path)])
        evaluate(host, sources, real_text(host, sources), EvaluationSettings(choose_metrics(host))).write(
            run.evaluation
        )
    return Scores.read(run.evaluation)
