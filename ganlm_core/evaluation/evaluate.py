"""The rows of ``ganlm eval``: generators at every temperature, files of samples, and the reference rows."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain

from ganlm_core.components import ComponentSpec, Measure
from ganlm_core.data.corpus import SAMPLE, Corpus, spread
from ganlm_core.data.encoding import impossible, log_frequencies, token_counts
from ganlm_core.data.tokenizer import LONGEST, Tokenizer
from ganlm_core.evaluation.by_label import check_labels, label_rows, real_rows
from ganlm_core.evaluation.row_group import Filled, RowGroup, Tell
from ganlm_core.evaluation.scores import Row, Scores
from ganlm_core.evaluation.sources import Source, warnings
from ganlm_core.metrics.encoders import Encoder, plain_encoder
from ganlm_core.metrics.formatting import format_value
from ganlm_core.metrics.guarded import build_metrics
from ganlm_core.metrics.judge import Judge, LogitsOf
from ganlm_core.metrics.metric import Conditions, Subject
from ganlm_core.metrics.options import SCORED, TEMPERATURES
from ganlm_core.metrics.specs import METRICS
from ganlm_core.plugins.host import Host
from ganlm_core.protocol import Shape
from ganlm_core.sampling import Policy
from ganlm_core.system.processes import Divide
from ganlm_core.system.version import __version__

MOST = 10_000
"""Maximum sentences per row by default. If a row has fewer, all rows get this smaller number."""

VOCABULARY = 100_000
"""Vocabulary size of the tokenizer if no model has one."""

MOST_REFERENCES = 50_000
"""Larger test splits are subsampled evenly to this size, and larger training splits for the unigram model."""


@dataclass(frozen=True)
class EvaluationSettings:
    """The settings of an evaluation.

    ``metrics`` are from :func:`choose_metrics`. ``sentences`` is the number of each row; 0: as many as every row can
    have, at most MOST. ``scored`` is the number of test sentences whose likelihood is computed; 0: all.
    """

    metrics: Mapping[str, ComponentSpec]
    temperatures: Sequence[float] = TEMPERATURES
    sentences: int = 0
    seed: int = 0
    encoder: Encoder = field(default_factory=plain_encoder)
    scored: int = SCORED


def evaluate(
    host: Host,
    sources: Sequence[Source],
    corpus: Corpus,
    settings: EvaluationSettings,
    tell: Tell = lambda line: None,
    divide: Divide = map,
    ways: int = 1,
) -> Scores:
    """Score ``sources`` against the test split of ``corpus``. ``tell`` is called with a line for each step of the work.

    With :func:`ganlm_core.system.processes.divided` as ``divide``, each of ``ways`` processes measures some of the
    rows, and all of them return all scores.
    """
    check_labels(sources, corpus)
    if len(corpus.test) > MOST_REFERENCES:
        corpus = corpus.tested_at(spread(range(len(corpus.test)), MOST_REFERENCES))
    sizes = [len(each.texts) for each in sources if each.texts]
    n = settings.sentences or min(MOST, len(corpus.test), len(corpus.train), *sizes)
    metrics = build_metrics(host, settings.metrics)
    judge = replace(
        _judge(sources, corpus, settings.seed), metrics=metrics, encoder=settings.encoder, scored=settings.scored
    )

    def measured(group: RowGroup) -> tuple[list[Filled], list[str]]:
        return list(group.measured(n, tell)), judge.failures

    found, failures = zip(*divide(measured, _groups(sources, judge, settings.temperatures, n, ways)), strict=True)
    filled: list[Filled] = list(chain.from_iterable(found))
    rows = [each.row for each in filled]
    notes = [
        *corpus.notes,
        *warnings(sources, corpus, n),
        *_ceiling(judge.conditions),
        *_empty(filled),
        *_copied(rows, judge.conditions),
        *dict.fromkeys(chain.from_iterable(failures)),
    ]
    return Scores(rows, _measures(settings, filled), _conditions(judge, settings.temperatures, n), notes)


def choose_metrics(host: Host, names: Sequence[str] = ()) -> dict[str, ComponentSpec]:
    """Return metrics by name, the built-in ones first; without ``names`` all that are measured by default.

    Raises UnknownName.
    """
    known = host.specs("metric")
    for name in names:
        host.spec("metric", name)  # raises for an unknown name
    wanted = set(names) or {name for name, spec in known.items() if spec.when != "asked"}
    if "validity" in wanted:
        # The likelihood of samples under the process means nothing without the likelihood of real text under the model.
        wanted.add("likelihood")
    order = dict.fromkeys([*(spec.name for spec in METRICS), *known])
    return {name: known[name] for name in order if name in wanted}


def _judge(sources: Sequence[Source], corpus: Corpus, seed: int) -> Judge:
    """Return a judge with the tokenizer of the first model; without a model, with the words of the training text."""
    for source in sources:
        if source.model is not None:
            return Judge(corpus, source.model.tokenizer, source.model.shape, {}, seed)
    texts = spread(corpus.train, SAMPLE)
    tokenizer = Tokenizer.train("word", texts, VOCABULARY)
    length = min(max(tokenizer.lengths(texts)), LONGEST) - (1 if corpus.fixed_length else 0)
    shape = Shape(tokenizer.vocabulary_size, length, noise=0)
    return Judge(corpus, tokenizer, shape, {}, seed)


def _groups(
    sources: Sequence[Source], judge: Judge, temperatures: Sequence[float], n: int, ways: int
) -> Iterator[RowGroup]:
    """Yield all rows. A model's rows, which share a pass over the held-out text, are in ``ways`` groups at most."""
    for source in sources:
        row = Row(source.kind, source.title)
        if source.model is None:
            yield RowGroup([row], [partial(Subject, spread(source.texts, n), references=judge.corpus.test)], judge)
            continue
        own = replace(judge, tokenizer=source.model.tokenizer, shape=source.model.shape)
        together = math.ceil(len(temperatures) / ways)
        for first in range(0, len(temperatures), together):
            some = temperatures[first : first + together]
            policies = [Policy(temperature) for temperature in some]
            curve = own.curve(source.model.generator, n, policies, source.model.discriminator)
            rows = [replace(row, temperature=temperature) for temperature in some]
            yield RowGroup(rows, [partial(next, curve)] * len(rows), judge)
        yield from label_rows(source, own, n)
    tokens = judge.tokenizer.chunks(spread(judge.corpus.train, MOST_REFERENCES), judge.shape.length)
    never = impossible(judge.corpus, judge.tokenizer)
    frequencies = log_frequencies(token_counts(tokens, judge.shape, never).sum(dim=0))
    for kind, make in judge.references(n, frequencies, _only_scores(sources, judge)).items():
        yield RowGroup([Row(kind, kind)], [make], judge)
    yield from real_rows(judge, n)


