"""``ganlm eval``: models and files of samples under one protocol, beside real text and baselines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganlm_core.bundle.manifest import is_run
from ganlm_core.cli.context import current_host
from ganlm_core.cli.options import (
    FILE,
    TEXT_FILE,
    corpus_options,
    device_option,
    force_option,
    form_options,
    seed_option,
)
from ganlm_core.cli.output import echo_data, echo_json, note
from ganlm_core.cli.types import COUNT, SENTENCES, SOURCE, TEMPERATURE, Name, Separated, settings_of
from ganlm_core.errors import UsageError, WriteError
from ganlm_core.metrics.options import SCORED
from ganlm_core.system.files import check_free
from ganlm_core.training.run_folder import RunFolder

if TYPE_CHECKING:
    from ganlm_core.evaluation.scores import Scores
    from ganlm_core.metrics.encoders import Encoder
    from ganlm_core.plugins.host import Host


@dataclass(frozen=True)
class Request:
    """The options of one call."""

    sources: Sequence[str]
    data: str | None
    test: str | None
    corpus: Mapping[str, Any]
    metrics: Sequence[str]
    temperatures: Sequence[float]
    encoder: Sequence[str]
    baselines: Sequence[str]
    sentences: int
    test_sentences: int
    seed: int
    device: str
    out: Path | None
    force: bool
    form: str

    @property
    def place(self) -> Path | None:
        """The file of the evaluation: --out, or evaluation.json of the run if it is the only source."""
        run = RunFolder(Path(self.sources[0]))
        own = run.evaluation if len(self.sources) == 1 and is_run(run.path) else None
        return self.out or own


@click.command("eval", context_settings={"show_default": True})
@click.argument("sources", metavar="BUNDLE|RUN|FILE...", nargs=-1, required=True, type=SOURCE)
@click.option(
    "--data",
    metavar="FILE|CORPUS",
    type=Name("corpus", files=True),
    help="training text, if it is not the text that the models were trained on",
)
@click.option(
    "--test",
    metavar="FILE",
    type=TEXT_FILE,
    help="real sentences that replace the test split",
)
@corpus_options
@click.option(
    "--metrics",
    type=Separated(Name("metric")),
    metavar="NAMES",
    help="metrics, comma-separated; by default all except slow ones, such as lm-score",
)
@click.option(
    "--temperatures",
    type=Separated(TEMPERATURE),
    default="0.7,0.85,1,1.15,1.3",
    metavar="NUMBERS",
    help="sampling temperatures, comma-separated",
)
@click.option(
    "--encoder",
    type=Separated(Name("encoder")),
    default="hashed-ngrams",
    metavar="NAME[,OPTION=VALUE]",
    help="encoder of sentences, for distances",
)
@click.option(
    "--baseline",
    "baselines",
    multiple=True,
    type=SOURCE,
    metavar="BUNDLE|RUN",
    help="model to compare with, instead of each run's own warm-up; can be repeated",
)
@click.option(
    "-n",
    "sentences",
    type=SENTENCES,
    default=0,
    help="sentences per row; 0: as many as every row can have, at most 10,000",
)
@click.option(
    "--test-sentences",
    type=COUNT,
    default=SCORED,
    help="test sentences whose likelihood is computed, evenly spaced; 0: all of them",
)
@seed_option
@device_option
@click.option(
    "--out", type=FILE, metavar="FILE", help="where to write the evaluation as JSON; for one run, evaluation.json in it"
)
@force_option
@form_options
def eval_(**given: Any) -> None:
    """Measure models and files of samples against real text that the models were not trained on.

    FILE has one sentence per line, or is a CSV, TSV, JSON or JSONL file; - is standard input.

    The table also has real text, a perfect generator if the corpus has an exact process, shuffled words and a unigram
    model, all measured in the same way. docs/metrics.md explains every number and how it can mislead.
    """
    _evaluate(Request(**given))


def _evaluate(request: Request) -> None:
    from ganlm_core.cli.tables import show_scores
    from ganlm_core.evaluation.evaluate import EvaluationSettings, choose_metrics, evaluate
    from ganlm_core.evaluation.repeated import of_scores
    from ganlm_core.evaluation.sources import open_sources, real_text
    from ganlm_core.system import processes
    from ganlm_core.system.devices import keep_memory

    keep_memory()
    click.get_current_context().with_resource(processes.processes())
    host, place = current_host(), request.place
    chosen = choose_metrics(host, request.metrics or ())
    encoder = _encoder(host, *request.encoder)
    settings = EvaluationSettings(
        chosen, sorted(request.temperatures), request.sentences, request.seed, encoder, request.test_sentences
    )
    if place is not None:
        _check_place(place, request)
    opened = open_sources(host, request.sources, request.baselines, request.device, **request.corpus)
    real = real_text(host, opened, request.data or "", request.test or "", **request.corpus)
    scores = evaluate(host, opened, real, settings, note, processes.divided, processes.size())
    if processes.rank() > 0:
        return
    failure = _kept(scores, place, request.force)
    for line in scores.notes:
        note(f"note: {line}")
    if request.form == "json":
        echo_json(scores.to_dict())
    elif request.form != "table":
        echo_data(of_scores(scores).text(request.form))
    else:
        show_scores(scores)
    if failure is not None:
        raise failure
    if place is not None:
        note(f"kept in {place}")


def _check_place(place: Path, request: Request) -> None:
    """Raise UsageError if the evaluation may not be written; for one that a run has, with the commands that show it."""
    if place.exists() and not request.force and request.out is None:
        raise UsageError(
            f"{request.sources[0]} was measured before, in {place}; 'ganlm report' and 'ganlm compare' show it, "
            "--force measures again and replaces it, and --out FILE keeps both"
        )
    check_free(place, request.force)


def _kept(scores: "Scores", place: Path | None, force: bool) -> WriteError | None:
    """Write an evaluation to its place, if it has one. Return the error of a disk that refuses: it is shown first."""
    try:
        if place is not None:
            scores.write(place, force)
    except WriteError as error:
        return error
    return None


def _encoder(host: "Host", name: str, *options: str) -> "Encoder":
    """Build the encoder of ``--encoder``. Raises UnknownName, UsageError and OptionError."""
    chosen = host.spec("encoder", name).options.of(settings_of(options, "--encoder"), f"encoder '{name}'")
    built: Encoder = host.build("encoder", name, chosen)
    return built
