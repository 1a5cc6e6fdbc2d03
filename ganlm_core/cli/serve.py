"""``ganlm serve``: the live page and its API."""

from collections.abc import Sequence
from pathlib import Path

import click

from ganlm_core.cli.context import current_host
from ganlm_core.errors import GanlmError
from ganlm_core.training.run_folder import RUNS

PORT = 7860
EXAMPLE = "zoo:lstm-conv.autoregressive-grammar"
"""Served where there are no runs yet."""

RECENT = 4
"""Runs that are served where no address is given: the newest."""


@click.command(context_settings={"show_default": True})
@click.argument("addresses", metavar="[BUNDLE|RUN|zoo:NAME]...", nargs=-1)
@click.option("--data", default="", metavar="FILE|CORPUS", help="real text for the duel, if not that of the bundle")
@click.option("--host", default="127.0.0.1", metavar="ADDRESS", help="IP address to listen at; others ask for a token")
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, help="port to listen at; 0: a free one")
@click.option("--token", default="", metavar="TEXT", help="token that requests must carry; made for you by default")
@click.option("--device", default="cpu", help="auto, cpu, cuda, cuda:N or mps")
def serve(addresses: tuple[str, ...], data: str, host: str, port: int, token: str, device: str) -> None:
    """Open a page that shows runs as they train, writes and judges sentences, and plays a duel; and an API.

    Without an address, the newest runs in ./runs are shown. The page is for this machine alone; with --host it is for
    others too, who need the token that is printed. docs/serve.md documents the API.
    """
    try:
        from ganlm_core.serve.server import address_of, bind, start
    except ImportError as error:
        raise GanlmError(f"the page needs {error.name}, which is not installed: pip install 'ganlm[serve]'") from None
    from ganlm_core.serve.models import Library

    address = address_of(host, port, token)
    library = Library.open(current_host(), addresses or recent_runs() or [EXAMPLE], data, device)
    listener = bind(address.host, address.port)
    start(library, current_host(), address, listener, lambda url: click.echo(f"open {url} (Ctrl-C ends)", err=True))


def recent_runs() -> Sequence[str]:
    """Return the newest runs below ./runs, the newest first."""
    found = [path.parent for path in RUNS.glob("*/config.toml")] if RUNS.is_dir() else []
    return [str(path) for path in sorted(found, key=_changed, reverse=True)[:RECENT]]


def _changed(run: Path) -> float:
    return run.stat().st_mtime
