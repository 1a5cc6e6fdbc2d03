"""``ganlm eval``: models and files of samples under one protocol, beside real text and what they must beat."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganlm_core.cli.context import current_host
from ganlm_core.cli.output import echo_json, json_option
from ganlm_core.errors import OptionError
from ganlm_core.training.run_folder import RunFolder

if TYPE_CHECKING:
    from ganlm_core.metrics.encoders import Encoder
    from ganlm_core.plugins.host import Host

FILE = click.Path(path_type=Path)


@click.command("eval", context_settings={"show_default": True})
@click.argument("sources", metavar="BUNDLE|RUN|FILE...", nargs=-1, required=True)
@click.option("--data", default="", metavar="FILE|CORPUS", help="the training text, if not that of the models")
@click.option("--test", default="", metavar="FILE", help="real sentences to compare with, instead of the test part")
@click.option("--metrics", default="", metavar="NAMES", help="with commas; all that need not be asked for by default")
@click.option("--temperatures", default="0.7,0.85,1,1.15,1.3", metavar="NUMBERS", help="of the models, with commas")
@click.option("--encoder", default="hashed-ngrams", metavar="NAME[,OPTION=VALUE]", help="of sentences, for distances")
@click.option("--baseline", "baselines", multiple=True, metavar="BUNDLE|RUN", help="instead of a run's own warm-up")
@click.option("-n", "sentences", type=click.IntRange(0), default=0, help="sentences of each; 0: as many as all have")
@click.option("--seed", type=click.IntRange(0), default=0, help="seed of the drawing")
@click.option("--device", default="cpu", help="auto, cpu, cuda, cuda:N or mps")
@click.option("--out", type=FILE, metavar="FILE", help="where to keep it; of one run by default evaluation.json in it")
@click.option("--force", is_flag=True, help="replace an evaluation that is there")
@json_option
def eval_(
    sources: tuple[str, ...],
    data: str,
    test: str,
    metrics: str,
    temperatures: str,
    encoder: str,
    baselines: tuple[str, ...],
    sentences: int,
    seed: int,
    device: str,
    out: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Measure trained models, and files of samples from anywhere, against held-out text.

    Beside them stand real text under the same protocol, a perfect generator where the corpus has an exact process,
    shuffled words and a unigram model. docs/metrics.md says what each number means and how it misleads.
    """
    from ganlm_core.cli.tables import show_scores
    from ganlm_core.evaluation.evaluate import EvaluationSettings, choose_metrics, evaluate
    from ganlm_core.evaluation.sources import open_sources, real_text
    from ganlm_core.system import processes
    from ganlm_core.system.devices import keep_memory
    from ganlm_core.system.files import check_free

    keep_memory()
    click.get_current_context().with_resource(processes.processes())
    host = current_host()
    chosen = choose_metrics(host, _names(metrics))
    settings = EvaluationSettings(chosen, _numbers(temperatures), sentences, seed, _encoder(host, encoder))
    place = out or _place(sources)
    if place is not None:
        check_free(place, force)
    opened = open_sources(host, sources, baselines, device)
    real = real_text(host, opened, data, test)
    scores = evaluate(host, opened, real, settings, _tell, processes.divided, processes.size())
    if processes.rank() > 0:
        return
    if place is not None:
        scores.write(place, force)
    for note in scores.notes:
        click.echo(f"note: {note}", err=True)
    if as_json:
        echo_json(scores.to_dict())
    else:
        show_scores(scores)
    if place is not None:
        click.echo(f"kept in {place}", err=True)


def _tell(line: str) -> None:
    click.echo(line, err=True)


def _encoder(host: "Host", given: str) -> "Encoder":
    """Raises UnknownName and OptionError."""
    name, *options = _names(given)
    pairs = dict(option.partition("=")[::2] for option in options)
    built: Encoder = host.build("encoder", name, host.spec("encoder", name).options.of(pairs, f"encoder '{name}'"))
    return built


def _names(given: str) -> list[str]:
    return [name.strip() for name in given.split(",") if name.strip()]


def _numbers(given: str) -> list[float]:
    """Temperatures above zero, in order. Raises OptionError."""
    try:
        numbers = sorted({float(word) for word in _names(given)})
    except ValueError:
        numbers = []
    if not numbers or not 0 < numbers[0] <= numbers[-1] < float("inf"):
        raise OptionError(f"--temperatures is {given!r}; wanted numbers above 0 with commas, such as 0.8,1,1.2")
    return numbers


def _place(sources: tuple[str, ...]) -> Path | None:
    """evaluation.json of the run, if one run is all there is to evaluate."""
    run = RunFolder(Path(sources[0]))
    return run.evaluation if len(sources) == 1 and (run.path / "config.toml").is_file() else None
