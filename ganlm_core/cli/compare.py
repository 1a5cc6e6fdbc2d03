"""``ganlm compare``: the quality of methods at matched diversity, over seeds."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganlm_core.cli.context import current_host
from ganlm_core.cli.options import PATH, force_option, json_option
from ganlm_core.cli.output import echo_json, note
from ganlm_core.evaluation.scores import Scores
from ganlm_core.system.files import check_free, write_file
from ganlm_core.training.run_folder import RunFolder

if TYPE_CHECKING:
    from ganlm_core.plugins.host import Host


@click.command(context_settings={"show_default": True})
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=PATH)
@click.option("--quality", default="bleu4", metavar="MEASURE", help="measure of quality to compare")
@click.option(
    "--diversity",
    default="self_bleu4",
    metavar="MEASURE",
    help="measure of diversity; runs are compared at the value that real text has",
)
@click.option("--out", type=PATH, default="compare.html", metavar="FILE", help="the HTML page to write")
@force_option
@json_option
def compare(runs: Sequence[Path], quality: str, diversity: str, out: Path, force: bool, as_json: bool) -> None:
    """Compare the quality of runs at the same diversity, interpolated on their curves over temperature.

    Runs that differ only in their seed count as one method; the spread over seeds shows how much of a lead may be
    chance. Each run is also compared with its own warm-up. A run without an evaluation is evaluated first, as
    'ganlm eval RUN' does. The comparison is also written as an HTML page.
    """
    from ganlm_core.evaluation import compare, pages

    host, groups = current_host(), group(runs)
    check_free(out, force)
    evaluations = {title: [_scores(host, run) for run in members] for title, members in groups.items()}
    found = compare.compare(evaluations, quality, diversity)
    command = ["ganlm", "compare", *map(str, runs), "--quality", quality, "--diversity", diversity]
    write_file(out, pages.compared(found, evaluations, groups, shlex.join(command)).encode())
    if as_json:
        echo_json(found.to_dict())
    else:
        from ganlm_core.cli.tables import show_comparison

        show_comparison(found)
    note(f"page: {out}")


def group(runs: Sequence[Path]) -> dict[str, list[RunFolder]]:
    """Group runs that differ only in their seed, by title. Raises UsageError for a path that is not a run."""
    found: dict[str, list[RunFolder]] = {}
    for path in runs:
        folder = RunFolder.open(path)
        config = folder.tables()
        config["training"].pop("seed", None)
        key = json.dumps(config, sort_keys=True)
        found.setdefault(key, []).append(folder)
    titles = [members[0].title() for members in found.values()]
    return {
        title if titles.count(title) == 1 else f"{title} ({', '.join(str(each.path) for each in members)})": members
        for title, members in zip(titles, found.values(), strict=True)
    }


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
