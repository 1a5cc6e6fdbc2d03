"""``ganlm report``: a run as one page, report.html."""

from pathlib import Path

import click

from ganlm_core.cli.context import current_host


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
def report(run: Path) -> None:
    """Write report.html of a RUN, finished or not, into its folder, over an older one: curves, samples and settings."""
    from ganlm_core.evaluation import report as page
    from ganlm_core.system.devices import keep_memory
    from ganlm_core.training.run_folder import RunFolder

    keep_memory()
    folder = RunFolder.open(run)
    click.echo(page.write(folder, current_host()))
