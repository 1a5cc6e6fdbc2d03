"""The rows of ``ganlm eval``: generators at every temperature, files of samples, and what they must beat."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from ganlm_core.components import ComponentSpec, Measure
from ganlm_core.data.corpus import SAMPLE, Corpus, spread
from ganlm_core.data.encoding import log_frequencies, token_counts
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.evaluation.scores import Row, Scores
from ganlm_core.evaluation.sources import Source, warnings
from ganlm_core.metrics.encoders import Encoder, plain_encoder
from ganlm_core.metrics.judge import Judge, build_metrics, round_values
from ganlm_core.metrics.metric import Measured, Subject
from ganlm_core.metrics.specs import METRICS
from ganlm_core.plugins.host import Host
from ganlm_core.protocol import Shape
from ganlm_core.sampling import Policy
from ganlm_core.system.processes import Divide
from ganlm_core.system.version import __version__

MOST = 10_000
"""Sentences in each row, where the user does not say: as many as all rows can have, and no more than this."""

TEMPERATURES = (0.7, 0.85, 1.0, 1.15, 1.3)
VOCABULARY = 100_000

MOST_REFERENCES = 50_000
"""Of a larger test share, so many sentences, evenly spaced, stand for all; of the training share, for its unigrams."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class EvaluationSettings:
    """How an evaluation is made. ``metrics`` are of :func:`choose_metrics`. No ``sentences``: up to MOST a row."""

    metrics: Mapping[str, ComponentSpec]
    temperatures: Sequence[float] = TEMPERATURES
    sentences: int = 0
    seed: int = 0
    encoder: Encoder = field(default_factory=plain_encoder)


@dataclass(frozen=True)
class Share:
    """Rows that one process fills, one after the other, and their subjects, each made when it is asked for."""

    rows: Sequence[Row]
    subjects: Iterator[Subject]


def evaluate(
    host: Host,
    sources: Sequence[Source],
    corpus: Corpus,
    settings: EvaluationSettings,
    tell: Tell = lambda line: None,
    divide: Divide = map,
    ways: int = 1,
) -> Scores:
    """Score ``sources`` against the test part of ``corpus``. ``tell`` hears what is being done.

    With :func:`ganlm_core.system.processes.divided` for ``divide``, each of several processes, as many as ``ways``,
    measures some of the rows, and all have the scores.
    """
    corpus = replace(corpus, test=spread(corpus.test, MOST_REFERENCES))
    sizes = [len(each.texts) for each in sources if each.texts]
    n = settings.sentences or min(MOST, len(corpus.test), len(corpus.train), *sizes)
    metrics = build_metrics(host, settings.metrics)
    judge = replace(_judge(sources, corpus, settings.seed), metrics=metrics, encoder=settings.encoder)

    def measured(share: Share) -> tuple[list[tuple[Row, Mapping[str, Measured]]], list[str]]:
        return list(_measured(share, judge, n, tell)), judge.failures

    shares, failures = zip(*divide(measured, _shares(sources, judge, settings.temperatures, n, ways)), strict=True)
    rows, found = zip(*chain.from_iterable(shares), strict=True)
    notes = [*corpus.notes, *warnings(sources, corpus, n), *dict.fromkeys(chain.from_iterable(failures))]
    return Scores(rows, _measures(settings, found), _conditions(judge, settings.temperatures, n), notes)


def choose_metrics(host: Host, names: Sequence[str] = ()) -> dict[str, ComponentSpec]:
    """Metrics by name, those of the core first; without ``names`` all that need no asking for. Raises UnknownName."""
    known = host.specs("metric")
    wanted = {host.spec("metric", name).name for name in names} or {
        name for name, spec in known.items() if spec.when != "asked"
    }
    if "validity" in wanted:
        # How likely samples are under the process says nothing without how likely real text is under the model.
        wanted.add("likelihood")
    order = dict.fromkeys([*(spec.name for spec in METRICS), *known])
    return {name: known[name] for name in order if name in wanted}


