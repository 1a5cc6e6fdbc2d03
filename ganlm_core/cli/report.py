"""``ganlm report``: a run as one HTML page, report.html."""

from pathlib import Path

import click

from ganlm_core.cli.context import current_host
from ganlm_core.cli.options import PATH, json_option
from ganlm_core.cli.output import echo, echo_json


@click.command()
@click.argument("run", type=PATH)
@json_option
def report(run: Path, as_json: bool) -> None:
    """Write report.html into the folder of a RUN, finished or not: curves, samples and settings.

    An existing report.html is replaced. The path of the page is printed.
    """
    from ganlm_core.evaluation import report as page
    from ganlm_core.system.devices import keep_memory
    from ganlm_core.training.run_folder import RunFolder

    keep_memory()
    path = page.write(RunFolder.open(run), current_host())
    echo_json({"report": str(path)}) if as_json else echo(str(path))
