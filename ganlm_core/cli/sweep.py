"""``ganlm sweep``: train many runs from one plan, here or on a cluster, and print one table."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganlm_core.cli.context import current_host
from ganlm_core.cli.options import (
    FOLDER,
    PATH,
    form_of_file,
    form_options,
    refuse_beside,
    refuse_idle,
    table_out_option,
)
from ganlm_core.cli.output import echo, echo_data, echo_json, note, warn
from ganlm_core.cli.types import POSITIVE_COUNT
from ganlm_core.config.run_config import read_layer
from ganlm_core.errors import GanlmError, Interrupted, UsageError
from ganlm_core.sweep import settings
from ganlm_core.sweep.folder import SweepFolder
from ganlm_core.sweep.job import Engine, Trained
from ganlm_core.sweep.plan import Plan, make_plan, read_plan
from ganlm_core.sweep.processes import Processes, cores, gpus, train_all
from ganlm_core.sweep.status import SweepStates, summary
from ganlm_core.system.files import write_file

if TYPE_CHECKING:
    from ganlm_core.evaluation.tables import Table
    from ganlm_core.sweep.search import Objective

OUT = Path("runs/sweep")
NEEDS = {
    "objective": ("search",),
    "trials": ("search",),
    **dict.fromkeys(("tls_ca", "tls_cert", "tls_key"), ("scheduler",)),
}
"""Options without effect alone, each with the options of which it needs one."""
WITH_RESUME = ("plan", "dry_run", "jobs", "scheduler", "search", *NEEDS, "format", "json", "table_out")
"""The other options that a sweep reads when it resumes; the plan has its own message."""


@click.command(context_settings={"ignore_unknown_options": True, "show_default": True})
@click.option("--folder", type=FOLDER, default=OUT, metavar="FOLDER", help="folder of the runs, old and new ones")
@click.option("--resume", type=FOLDER, metavar="FOLDER", help="train the unfinished runs of a sweep")
@click.option("--status", type=FOLDER, metavar="FOLDER", help="show how far the runs of a sweep are")
@click.option("--dry-run", is_flag=True, help="list the runs and estimate their time from a few measured steps")
@click.option("--jobs", type=POSITIVE_COUNT, help="runs at once; by default one for each GPU, or for each core")
@click.option("--threads", type=POSITIVE_COUNT, help="threads of each run; by default as in the plan, or 1")
@click.option(
    "--scheduler",
    metavar="ADDRESS|slurm|pbs|sge",
    help="train on the workers of a Dask scheduler, such as tcp://host:8786, or in a job queue",
)
@click.option("--tls-ca", type=PATH, metavar="FILE", help="certificate of the authority that the scheduler trusts")
@click.option("--tls-cert", type=PATH, metavar="FILE", help="certificate of this client")
@click.option("--tls-key", type=PATH, metavar="FILE", help="key of that certificate")
@click.option("--search", type=click.Choice(["optuna"]), help="search the values of the plan instead of training all")
@click.option("--objective", default="validation_nll", metavar="NAME", help="value to search by")
@click.option("--trials", type=POSITIVE_COUNT, default=20, help="runs of a search")
@form_options
@table_out_option
@click.argument("plan", nargs=-1, type=click.UNPROCESSED, metavar="[PLAN.toml] [SETTINGS OF RUN]...")
def sweep(plan: tuple[str, ...], form: str, table_out: Path | None, **given: Any) -> None:
    """Train the runs of a plan and print a table of their results.

    PLAN.toml has a configuration and a table [sweep] of lists; docs/sweep.md shows one. Flags give the same:
    --recipe mle,seqgan --seed 0..4 --data my.txt trains ten runs. Every flag of 'ganlm run' takes a list.

    All configurations are checked before anything trains. A run that fails does not stop other runs. Ctrl-C saves all
    runs; --resume FOLDER resumes them.
    """
    if given["status"]:
        refuse_beside("status", allowed=["format", "json"])
        if form not in ("table", "json"):
            raise UsageError(f"--status has no --format {form}; leave it out, or add --json")
        show_status(given["status"], as_json=form == "json")
        return
    if given["resume"]:
        refuse_beside("resume", allowed=WITH_RESUME)
    refuse_idle(**NEEDS)
    planned = _plan(plan, given)
    if given["resume"] and not given["search"]:
        from ganlm_core.sweep.search import kept

        given |= kept(given["resume"])
    if given["dry_run"]:
        _show_plan(planned, given, form, table_out)
        return
    folder = given["resume"] or given["folder"]
    if given["search"]:
        _search(planned, folder, given, form, table_out)
        return
    done = train_plan(planned, folder, _engine(planned, folder, given), check=given["resume"] is None)
    from ganlm_core.sweep.results import table

    show_table(table(SweepFolder(folder)), form, table_out)
    note(f"the runs are in {folder}; compare them at equal diversity: ganlm compare {folder}")
    finish(done, folder)


def show_status(folder: Path, as_json: bool) -> None:
    """Print a line for each run of a sweep and a line for all runs, or the same as JSON."""
    states = SweepStates.of(SweepFolder.open(folder)).look()
    if as_json:
        echo_json([state.to_dict() for state in states])
        return
    for state in states:
        echo(str(state))
    echo(summary(states))


def train_plan(plan: Plan, folder: Path, engine: Engine, check: bool = False) -> list[Trained]:
    """Write a plan, train its runs with progress on standard error, and return their outcomes in the plan's order.

    ``check`` builds everything that the runs need first. Raises UsageError and GanlmError before anything trains.
    """
    from ganlm_core.cli.sweep_display import SweepDisplay

    host, sweep = current_host(), SweepFolder(folder)
    if check:
        from ganlm_core.sweep.estimate import check_plan

        check_plan(plan, host)
    sweep.write(plan, host)
    jobs = sweep.jobs([run.name for run in plan.runs])
    with SweepDisplay(SweepStates(jobs)) as display:
        return train_all(engine, jobs, display.look)


def local(jobs: int | None, threads: int) -> Processes:
    """Return the engine for this machine: one run for each GPU, or as many as the cores can take."""
    found = gpus()
    return Processes(jobs or len(found) or max(1, cores() // threads), found)


def finish(done: Sequence[Trained], folder: Path) -> None:
    """Raise Interrupted if the sweep was stopped, and GanlmError, which names each run, if runs failed."""
    stopped = [each for each in done if each.interrupted]
    if stopped:
        left = f"{len(stopped)} of {len(done)} runs are not finished"
        raise Interrupted(f"stopped, {left}; go on with: {resuming(folder)}")
    failed = [each for each in done if each.failure]
    for each in failed:
        warn(f"{each.run.name} failed: {each.failure}")
    if failed:
        names = ", ".join(each.run.name for each in failed)
        raise GanlmError(f"{len(failed)} of {len(done)} runs failed ({names}); their logs are in {folder / 'logs'}")


def resuming(folder: Path) -> str:
    """Return the command that resumes a sweep."""
    return shlex.join(["ganlm", "sweep", "--resume", str(folder), *current_host().flags()])


def show_table(table: "Table", form: str, out: Path | None) -> None:
    """Print a table in one of the forms of ``--format``; with ``out``, write it there and print it for people."""
    if out is not None:
        write_file(out, table.text(form_of_file(out, form)).encode())
        note(f"table: {out}")
        form = "table"
    if form != "table":
        echo_data(table.text(form))
        return
    from ganlm_core.cli import console
    from ganlm_core.cli.tables import titled_rows

    if table.rows:
        console.results().print(titled_rows(table.lines()))
    for line in table.notes:
        echo(line)


def _plan(words: Sequence[str], given: dict[str, Any]) -> Plan:
    """Return the plan of a sweep, from a folder to resume, a file, flags, or a file with flags over it."""
    if given["resume"]:
        if words:
            raise UsageError(f"--resume goes on with the plan of {given['resume']}; leave {' '.join(words)} out")
        return SweepFolder.open(given["resume"]).plan(current_host())
    host = current_host()
    is_file = bool(words) and not words[0].startswith("--")
    flags = settings.parse(words[is_file:])
    varied = {key: [value] if key == "config" else settings.values_of(value) for key, value in flags.items()}
    base = [read_layer(Path(name)) for name in varied.pop("config", [])]
    if is_file:
        return read_plan(host, Path(words[0]), varied, given["threads"])
    if not varied and not base:
        raise UsageError("there is nothing to train; give a PLAN.toml, or lists: --recipe mle,seqgan --seed 0..4")
    return make_plan(host, base, {}, varied, given["threads"])


def _engine(plan: Plan, folder: Path, given: dict[str, Any]) -> Engine:
    if not given["scheduler"]:
        return local(given["jobs"], plan.threads)
    from ganlm_core.sweep.dask import engine, tls

    security = tls(given["tls_ca"], given["tls_cert"], given["tls_key"])
    return engine(given["scheduler"], current_host(), folder, plan, given["jobs"], security, warn)


def _show_plan(plan: Plan, given: dict[str, Any], form: str, out: Path | None) -> None:
    """List the runs of a plan with their estimated time. A search then trains some of them."""
    from ganlm_core.sweep.estimate import estimates, table

    if given["search"]:
        _objective(plan, given)
    engine = local(given["jobs"], plan.threads)
    show_table(table(estimates(plan, current_host(), note), engine.jobs, plan.threads), form, out)


def _objective(plan: Plan, given: dict[str, Any]) -> "Objective":
    """Return what a search optimises. Raises UsageError for an unknown value, or a plan that cannot be searched."""
    from ganlm_core.sweep import search

    search.space_of(plan)
    return search.objective_of(current_host(), given["objective"])


def _search(plan: Plan, folder: Path, given: dict[str, Any], form: str, out: Path | None) -> None:
    """Train the runs of a plan that Optuna chooses, and show every trial."""
    from ganlm_core.sweep import search

    objective = _objective(plan, given)
    engine, journal = _engine(plan, folder, given), folder / search.JOURNAL
    parallel = engine.jobs if isinstance(engine, Processes) else given["jobs"] or len(plan.runs)
    searching = search.Search(engine, plan, objective, journal, given["trials"], parallel)
    done = train_plan(plan, folder, searching, check=given["resume"] is None)
    trials = search.table(search.study_of(journal, objective), objective, plan.runs)
    search.write_page(folder / search.PAGE, trials, resuming(folder))
    show_table(trials, form, out)
    note(f"page: {folder / search.PAGE}")
    finish(done, folder)
