"""Progress of a run on a terminal, samples at each evaluation, and the table of results at the end."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from ganlm_core.cli import console
from ganlm_core.cli.context import is_quiet
from ganlm_core.cli.output import echo, echo_data, echo_json, warn
from ganlm_core.cli.tables import titled_rows
from ganlm_core.config.run_config import RunConfig
from ganlm_core.errors import GanlmError
from ganlm_core.evaluation import report
from ganlm_core.evaluation.remarks import remarks
from ganlm_core.evaluation.scores import results
from ganlm_core.metrics.formatting import format_metric
from ganlm_core.metrics.interim import title_of
from ganlm_core.plugins.host import Host
from ganlm_core.plugins.wording import described
from ganlm_core.training.display import Display
from ganlm_core.training.run_folder import RunFolder, free_path, run_name
from ganlm_core.training.setup import Setup, prepare

SHOWN = 3
"""Samples shown at each evaluation."""

SHOWN_AT_END = 8

INTERVAL = 0.25
"""Seconds between two updates of the progress line, which take time from training."""

INTERIM = ("valid", "distinct", "copied", "validation_nll", "tv", "entropy", "discriminator_accuracy")
"""The values shown at an evaluation during training; metrics.jsonl has all values."""


class ProgressDisplay(Display):
    """Progress and notes on standard error: a bar on a terminal, else a line per evaluation; --quiet drops both."""

    def __init__(self) -> None:
        self.console = console.diagnostics()
        self.quiet = is_quiet()
        self.progress = Progress(
            BarColumn(bar_width=None, table_column=Column(min_width=6, max_width=20, ratio=1)),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[numbers]}", table_column=Column(no_wrap=True)),
            console=self.console,
            refresh_per_second=1 / INTERVAL,
            disable=self.quiet or not self.console.is_terminal,
        )
        self.task = self.progress.add_task("training", total=None, numbers="")
        self.clock = (0.0, 0.0)

    def started(self, setup: Setup, folder: RunFolder, step: int) -> None:
        for line in setup.notes:
            self.note(line)
        parameters = ", ".join(f"{name} {count:,}" for name, count in setup.parameters().items())
        self.note(f"{folder.title()} on {setup.device}: {parameters} parameters")
        self.note(f"run folder {folder.path}" + (f", resumed at step {step}" if step else ""))
        self.progress.update(self.task, total=setup.config.training.steps, completed=step)
        self.clock = (time.monotonic(), float(setup.trainer.batches.tokens_drawn))
        self.progress.start()

    def logged(self, step: int, record: Mapping[str, float]) -> None:
        now, tokens = time.monotonic(), record["tokens"]
        if now - self.clock[0] < INTERVAL:
            return
        speed = (tokens - self.clock[1]) / (now - self.clock[0])
        self.clock = (now, tokens)
        shown = [f"{_short(name)} {value:.2f}" for name, value in record.items() if _is_shown(name)]
        self.progress.update(self.task, completed=step, numbers="  ".join([*shown, f"{_rounded(speed)} tok/s"]))

    def evaluated(self, step: int, values: Mapping[str, float], samples: list[str]) -> None:
        if self.quiet:
            return
        shown = (f"{title_of(name)} {format_metric(name, values[name])}" for name in INTERIM if name in values)
        self.console.print(f"[bold]step {step}[/]  {'  '.join(shown)}")
        for text in samples[:SHOWN]:
            self.console.print(f"  [dim]{escape(text)}[/]")

    def finishing(self, weights_step: int) -> None:
        self.note(f"final evaluation of the weights of step {weights_step}")

    def note(self, line: str) -> None:
        if not self.quiet:
            self.console.print(f"[dim]{escape(line)}[/]")

    def warn(self, line: str) -> None:
        self.console.print(f"[yellow]warning:[/] {escape(line)}")

    def stopping(self) -> None:
        self.progress.update(self.task, numbers="stopping after this step; press Ctrl-C again to stop now")

    def ended(self, folder: RunFolder, status: str) -> None:
        self.progress.stop()


def _is_shown(name: str) -> bool:
    return name in ("accuracy", "entropy") or name.endswith("_loss")


def _short(name: str) -> str:
    return {"generator_loss": "G", "discriminator_loss": "D", "mle_loss": "nats/token"}.get(
        name, name.removesuffix("_loss")
    )


def _rounded(speed: float) -> str:
    return f"{speed / 1000:,.0f}k" if speed >= 10_000 else f"{speed:,.0f}"


def show_result(folder: RunFolder, host: Host, as_json: bool) -> None:
    """Print the final table of a run, eight samples and the paths of its files, or all of this as JSON.

    Without ``as_json``, also write the report. A report that cannot be written does not fail the run.
    """
    evaluation = folder.results()
    samples = folder.last_samples()[:SHOWN_AT_END]
    if as_json:
        echo_json({"run": str(folder.path), "bundle": str(folder.bundle), "evaluation": evaluation, "samples": samples})
        return
    echo(
        f"{evaluation['samples']:,} sentences at temperature {evaluation['temperature']}, "
        f"weights of step {evaluation['weights_step']}"
    )
    for table in results(evaluation):
        console.results().print(titled_rows(table))
    for told in remarks(folder, evaluation):
        echo(told)
    for text in samples:
        echo(f"  {text}")
    echo(f"bundle: {folder.bundle}")
    try:
        echo(f"report: {report.write(folder, host)}")
    except Exception as error:  # whatever went wrong, the run has succeeded
        where = f"{described(error)}; ganlm --debug report {folder.path} shows where"
        warn(f"there is no report: {error if isinstance(error, GanlmError) else where}")


def show_plan(config: RunConfig, *, host: Host, out: Path | None, as_json: bool) -> None:
    """Print the configuration, the sizes and the folder of a run. Nothing is written."""
    setup = prepare(config, host)
    plan = {
        "folder": str(out or free_path(run_name(config))),
        "device": str(setup.device),
        "vocabulary": setup.shape.vocabulary,
        "length": setup.shape.length,
        "parameters": setup.parameters(),
        "notes": list(setup.notes),
    }
    if as_json:
        echo_json({**plan, "config": config.to_dict()})
        return
    echo_data(config.to_toml() + "\n")
    for name, value in plan.items():
        echo(f"# {name}: {_plain(value)}")


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {count:,}" for name, count in value.items())
    return "; ".join(value) if isinstance(value, list) else str(value)
