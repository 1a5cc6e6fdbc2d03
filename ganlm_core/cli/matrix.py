"""``ganlm matrix``: train every generator against every discriminator, and print one table."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from ganlm_core.cli.context import current_host, invocation
from ganlm_core.cli.options import PATH, json_option
from ganlm_core.cli.output import echo_json, echo_table
from ganlm_core.cli.sweep import Trained, train_all
from ganlm_core.cli.types import POSITIVE_COUNT, Name, Separated
from ganlm_core.config.run_config import parse_toml
from ganlm_core.errors import GanlmError, UsageError
from ganlm_core.evaluation.scores import REFERENCES, TITLES, metric_cells
from ganlm_core.metrics.formatting import without_empty_columns
from ganlm_core.system.files import write_file

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
@click.option("--jobs", type=POSITIVE_COUNT, default=1, help="number of runs at once; they share the cores")
@click.option("--out", type=PATH, default=Path("runs/matrix"), metavar="FOLDER", help="folder of the runs")
@click.option("--page", type=PATH, metavar="FILE", help="also write the table as a Markdown page")
@json_option
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF RUN]...")
def matrix(
    gens: Sequence[str] | None,
    discs: Sequence[str] | None,
    jobs: int,
    out: Path,
    page: Path | None,
    as_json: bool,
    options: tuple[str, ...],
) -> None:
    """Train every generator against every discriminator and print one table.

    Options that are not listed below, such as --data FILE, --steps N or --seed S, are passed to every run. Runs that
    are already finished in --out are not trained again, and interrupted runs are resumed. Runs in --out that were
    started with other options are refused.
    """
    for flag in (word.partition("=")[0] for word in options):
        if flag in CHOICES:
            raise UsageError(f"{flag} differs from pair to pair; list the names to use with {CHOICES[flag]}")
    host = current_host()
    pairs = [
        (host.spec("generator", gen).name, host.spec("discriminator", disc).name)
        for gen in gens or host.specs("generator")
        for disc in discs or host.specs("discriminator")
    ]
    folders = {out / f"{gen}-{disc}": ["--gen", gen, "--disc", disc, *options] for gen, disc in pairs}
    plugins = [argument for file in invocation().files for argument in ("--plugin", file)]
    cells = dict(zip(pairs, train_all(folders, jobs, plugins), strict=True))
    header, *rows = without_empty_columns([_header(), *_rows(cells)])
    if page is not None:
        given = (("--gens", gens), ("--discs", discs))
        chosen = [word for flag, names in given if names for word in (flag, ",".join(names))]
        write_file(page, _page(cells, header, rows, shlex.join(["ganlm", "matrix", *chosen, *options])).encode())
    if as_json:
        echo_json(
            [
                {"generator": gen, "discriminator": disc, "failure": cell.failure, **cell.evaluation}
                for (gen, disc), cell in cells.items()
            ]
        )
    else:
        echo_table(header, rows)
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
