"""``ganlm serve``: the live page and its API."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import click

from ganlm_core.cli.context import current_host
from ganlm_core.cli.options import device_option
from ganlm_core.cli.output import note
from ganlm_core.cli.types import SOURCE, Name
from ganlm_core.components import number
from ganlm_core.errors import GanlmError
from ganlm_core.training.run_folder import RUNS

PORT = 7860
EXAMPLE = "zoo:lstm-conv.autoregressive-grammar"
"""Served if there are no runs yet."""

RECENT = 4
"""Number of runs that are served without an argument: the newest."""


@click.command(context_settings={"show_default": True})
@click.argument("addresses", metavar="[BUNDLE|RUN|zoo:NAME]...", nargs=-1, type=SOURCE)
@click.option(
    "--data",
    metavar="FILE|CORPUS",
    type=Name("corpus", files=True),
    help="real text for the duel, if it is not the text of the bundle",
)
@click.option(
    "--host",
    default="127.0.0.1",
    metavar="ADDRESS",
    help="IP address to listen on; other machines need a token",
)
@click.option("--port", type=number(int, min=0, max=65535), default=PORT, help="port to listen on; 0: any free port")
@click.option(
    "--token",
    default="",
    show_default=False,
    metavar="TEXT",
    help="token of every request; by default a random token",
)
@device_option
def serve(addresses: tuple[str, ...], data: str | None, host: str, port: int, token: str, device: str) -> None:
    """Serve a page and an API: the page shows runs while they train, writes and judges sentences, and plays a duel.

    Without an argument, the newest runs in ./runs are shown. By default, only this machine can open the page. With
    --host, other machines can too, with the token that is printed. docs/serve.md documents the API.
    """
    require_packages()
    from ganlm_core.serve.models import Library
    from ganlm_core.serve.server import address_of, bind, start

    address = address_of(host, port, token)
    library = Library.open(current_host(), addresses or recent_runs() or [EXAMPLE], data or "", device)
    listener = bind(address.host, address.port)
    start(library, current_host(), address, listener, lambda url: note(f"open {url} (Ctrl-C ends)"))


def require_packages() -> None:
    """Raise GanlmError if a package of the extra ``serve`` is not installed."""
    for package in ("starlette", "uvicorn", "jsonschema"):
        if importlib.util.find_spec(package) is None:
            raise GanlmError(f"the page needs {package}, which is not installed: pip install 'ganlm[serve]'")


def recent_runs() -> Sequence[str]:
    """Return the newest runs below ./runs, the newest first."""
    found = [path.parent for path in RUNS.glob("*/config.toml")] if RUNS.is_dir() else []
    return [str(path) for path in sorted(found, key=_changed, reverse=True)[:RECENT]]


def _changed(run: Path) -> float:
    return run.stat().st_mtime
