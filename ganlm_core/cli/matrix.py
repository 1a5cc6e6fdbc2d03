"""``ganlm matrix``: train every generator against every discriminator, and print one table."""

import itertools
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from ganlm_core.cli.context import current_host
from ganlm_core.cli.options import FOLDER, form_of_file, form_options, table_out_option
from ganlm_core.cli.output import echo_data, echo_json, echo_table, note
from ganlm_core.cli.sweep import local, resuming, train_plan
from ganlm_core.cli.types import POSITIVE_COUNT, Name, Separated
from ganlm_core.config.run_config import parse_toml
from ganlm_core.errors import GanlmError, Interrupted, UsageError
from ganlm_core.evaluation.scores import REFERENCES, TITLES, metric_cells
from ganlm_core.evaluation.tables import Table
from ganlm_core.sweep.job import Trained
from ganlm_core.sweep.plan import named_plan, run_names
from ganlm_core.sweep.settings import file_name
from ganlm_core.system.files import to_json, write_file

SAMPLES = 3
"""Sentences of each pair on the page."""

CHOICES = {"--gen": "--gens", "--disc": "--discs"}
"""Options that differ from pair to pair, and the options that list their values."""

Cells = Mapping[tuple[str, str], Trained]
"""Runs by generator and discriminator."""


@click.command(context_settings={"ignore_unknown_options": True, "show_default": True})
@click.option(
    "--gens", type=Separated(Name("generator")), metavar="NAMES", help="generators, comma-separated; by default all"
)
@click.option(
    "--discs",
    type=Separated(Name("discriminator")),
    metavar="NAMES",
    help="discriminators, comma-separated; by default all",
)
@click.option("--jobs", type=POSITIVE_COUNT, default=1, help="number of runs at once")
@click.option("--threads", type=POSITIVE_COUNT, default=1, help="threads of each run")
@click.option("--folder", type=FOLDER, default=Path("runs/matrix"), metavar="FOLDER", help="folder of the runs")
@form_options
@table_out_option
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[SETTINGS OF RUN]...")
def matrix(
    gens: Sequence[str] | None,
    discs: Sequence[str] | None,
    jobs: int,
    threads: int,
    folder: Path,
    form: str,
    table_out: Path | None,
    options: tuple[str, ...],
) -> None:
    """Train every generator against every discriminator and print one table.

    This is short for 'ganlm sweep' over --gen and --disc. Flags that are not listed below, such as --data FILE,
    --steps N or --seed S, are set in every run. Runs that are already finished in --folder are not trained again, and
    interrupted runs are resumed. Runs in --folder that were started with other options are refused.

    With --format markdown, the table becomes a page with the settings and samples of the pairs.
    """
    for flag in (word.partition("=")[0] for word in options):
        if flag in CHOICES:
            raise UsageError(f"{flag} differs from pair to pair; list the names to use with {CHOICES[flag]}")
    host = current_host()
    pairs = list(itertools.product(gens or host.specs("generator"), discs or host.specs("discriminator")))
    form = form_of_file(table_out, form) if table_out is not None else form
    names = run_names(file_name(f"{gen}-{disc}") for gen, disc in pairs)
    words = [["--gen", gen, "--disc", disc, *options] for gen, disc in pairs]
    plan = named_plan(host, dict(zip(names, words, strict=True)), threads)
    cells = dict(zip(pairs, train_plan(plan, folder, local(jobs, threads)), strict=True))
    _show(cells, _command(gens, discs, options), form, table_out)
    _finish(cells, folder)


def _command(gens: Sequence[str] | None, discs: Sequence[str] | None, options: Sequence[str]) -> str:
    given = (("--gens", gens), ("--discs", discs))
    chosen = [word for flag, names in given if names for word in (flag, ",".join(names))]
    return shlex.join(["ganlm", "matrix", *chosen, *options])


def _show(cells: Cells, command: str, form: str, out: Path | None) -> None:
    """Print the results, or write them to ``out`` and print the table for people."""
    header, *rows = Table(_header(), list(_rows(cells))).lines()
    text = _page(cells, header, rows, command) if form == "markdown" else ""
    if out is not None:
        write_file(out, (text or _text(cells, header, rows, form)).encode())
        note(f"table: {out}")
    if out is None and form == "json":
        echo_json(_records(cells))
    elif out is None and form != "table":
        echo_data(text or _text(cells, header, rows, form))
    else:
        echo_table(header, rows)


def _text(cells: Cells, header: Sequence[str], rows: Sequence[Sequence[str]], form: str) -> str:
    return to_json(_records(cells), indent=2) + "\n" if form == "json" else Table(header, rows).text(form)


def _records(cells: Cells) -> list[dict[str, Any]]:
    return [
        {"generator": gen, "discriminator": disc, "failure": cell.failure, **cell.evaluation}
        for (gen, disc), cell in cells.items()
    ]


def _finish(cells: Cells, folder: Path) -> None:
    if any(cell.interrupted for cell in cells.values()):
        raise Interrupted(f"stopped; all runs are saved, go on with: {resuming(folder)}")
    failed = {pair: cell.failure for pair, cell in cells.items() if cell.failure}
    if failed:
        (gen, disc), failure = next(iter(failed.items()))
        raise GanlmError(f"{len(failed)} of {len(cells)} pairs failed; the first, {gen} against {disc}: {failure}")


def _header() -> list[str]:
    return ["generator", "discriminator", *TITLES.values(), "CPU seconds"]


def _rows(cells: Cells) -> Iterator[list[str]]:
    """Yield a row for each pair, then real text and the unigram model, which are the same for all pairs."""
    for pair, cell in cells.items():
        seconds = "failed" if cell.failure else f"{cell.cpu_seconds:.0f}"
        yield [*pair, *metric_cells(cell.evaluation.get("after", {})), seconds]
    for key, title in REFERENCES.items():
        found = next((cell.evaluation.get(key) for cell in cells.values() if not cell.failure), None)
        if found is not None:
            yield [title, "", *metric_cells(found), ""]


def _page(cells: Cells, header: Sequence[str], rows: Sequence[Sequence[str]], command: str) -> str:
    import jinja2

    from ganlm_core.system.devices import machine

    done = {" against ".join(pair): cell for pair, cell in cells.items() if not cell.failure}
    template = Path(__file__).parent / "templates" / "matrix.md.j2"
    return (
        jinja2.Environment(trim_blocks=True, keep_trailing_newline=True)
        .from_string(template.read_text())
        .render(
            command=command,
            machine=machine(),
            header=header,
            rows=rows,
            evaluation=next((cell.evaluation for cell in done.values()), {}),
            failures={" against ".join(pair): cell.failure for pair, cell in cells.items() if cell.failure},
            settings=_settings(done),
            samples={title: cell.samples[:SAMPLES] for title, cell in done.items()},
        )
    )


def _settings(done: Mapping[str, Trained]) -> dict[str, str]:
    """Return the configuration of the first pair of each recipe; the other pairs differ only in their networks."""
    found: dict[str, tuple[str, str]] = {}
    for title, cell in done.items():
        found.setdefault(parse_toml(cell.config, title)["recipe"], (title, cell.config))
    return {f"Recipe `{recipe}`, as for {title}": toml for recipe, (title, toml) in found.items()}
