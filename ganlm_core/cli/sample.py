"""``ganlm sample``: sentences from the generator of a bundle, as they are made."""

import json
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganlm_core.cli.calibrating import calibrate, data_option
from ganlm_core.cli.context import current_host
from ganlm_core.cli.lines import check_new, lines_to, read_lines
from ganlm_core.errors import Interrupted, ProcessLost, UsageError
from ganlm_core.system.files import to_json
from ganlm_core.system.signals import caught_signals

if TYPE_CHECKING:
    from ganlm_core.bundle.select import Tally
    from ganlm_core.bundle.stream import Drawn, Seen

POSITIVE = click.FloatRange(0, min_open=True)
SHARE = click.FloatRange(0, 1, min_open=True)
METHODS = click.Choice(["rejection", "mh", "resample", "rerank"])
PROMPT = "what every sentence begins with; for generators that write word by word"
SELECT = "let the discriminator choose among candidates, so that sentences are nearer to real text"
UNIQUE = "no sentence twice, in memory of 3.6 bytes for each; one new sentence in a million is lost"
OUT = "write to a file, gzipped if its name ends in .gz; with --offset, go on with one"


@click.command(context_settings={"show_default": True})
@click.argument("bundle", metavar="BUNDLE|RUN", type=click.Path(path_type=Path))
@click.option("-n", "count", type=click.IntRange(0), default=10, help="sentences to draw")
@click.option("--prompt", metavar="TEXT", default="", show_default=False, help=PROMPT)
@click.option("--temperature", type=POSITIVE, default=1.0, help="below 1, likely words get likelier; above 1, less so")
@click.option("--top-k", type=click.IntRange(0), default=0, help="draw from the k likeliest words; 0 for all")
@click.option("--top-p", type=SHARE, default=1.0, help="draw from the likeliest words that have probability p together")
@click.option("--select", "method", type=METHODS, help=SELECT)
@click.option(
    "--candidates", type=click.IntRange(1), default=16, help="of how many to select one; rejection: any number"
)
@data_option
@click.option("--unique", "once", is_flag=True, help=UNIQUE)
@click.option("--seed", type=click.IntRange(0), default=0, help="seed of the drawing")
@click.option("--offset", type=click.IntRange(0), default=0, help="pass over so many that the seed draws first")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help=OUT)
@click.option("--device", default="cpu", help="auto, cpu, cuda, cuda:N or mps")
@click.option("--json", "as_json", is_flag=True, help='print a JSON object a line, {"text": ...}')
def sample(
    bundle: Path,
    count: int,
    prompt: str,
    temperature: float,
    top_k: int,
    top_p: float,
    method: str | None,
    candidates: int,
    data: str | None,
    once: bool,
    seed: int,
    offset: int,
    out: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Draw sentences from the generator of a bundle or of a run, one a line.

    A bundle is a folder, zoo:NAME for one that 'ganlm list weights' shows, or hf:OWNER/NAME@REVISION.

    The same seed gives the same sentences, however many are asked for.
    """
    from ganlm_core.bundle import stream
    from ganlm_core.bundle.load import load
    from ganlm_core.bundle.select import SELECTIONS, Tally
    from ganlm_core.sampling import PLAIN, Policy
    from ganlm_core.system import processes
    from ganlm_core.system.devices import keep_memory

    keep_memory()
    click.get_current_context().with_resource(processes.processes())
    first = processes.rank() == 0
    if first and out is not None and offset == 0:
        check_new(out, "go on with it: --offset says how many sentences were drawn for it")
    host, policy, tally = current_host(), Policy(temperature, top_k, top_p), Tally()
    model = load(bundle, host, device)
    if method is None:
        batches = stream.draw(model, seed, policy, prompt, offset, processes.divided)
    else:
        if data is not None:
            model = calibrate(model, host, data, policy)
        elif policy != PLAIN:
            raise UsageError(
                "the bundle's discriminator is calibrated for temperature 1 and all words; "
                "add --data FILE|CORPUS to calibrate it for what you chose"
            )
        choose, divide = SELECTIONS[method], processes.divided
        batches = stream.select(model, choose, candidates, tally, seed, policy, prompt, offset, divide)
    line, text_of = (_json_line, _json_text) if as_json else (str, str)
    if once:
        batches = stream.unique(batches, processes.share(_seen(out, count, text_of) if first else None))
    batches = stream.take(batches, count)
    if not first:
        _draw_along(batches)
        return
    end = _write(batches, line, out, offset)
    if method is not None:
        _report(tally)
    if once:
        click.echo(f"{end:,} sentences drawn; --offset {end} goes on from here", err=True)


def _seen(out: Path | None, count: int, text_of: Callable[[str], str]) -> "Seen":
    """A filter for ``count`` texts, and for those that are in the file already."""
    from ganlm_core.bundle.stream import BATCH, Seen

    if out is None or not out.exists():
        return Seen(count)
    seen, lines = Seen(count + sum(1 for _ in read_lines(out))), read_lines(out)
    while batch := list(islice(lines, BATCH)):
        seen.add(map(text_of, batch))
    return seen


def _write(batches: "Iterable[Drawn]", line: Callable[[str], str], out: Path | None, offset: int) -> int:
    """Write batch after batch, each whole. The number of sentences drawn. Raises Interrupted and ProcessLost."""
    written, end = 0, offset
    try:
        with caught_signals(lambda: None) as signals, lines_to(out) as write:
            for batch in batches:
                write("".join(f"{line(text)}\n" for text in batch.texts))
                written, end = written + len(batch.texts), batch.end
                if signals:
                    raise Interrupted(f"interrupted after {written:,} sentences; go on with --offset {end}")
    except ProcessLost as error:
        raise ProcessLost(f"{error}; {written:,} sentences are written, go on with --offset {end}") from error
    return end


def _draw_along(batches: "Iterable[Drawn]") -> None:
    """What other processes than the first do: draw what falls to them. They leave signals to the first."""
    with caught_signals(lambda: None):
        for _ in batches:
            pass


def _report(tally: "Tally") -> None:
    click.echo(
        f"{tally.taken:,} of {tally.candidates:,} candidates taken; acceptance rate {tally.acceptance:.1%}, "
        f"effective sample size {tally.effective:.1%} of the candidates",
        err=True,
    )


def _json_line(text: str) -> str:
    return to_json({"text": text})


def _json_text(line: str) -> str:
    return str(json.loads(line)["text"])