def _only_scores(sources: Sequence[Source], judge: Judge) -> LogitsOf | None:
    """Return the scores of the discriminator if one model alone has one; reference rows then show its floor."""
    models = [each.model for each in sources if each.model is not None and each.model.discriminator is not None]
    if len(models) != 1:
        return None
    own = replace(judge, tokenizer=models[0].tokenizer, shape=models[0].shape)
    return own.scores_of(models[0].discriminator)


def _ceiling(conditions: Conditions) -> Iterator[str]:
    if not conditions.real_is_ceiling:
        share = format_value(conditions.copies_by_chance, share=True)
        yield (
            f"the text repeats itself ({share} of its sentences recur by chance), and its splits share no sentence, so "
            "a perfect generator is better than the row of real text; draw --test apart from the training text for a "
            "fair row"
        )


def _empty(filled: Sequence[Filled]) -> Iterator[str]:
    """Yield a note for each source that wrote empty sentences. They are measured like all others."""
    counts: dict[str, tuple[int, int]] = {}
    for row, _, empty in filled:
        if not row.is_reference:
            before = counts.get(row.title, (0, 0))
            counts[row.title] = before[0] + empty, before[1] + row.sentences
    for title, (empty, sentences) in counts.items():
        if empty:
            yield f"{title}: {empty:,} of {sentences:,} sentences are empty; every metric counts them"


def _copied(rows: Sequence[Row], conditions: Conditions) -> Iterator[str]:
    """Yield a note for each model or file that copies more than chance; below temperature 1, more copies are normal."""
    told = set()
    for row in rows:
        copied = row.values.get("copied")
        if row.is_reference or copied is None or (row.temperature or 1) < 1 or row.title in told:
            continue
        if conditions.copies_exceed_chance(copied):
            told.add(row.title)
            share, chance = (format_value(each, share=True) for each in (copied, conditions.copies_by_chance))
            yield (
                f"{row.name}: {share} of the sentences are copies of training sentences; {chance} is expected by "
                "chance; the training text was memorised"
            )


def _measures(settings: EvaluationSettings, filled: Sequence[Filled]) -> dict[str, Sequence[Measure]]:
    """Return the measures of each metric that has a value or a protocol in any row."""
    measures: dict[str, Sequence[Measure]] = {}
    for metric, spec in settings.metrics.items():
        said = [each.measured[metric] for each in filled]
        names = {name for each in said for name in each.values}
        if names or any(each.protocol for each in said):
            declared = [
                replace(each, title=each.title.replace("{encoder}", settings.encoder.title)) for each in spec.measures
            ]
            undeclared = sorted(names - {measure.name for measure in declared})
            measures[metric] = [*declared, *(Measure(name, name) for name in undeclared)]
    return measures


def _conditions(judge: Judge, temperatures: Sequence[float], n: int) -> dict[str, object]:
    """Return the conditions that are equal for all rows; only evaluations with equal conditions can be compared."""
    corpus = judge.corpus
    digests = corpus.digests()
    return {
        "ganlm_version": __version__,
        "corpus": corpus.name,
        "process_entropy": judge.conditions.process_entropy,
        "copies_by_chance": judge.conditions.copies_by_chance if "copies" in judge.metrics else None,
        "real_is_ceiling": judge.conditions.real_is_ceiling,
        "train": {"sentences": len(corpus.train), "sha256": digests["train"]},
        "test": {"sentences": len(corpus.test), "sha256": digests["test"]},
        "sentences": n,
        "test_sentences": judge.scored,
        "seed": judge.seed,
        "encoder": judge.encoder.title,
        "temperatures": list(temperatures),
        "metrics": list(judge.metrics),
    }
