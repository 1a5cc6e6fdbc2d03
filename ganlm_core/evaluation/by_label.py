"""Rows of each label: what a model writes when it is asked for one label, against real text of this label."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ganlm_core.data.corpus import Corpus, spread
from ganlm_core.errors import UsageError
from ganlm_core.evaluation.scores import LABEL, REAL_LABEL, Row
from ganlm_core.evaluation.sources import Source
from ganlm_core.metrics.judge import Judge
from ganlm_core.metrics.metric import Subject

MOST_LABELS = 10
"""Labels that get rows of their own; of more, only all together are measured."""


@dataclass(frozen=True)
class OfLabel:
    """A row of one label, measured by a judge that knows the real text of this label alone as its test split."""

    row: Row
    judge: Judge
    subject: Subject


def check_labels(sources: Sequence[Source], corpus: Corpus) -> None:
    """Raise UsageError for a model with labels that the corpus does not have."""
    for source in sources:
        names = source.model.labels.names if source.model is not None else ()
        if names and names != corpus.labels:
            found = f"has {', '.join(corpus.labels[:20])}" if corpus.labels else "has no labels"
            raise UsageError(
                f"{source.title} writes text of the labels {', '.join(names[:20])}, and {corpus.name} {found}; "
                "name the column of its labels with --corpus.label, or leave out --data to take its own text"
            )
        if names and corpus.test and not corpus.beside("test").labels:
            raise UsageError(
                f"{source.title} writes text of a label, and the sentences of --test have none; "
                "name the column of their labels with --corpus.label"
            )


def label_rows(source: Source, judge: Judge, n: int) -> Iterator[OfLabel]:
    """Yield a row for each label of a model, at temperature 1; none for a model without labels, or with many.

    A row has no log p: that is the mean over the labels, and the sentences are of one.
    """
    model = source.model
    if model is None or not 0 < len(model.labels.names) <= MOST_LABELS:
        return
    for name, own, size in _judges(judge, n):
        row = Row(LABEL, f"{source.title}, {name}", 1.0, label=name)
        yield OfLabel(row, own, replace(own.written(model.generator, size), log_prob=None))


def real_rows(judge: Judge, n: int) -> Iterator[OfLabel]:
    """Yield a row of real text for each label of the corpus; none for a corpus with many labels."""
    corpus = judge.corpus
    labels = list(corpus.beside("train").labels)
    for name, own, size in _judges(judge, n):
        train = [corpus.train[row] for row, label in enumerate(labels) if label == name]
        subject = replace(own.real(size), texts=spread(train, size))
        yield OfLabel(Row(REAL_LABEL, f"real text, {name}", label=name), own, subject)


def _judges(judge: Judge, n: int) -> Iterator[tuple[str, Judge, int]]:
    """Yield each label, a judge for it, and the number of sentences of its row: ``n``, or as many as are real."""
    labels = list(judge.corpus.beside("test").labels)
    for name in judge.corpus.labels if len(judge.corpus.labels) <= MOST_LABELS else ():
        rows = [row for row, label in enumerate(labels) if label == name]
        if rows:
            yield name, replace(judge, corpus=judge.corpus.tested_at(rows)), min(n, len(rows))