def _judge(sources: Sequence[Source], corpus: Corpus, seed: int) -> Judge:
    """With the tokenizer of the first model; the words of the training text where there is none."""
    for source in sources:
        if source.model is not None:
            return Judge(corpus, source.model.tokenizer, source.model.shape, {}, seed)
    texts = spread(corpus.train, SAMPLE)
    tokenizer = Tokenizer.train("word", texts, VOCABULARY)
    shape = Shape(tokenizer.vocabulary_size, tokenizer.sequence_length(texts), noise=0)
    return Judge(corpus, tokenizer, shape, {}, seed)


def _shares(
    sources: Sequence[Source], judge: Judge, temperatures: Sequence[float], n: int, ways: int
) -> Iterator[Share]:
    """All rows. Those of a model, which share a pass over the held-out text, are in as few parts as there are ways."""
    for source in sources:
        row = Row(source.kind, source.title)
        if source.model is None:
            yield Share([row], iter([Subject(spread(source.texts, n), references=judge.corpus.test)]))
            continue
        own = replace(judge, tokenizer=source.model.tokenizer, shape=source.model.shape)
        together = math.ceil(len(temperatures) / ways)
        for first in range(0, len(temperatures), together):
            some = temperatures[first : first + together]
            policies = [Policy(temperature) for temperature in some]
            rows = [replace(row, temperature=temperature) for temperature in some]
            yield Share(rows, own.curve(source.model.generator, n, policies))
    tokens = judge.tokenizer.chunks(spread(judge.corpus.train, MOST_REFERENCES), judge.shape.length)
    frequencies = log_frequencies(token_counts(tokens, judge.shape).sum(dim=0))
    for kind, make in judge.references(n, frequencies).items():
        yield Share([Row(kind, kind)], _when_asked(make))


def _when_asked(make: Callable[[], Subject]) -> Iterator[Subject]:
    yield make()


def _measured(share: Share, judge: Judge, n: int, tell: Tell) -> Iterator[tuple[Row, Mapping[str, Measured]]]:
    for row in share.rows:
        if row.temperature is not None:
            tell(f"drawing {n:,} sentences from {_name(row)}")
        subject = next(share.subjects)
        tell(f"measuring {_name(row)}")
        found = judge.measure(subject)
        yield _filled(row, len(subject.texts), found), found


def _name(row: Row) -> str:
    return row.title if row.temperature is None else f"{row.title} at temperature {row.temperature:g}"


def _filled(row: Row, sentences: int, measured: Mapping[str, Measured]) -> Row:
    values = {name: value for each in measured.values() for name, value in each.values.items()}
    protocol = {name: each.protocol for name, each in measured.items() if each.protocol}
    return replace(row, sentences=sentences, values=round_values(values), protocol=protocol)


def _measures(settings: EvaluationSettings, found: Sequence[Mapping[str, Measured]]) -> dict[str, Sequence[Measure]]:
    """Of each metric that had anything to say of any row, what it measures."""
    measures: dict[str, Sequence[Measure]] = {}
    for metric, spec in settings.metrics.items():
        said = [each[metric] for each in found]
        names = {name for each in said for name in each.values}
        if names or any(each.protocol for each in said):
            declared = [
                replace(each, title=each.title.format(encoder=settings.encoder.title)) for each in spec.measures
            ]
            undeclared = sorted(names - {measure.name for measure in declared})
            measures[metric] = [*declared, *(Measure(name, name) for name in undeclared)]
    return measures


def _conditions(judge: Judge, temperatures: Sequence[float], n: int) -> dict[str, object]:
    """What was the same for all rows; evaluations can be compared where these are equal."""
    corpus = judge.corpus
    digests = corpus.digests()
    return {
        "ganlm_version": __version__,
        "corpus": corpus.name,
        "process_entropy": judge.conditions.process_entropy,
        "train": {"sentences": len(corpus.train), "sha256": digests["train"]},
        "test": {"sentences": len(corpus.test), "sha256": digests["test"]},
        "sentences": n,
        "seed": judge.seed,
        "encoder": judge.encoder.title,
        "temperatures": list(temperatures),
        "metrics": list(judge.metrics),
    }
