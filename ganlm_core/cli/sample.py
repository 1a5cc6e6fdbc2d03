"""``ganlm sample``: sentences from the generator of a bundle, written as they are drawn."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganlm_core.bundle.options import CANDIDATES, METHODS
from ganlm_core.cli.calibration import calibrate
from ganlm_core.cli.context import current_host
from ganlm_core.cli.filters import Wanted, filter_options
from ganlm_core.cli.lines import Form, check_new, form_of, lines_to, read_texts
from ganlm_core.cli.options import (
    ADDRESSES,
    CORPUS_OPTIONS,
    FILE,
    bundle_argument,
    calibration_option,
    corpus_options,
    device_option,
    json_lines_option,
    refuse_idle,
    seed_option,
)
from ganlm_core.cli.output import note
from ganlm_core.cli.types import COUNT, POSITIVE_COUNT, SHARE, TEMPERATURE
from ganlm_core.errors import Interrupted, ProcessLost, UsageError, WriteError, reworded
from ganlm_core.system.signals import caught_signals

if TYPE_CHECKING:
    from ganlm_core.bundle.model import Model
    from ganlm_core.bundle.select import Tally
    from ganlm_core.bundle.stream import Drawn, Seen
    from ganlm_core.sampling import Policy

PROMPT = "beginning of every sentence; needs a generator that writes word by word"
LABEL = "label of every sentence, one of those of the training text; without it, each is drawn by its frequency there"
SELECT = "draw candidates and let the discriminator choose among them; docs/sampling.md explains the methods"
EACH = "candidates per sentence; rejection draws as many as it needs"
UNIQUE = "never repeat a sentence; needs 3.6 bytes of memory per sentence, and loses one new sentence in a million"
OUT = "write to a file; its ending sets the format: .jsonl, .csv, .tsv, else plain lines; add .gz to compress"

NEEDS = {
    "candidates": ("method",),
    "data": ("method", "novel"),
    **dict.fromkeys(CORPUS_OPTIONS, ("data", "novel")),
    "settings": ("reward_min",),
    "tries": ("novel", "pattern", "reward_min"),
}
"""Options without effect alone, each with the options of which it needs one."""


@dataclass(frozen=True)
class Request:
    """The options of one call."""

    bundle: str
    count: int
    prompt: str
    label: str
    temperature: float
    top_k: int
    top_p: float
    method: str | None
    candidates: int
    data: str | None
    corpus: Mapping[str, Any]
    once: bool
    seed: int
    offset: int | None
    out: Path | None
    device: str
    as_json: bool
    wanted: Wanted

    @property
    def form(self) -> Form:
        return form_of(self.out, self.as_json)

    @property
    def start(self) -> int:
        """The number of samples to skip."""
        return self.offset or 0

    @property
    def appends(self) -> bool:
        """Whether the sentences may be added to a file: from offset 0 only with --unique, else they repeat."""
        return self.start > 0 or (self.once and self.offset is not None)

    @property
    def policy(self) -> "Policy":
        from ganlm_core.sampling import Policy

        return Policy(self.temperature, self.top_k, self.top_p)


@click.command(context_settings={"show_default": True})
@bundle_argument
@click.option("-n", "count", type=COUNT, default=10, help="number of sentences")
@click.option("--prompt", metavar="TEXT", default="", show_default=False, help=PROMPT)
@click.option("--label", metavar="NAME", help=LABEL)
@click.option(
    "--temperature",
    type=TEMPERATURE,
    default=1.0,
    help="below 1, likely words become even likelier; above 1, less likely",
)
@click.option("--top-k", type=COUNT, default=0, help="draw only from the k likeliest words; 0 draws from all")
@click.option(
    "--top-p", type=SHARE, default=1.0, help="draw only from the likeliest words that together have probability p"
)
@click.option("--select", "method", type=click.Choice(METHODS), help=SELECT)
@click.option("--candidates", type=POSITIVE_COUNT, default=CANDIDATES, help=EACH)
@calibration_option
@corpus_options
@filter_options
@click.option("--unique", "once", is_flag=True, help=UNIQUE)
@seed_option
@click.option("--offset", type=COUNT, help="skip the first N samples of this seed; with --out, append")
@click.option("--out", type=FILE, metavar="FILE", help=OUT)
@device_option
@json_lines_option
def sample(**given: Any) -> None:
    refuse_idle(**NEEDS)
    if given["label"] == "":
        raise UsageError("--label '' is no label; name one, or leave it out")
    _sample(Request(**{**given, "label": given["label"] or ""}))


sample.help = f"""Generate sentences with the generator of a bundle or a run, one per line.

