"""Rows of each label: what a model writes when it is asked for one label, against real text of this label."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from ganlm_core.data.corpus import Corpus, spread
from ganlm_core.errors import UsageError
from ganlm_core.evaluation.row_group import RowGroup
from ganlm_core.evaluation.scores import LABEL, REAL_LABEL, Row
from ganlm_core.evaluation.sources import Source
from ganlm_core.metrics.judge import Judge
from ganlm_core.metrics.metric import Subject
from ganlm_core.protocol import Generator

MOST_LABELS = 10
"""Labels that get rows of their own; of more, only all together are measured."""


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


def label_rows(source: Source, judge: Judge, n: int) -> Iterator[RowGroup]:
    """Yield a row for each label of a model, at temperature 1; none for a model without labels, or with many.

    A row has no log p: that is the mean over the labels, and the sentences are of one.
    """
    model = source.model
    if model is None or not 0 < len(model.labels.names) <= MOST_LABELS:
        return
    for name, own, size in _judges(judge, n):
        row = Row(LABEL, f"{source.title}, {name}", 1.0, label=name)
        yield RowGroup([row], [partial(_written, own, model.generator, size)], own)


def _written(judge: Judge, generator: Generator, n: int) -> Subject:
    return replace(judge.written(generator, n), log_prob=None)


def real_rows(judge: Judge, n: int) -> Iterator[RowGroup]:
    """Yield a row of real text for each label of the corpus; none for a corpus with many labels."""
    for name, own, size in _judges(judge, n):
        row = Row(REAL_LABEL, f"real text, {name}", label=name)
        yield RowGroup([row], [partial(_real, own, name, size)], own)


def _real(judge: Judge, label: str, n: int) -> Subject:
    corpus = judge.corpus
    train = [text for text, own in zip(corpus.train, corpus.beside("train").labels, strict=True) if own == label]
    return replace(judge.real(n), texts=spread(train, n))


def _judges(judge: Judge, n: int) -> Iterator[tuple[str, Judge, int]]:
    """Yield each label, a judge whose test split is its real text, and the size of its row: ``n``, or all real text."""
    labels = list(judge.corpus.beside("test").labels)
    for name in judge.corpus.labels if len(judge.corpus.labels) <= MOST_LABELS else ():
        rows = [row for row, label in enumerate(labels) if label == name]
        if rows:
            yield name, replace(judge, corpus=judge.corpus.tested_at(rows)), min(n, len(rows))
