"""``ganlm matrix``: every generator against every discriminator under one protocol, as one table."""

import os
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ganlm_core.cli.context import current_host, invocation
from ganlm_core.cli.output import REFERENCES, TITLES, echo_json, echo_table, metric_cell
from ganlm_core.errors import GanlmError
from ganlm_core.files import read_json, write_file
from ganlm_core.runs import RunFolder

SAMPLES = 3
"""Sentences that the page shows of each pair."""


@dataclass(frozen=True)
class Cell:
    """One pair: where its run is, and what became of it. ``failure`` is the error line of a run that failed."""

    generator: str
    discriminator: str
    run: Path
    failure: str = ""

    @property
    def evaluation(self) -> dict[str, Any]:
        return {} if self.failure else read_json(self.run / "bundle" / "evaluation.json")

    @property
    def info(self) -> dict[str, Any]:
        return {} if self.failure else read_json(self.run / "run.json")


@click.command(context_settings={"ignore_unknown_options": True, "show_default": True})
@click.option("--gens", metavar="NAMES", help="generators, with commas; all of them by default")
@click.option("--discs", metavar="NAMES", help="discriminators, with commas; all of them by default")
@click.option("--jobs", type=click.IntRange(1), default=1, help="runs at once, which share the cores")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/matrix"), help="folder of the runs")
@click.option("--page", type=click.Path(path_type=Path), metavar="FILE", help="write the table as a Markdown page")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
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
    in the folder is not trained again, and one that was interrupted goes on.
    """
    host = current_host()
    pairs = [
        (host.spec("generator", gen).name, host.spec("discriminator", disc).name)
        for gen in _names(gens, host.specs("generator"))
        for disc in _names(discs, host.specs("discriminator"))
    ]
    common = [argument for file in invocation().files for argument in ("--plugin", file)] + ["run", "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // jobs))}
    with ThreadPoolExecutor(jobs) as pool:
        cells = list(pool.map(lambda pair: _train(pair, out, common, options, environment), pairs))
    rows = list(_rows(cells))
    if page is not None:
        chosen = [word for flag, names in (("--gens", gens), ("--discs", discs)) if names for word in (flag, names)]
        write_file(page, _page(cells, rows, shlex.join(["ganlm", "matrix", *chosen, *options])).encode())
    if as_json:
        echo_json(
            [
                {"generator": c.generator, "discriminator": c.discriminator, "failure": c.failure, **c.evaluation}
                for c in cells
            ]
        )
    else:
        echo_table(_header(), rows)
    failed = [cell for cell in cells if cell.failure]
    if failed:
        raise GanlmError(
            f"{len(failed)} of {len(cells)} pairs failed; the first, {failed[0].generator} against "
            f"{failed[0].discriminator}: {failed[0].failure}"
        )


def _names(given: str | None, known: Mapping[str, object]) -> Sequence[str]:
    return [name.strip() for name in given.split(",")] if given else list(known)


def _train(
    pair: tuple[str, str], out: Path, common: Sequence[str], options: Sequence[str], environment: Mapping[str, str]
) -> Cell:
    """One run in a process of its own."""
    generator, discriminator = pair
    run = out / f"{generator}-{discriminator}"
    if (run / "bundle").is_dir():
        return Cell(generator, discriminator, run)
    new = ["--gen", generator, "--disc", discriminator, "--out", str(run), *options]
    command = [sys.executable, "-m", "ganlm_core", *common, *(["--resume", str(run)] if run.is_dir() else new)]
    click.echo(f"training {generator} against {discriminator}", err=True)
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return Cell(generator, discriminator, run, "" if done.returncode == 0 else lines[-1].removeprefix("ganlm: error: "))


def _header() -> list[str]:
    return ["generator", "discriminator", *TITLES.values(), "seconds"]


def _rows(cells: Sequence[Cell]) -> Iterator[list[str]]:
    """A row for each pair, then real text and the unigram model, which are the same for all."""
    for cell in cells:
        values = cell.evaluation.get("after", {})
        seconds = "failed" if cell.failure else f"{cell.info['seconds']:.0f}"
        yield [cell.generator, cell.discriminator, *_cells(values), seconds]
    for key, title in REFERENCES.items():
        found = next((cell.evaluation.get(key) for cell in cells if not cell.failure), None)
        if found is not None:
            yield [title, "", *_cells(found), ""]


def _cells(values: Mapping[str, float]) -> list[str]:
    return [metric_cell(name, values.get(name)) for name in TITLES]


def _page(cells: Sequence[Cell], rows: Sequence[Sequence[str]], command: str) -> str:
    import jinja2

    done = [cell for cell in cells if not cell.failure]
    template = Path(__file__).parent.parent / "templates" / "matrix.md.j2"
    return (
        jinja2.Environment(trim_blocks=True, keep_trailing_newline=True)
        .from_string(template.read_text())
        .render(
            command=command,
            header=_header(),
            rows=rows,
            evaluation=done[0].evaluation if done else {},
            failures=[cell for cell in cells if cell.failure],
            settings=_settings(done),
            samples={f"{cell.generator} against {cell.discriminator}": _samples(cell) for cell in done},
        )
    )


def _settings(cells: Sequence[Cell]) -> dict[str, str]:
    """The configuration of the first pair of each recipe; the others differ in their networks alone."""
    found: dict[str, tuple[str, str]] = {}
    for cell in cells:
        toml = RunFolder(cell.run).config()
        title = f"as for {cell.generator} against {cell.discriminator}"
        found.setdefault(tomllib.loads(toml)["recipe"], (title, toml))
    return {f"Recipe `{recipe}`, {title}": toml for recipe, (title, toml) in found.items()}


def _samples(cell: Cell) -> list[str]:
    return RunFolder(cell.run).last_samples()[:SAMPLES]
