"""``ganlm matrix``: every generator against every discriminator under one protocol, as one table."""

import shlex
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from ganlm_core.cli.context import current_host, invocation
from ganlm_core.cli.output import echo_json, echo_table, json_option
from ganlm_core.cli.sweep import Trained, train_all
from ganlm_core.errors import GanlmError, UsageError
from ganlm_core.evaluation.scores import REFERENCES, TITLES, metric_cells
from ganlm_core.system.files import write_file

SAMPLES = 3
"""Sentences that the page shows of each pair."""

CHOICES = {"--gen": "--gens", "--disc": "--discs"}
"""What is chosen for each run, and how to say among which."""

Cells = Mapping[tuple[str, str], Trained]
"""The runs by generator and discriminator."""


@click.command(context_settings={"ignore_unknown_options": True, "show_default": True})
@click.option("--gens", metavar="NAMES", help="generators, with commas; all of them by default")
@click.option("--discs", metavar="NAMES", help="discriminators, with commas; all of them by default")
@click.option("--jobs", type=click.IntRange(1), default=1, help="runs at once, which share the cores")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/matrix"), help="folder of the runs")
@click.option("--page", type=click.Path(path_type=Path), metavar="FILE", help="write the table as a Markdown page")
@json_option
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF RUN]...")
def matrix(
    gens: str | None,
    discs: str | None,
    jobs: int,
    out: Path,
    page: Path | None,
    as_json: bool,
    options: tuple[str, ...],
) -> None:
    """Train every generator against every discriminator and print one table.

    Options that are not listed below go to every run: --data FILE, --steps N, --seed S. A pair whose run is finished
    in the folder is not trained again, and one that was interrupted goes on; one with other options is refused.
    """
    for flag in (word.partition("=")[0] for word in options):
        if flag in CHOICES:
            raise UsageError(f"{flag} is chosen anew for each pair; name those to take with {CHOICES[flag]}")
    host = current_host()
    pairs = [
        (host.spec("generator", gen).name, host.spec("discriminator", disc).name)
        for gen in _names(gens, host.specs("generator"))
        for disc in _names(discs, host.specs("discriminator"))
    ]
    folders = {out / f"{gen}-{disc}": ["--gen", gen, "--disc", disc, *options] for gen, disc in pairs}
    plugins = [argument for file in invocation().files for argument in ("--plugin", file)]
    cells = dict(zip(pairs, train_all(folders, jobs, plugins), strict=True))
    rows = list(_rows(cells))
    if page is not None:
        chosen = [word for flag, names in (("--gens", gens), ("--discs", discs)) if names for word in (flag, names)]
        write_file(page, _page(cells, rows, shlex.join(["ganlm", "matrix", *chosen, *options])).encode())
    if as_json:
        echo_json(
            [
                {"generator": gen, "discriminator": disc, "failure": cell.failure, **cell.evaluation}
                for (gen, disc), cell in cells.items()
            ]
        )
    else:
        echo_table(_header(), rows)
    failed = {pair: cell.failure for pair, cell in cells.items() if cell.failure}
    if failed:
        (gen, disc), failure = next(iter(failed.items()))
        raise GanlmError(f"{len(failed)} of {len(cells)} pairs failed; the first, {gen} against {disc}: {failure}")


def _names(given: str | None, known: Mapping[str, object]) -> Sequence[str]:
    return [name.strip() for name in given.split(",")] if given else list(known)


def _header() -> list[str]:
    return ["generator", "discriminator", *TITLES.values(), "CPU seconds"]


def _rows(cells: Cells) -> Iterator[list[str]]:
    """A row for each pair, then real text and the unigram model, which are the same for all."""
    for pair, cell in cells.items():
        seconds = "failed" if cell.failure else f"{cell.cpu_seconds:.0f}"
        yield [*pair, *metric_cells(cell.evaluation.get("after", {})), seconds]
    for key, title in REFERENCES.items():
        found = next((cell.evaluation.get(key) for cell in cells.values() if not cell.failure), None)
        if found is not None:
            yield [title, "", *metric_cells(found), ""]


def _page(cells: Cells, rows: Sequence[Sequence[str]], command: str) -> str:
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
            header=_header(),
            rows=rows,
            evaluation=next((cell.evaluation for cell in done.values()), {}),
            failures={" against ".join(pair): cell.failure for pair, cell in cells.items() if cell.failure},
            settings=_settings(done),
            samples={title: cell.samples[:SAMPLES] for title, cell in done.items()},
        )
    )


def _settings(done: Mapping[str, Trained]) -> dict[str, str]:
    """The configuration of the first pair of each recipe; the others differ in their networks alone."""
    found: dict[str, tuple[str, str]] = {}
    for title, cell in done.items():
        found.setdefault(tomllib.loads(cell.config)["recipe"], (title, cell.config))
    return {f"Recipe `{recipe}`, as for {title}": toml for recipe, (title, toml) in found.items()}