{ADDRESSES} RUN is a run folder; during training, its latest checkpoint is used.

The same seed gives the same sentences: the first 10 of 1,000 are the same as with -n 10.
"""


def _sample(request: Request) -> None:
    from ganlm_core.bundle.filters import filtered
    from ganlm_core.bundle.select import Tally
    from ganlm_core.bundle.stream import take, unique
    from ganlm_core.system import processes
    from ganlm_core.system.devices import keep_memory

    keep_memory()
    form = request.form
    click.get_current_context().with_resource(processes.processes())
    first = processes.rank() == 0
    if first and request.out is not None and not request.appends:
        check_new(request.out, "append to it with --offset and the number of sentences drawn for it so far")
    tally = Tally()
    model = _model(request)
    if first and model.labels.names and not request.label:
        note(f"labels are drawn by their frequency in the training text: {model.labels}; --label NAME asks for one")
    filters = [*request.wanted.filters(request.bundle, model, current_host(), request.data, request.corpus)]
    batches = filtered(_batches(request, model, tally), filters, request.wanted.tries)
    if request.once:
        batches = unique(batches, processes.broadcast(_seen(request, form) if first else None))
    batches = take(batches, request.count)
    if not first:
        _draw_along(batches)
        return
    end = _write(batches, request, form)
    if filters:
        note("; ".join(map(str, filters)))
    if request.method is not None:
        _report(tally)
    exact = request.once or (filters and request.method is None)  # --unique drops repeats
    if exact and request.out is not None:
        note(f"go on with --offset {end}")


def _batches(request: Request, model: "Model", tally: "Tally") -> "Iterable[Drawn]":
    """Draw batches without end, filtered by the discriminator if the request says so."""
    from ganlm_core.bundle import stream
    from ganlm_core.bundle.select import SELECTIONS
    from ganlm_core.system.processes import divided

    policy = request.policy
    seed, prompt, offset, label = request.seed, request.prompt, request.start, request.label
    if request.method is None:
        return stream.draw(model, seed, policy, prompt, offset, divided, label)
    choose = SELECTIONS[request.method]
    return stream.select(model, choose, request.candidates, tally, seed, policy, prompt, offset, divided, label)


def _model(request: Request) -> "Model":
    """Load the model, calibrated for the request's policy. Raises UsageError if that needs --data."""
    from ganlm_core.cli.source import load_source
    from ganlm_core.sampling import PLAIN

    host = current_host()
    own = request.method is not None and request.data is None
    model = load_source(request.bundle, host, request.device, calibrated=own)
    if request.method is None:
        return model
    if request.data is not None:
        return calibrate(model, host, request.data, request.corpus, request.policy)
    if request.policy != PLAIN:
        raise UsageError(
            "the bundle's discriminator is calibrated for temperature 1 and all words; "
            "add --data FILE|CORPUS to calibrate it for these options"
        )
    return model


def _seen(request: Request, form: Form) -> "Seen":
    """Return a filter with room for the requested texts; it knows the texts that are already in the file."""
    from ganlm_core.bundle.stream import BATCH, Seen

    out = request.out
    if out is None or not out.exists():
        return Seen(request.count)
    seen = Seen(request.count + sum(1 for _ in read_texts(out, form)))
    texts: Iterator[str] = read_texts(out, form)
    while batch := list(islice(texts, BATCH)):
        seen.add(batch)
    return seen


def _write(batches: "Iterable[Drawn]", request: Request, form: Form) -> int:
    """Write whole batches and return the number of sentences drawn. Raises Interrupted, ProcessLost and WriteError."""
    written, end = 0, request.start
    try:
        with caught_signals(lambda: None) as signals, lines_to(request.out, form) as write:
            for batch in batches:
                write(batch.texts)
                written, end = written + len(batch.texts), batch.end
                if signals:
                    raise Interrupted(f"interrupted after {written:,} sentences; go on with --offset {end}")
    except (ProcessLost, WriteError) as error:
        if not written:
            raise
        message = f"{error}; {written:,} sentences are written, go on with --offset {end}"
        raise reworded(error, message) from error
    return end


def _draw_along(batches: "Iterable[Drawn]") -> None:
    """On the other ranks: draw this rank's share of the batches, and leave signals to rank 0."""
    with caught_signals(lambda: None):
        for _ in batches:
            pass


def _report(tally: "Tally") -> None:
    note(
        f"{tally.taken:,} of {tally.candidates:,} candidates accepted (acceptance rate {tally.acceptance:.1%}); "
        f"effective sample size {tally.effective:.1%} of the candidates"
    )
