"""``ganlm compare``: who is ahead at matched diversity, over seeds."""

import json
import shlex
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganlm_core.cli.context import current_host
from ganlm_core.cli.output import echo_json, json_option
from ganlm_core.evaluation.scores import Scores, check_free
from ganlm_core.system.files import write_file
from ganlm_core.training.run_folder import RunFolder

if TYPE_CHECKING:
    from ganlm_core.plugins.host import Host


@click.command(context_settings={"show_default": True})
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--quality", default="bleu4", metavar="MEASURE", help="what is compared")
@click.option("--diversity", default="self_bleu4", metavar="MEASURE", help="where it is compared: as in real text")
@click.option("--out", type=click.Path(path_type=Path), default="compare.html", metavar="FILE", help="the page")
@click.option("--force", is_flag=True, help="replace a page that is there")
@json_option
def compare(runs: Sequence[Path], quality: str, diversity: str, out: Path, force: bool, as_json: bool) -> None:
    """Compare runs by their quality at the same diversity, on their curves over temperature.

    Runs that differ in their seed alone are one method, and their spread says what of a lead may be chance. Each run
    is compared with its own warm-up too. A run without an evaluation gets one, as 'ganlm eval RUN' makes it. All of it
    is also a page, compare.html, that opens by double click.
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
    click.echo(f"page: {out}", err=True)


def group(runs: Sequence[Path]) -> dict[str, list[RunFolder]]:
    """Runs by what they are, those that differ in their seed alone together. Raises UsageError for what is no run."""
    found: dict[str, list[RunFolder]] = {}
    for path in runs:
        folder = RunFolder.open(path)
        config = tomllib.loads(folder.config())
        config["training"].pop("seed", None)
        key = json.dumps(config, sort_keys=True)
        found.setdefault(key, []).append(folder)
    titles = [_title(members[0]) for members in found.values()]
    return {
        title if titles.count(title) == 1 else f"{title} ({', '.join(str(each.path) for each in members)})": members
        for title, members in zip(titles, found.values(), strict=True)
    }


def _title(run: RunFolder) -> str:
    return f"{run.title()} by {tomllib.loads(run.config())['recipe']}"


def _scores(host: "Host", run: RunFolder) -> Scores:
    """The evaluation of a run; made and kept if there is none."""
    if not run.evaluation.exists():
        from ganlm_core.evaluation.evaluate import EvaluationSettings, choose_metrics, evaluate
        from ganlm_core.evaluation.sources import open_sources, real_text
        from ganlm_core.system.devices import keep_memory

        keep_memory()
        click.echo(f"evaluating {run.path}", err=True)
        sources = open_sources(host, [str(run.path)])
        evaluate(host, sources, real_text(host, sources), EvaluationSettings(choose_metrics(host))).write(
            run.evaluation
        )
    return Scores.read(run.evaluation)
