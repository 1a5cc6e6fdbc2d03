"""``ganlm eval``: models and files of samples under one protocol, beside real text and baselines."""

from collections.abc import Mapping, Sequence
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
from ganlm_core.metrics.options import SCORED, TEMPERATURES
from ganlm_core.system.files import check_free
from ganlm_core.training.run_folder import RunFolder

if TYPE_CHECKING:
    from ganlm_core.evaluation.scores import Scores
    from ganlm_core.metrics.encoders import Encoder
    from ganlm_core.plugins.host import Host


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
    default=",".join(f"{each:g}" for each in TEMPERATURES),
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
def eval_(
    sources: Sequence[str],
    data: str | None,
    test: str | None,
    corpus: Mapping[str, Any],
    metrics: Sequence[str] | None,
    temperatures: Sequence[float],
    encoder: Sequence[str],
    baselines: Sequence[str],
    sentences: int,
    test_sentences: int,
    seed: int,
    device: str,
    out: Path | None,
    force: bool,
    form: str,
) -> None:
    """Measure models and files of samples against real text that the models were not trained on.

    FILE has one sentence per line, or is a CSV, TSV, JSON or JSONL file; - is standard input.

    The table also has real text, a perfect generator if the corpus has an exact process, shuffled words and a unigram
    model, all measured in the same way. docs/metrics.md explains every number and how it can mislead.
    """
    from ganlm_core.cli.tables import show_scores
    from ganlm_core.evaluation.evaluate import EvaluationSettings, choose_metrics, evaluate
    from ganlm_core.evaluation.sources import open_sources, real_text
    from ganlm_core.system import processes
    from ganlm_core.system.devices import keep_memory

    keep_memory()
    click.get_current_context().with_resource(processes.processes())
    host, place = current_host(), out or _own_place(sources)
    chosen = choose_metrics(host, metrics or ())
    built = _encoder(host, *encoder)
    settings = EvaluationSettings(chosen, sorted(temperatures), sentences, seed, built, test_sentences)
    if place is not None:
        if place.exists() and not force and out is None:
            raise UsageError(
                f"{sources[0]} was measured before, in {place}; 'ganlm report' and 'ganlm compare' show it, "
                "--force measures again and replaces it, and --out FILE keeps both"
            )
        check_free(place, force)
    opened = open_sources(host, sources, baselines, device, **corpus)
    real = real_text(host, opened, data or "", test or "", **corpus)
    scores = evaluate(host, opened, real, settings, note, processes.divided, processes.size())
    if processes.rank() > 0:
        return
    failure = _kept(scores, place, force)
    for line in scores.notes:
        note(f"note: {line}")
    if form == "json":
        echo_json(scores.to_dict())
    elif form != "table":
        echo_data(scores.table().text(form))
    else:
        show_scores(scores)
    if failure is not None:
        raise failure
    if place is not None:
        note(f"kept in {place}")


def _own_place(sources: Sequence[str]) -> Path | None:
    """Return evaluation.json of the run if a run is the only source."""
    run = RunFolder(Path(sources[0]))
    return run.evaluation if len(sources) == 1 and is_run(run.path) else None


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
