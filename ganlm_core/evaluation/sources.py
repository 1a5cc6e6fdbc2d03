"""Sources of ``ganlm eval``: models, files of samples and the real text to compare with; and warnings about them."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ganlm_core.bundle import load
from ganlm_core.bundle.locate import short_names
from ganlm_core.bundle.manifest import is_run
from ganlm_core.bundle.mean import first_of
from ganlm_core.bundle.model import Model
from ganlm_core.components import Options
from ganlm_core.config.run_config import corpus_from, data_layer
from ganlm_core.data.corpus import Corpus, split, spread
from ganlm_core.data.mapped_lines import lookup
from ganlm_core.data.text import words
from ganlm_core.data.text_files import STANDARD_INPUT, read_sentences
from ganlm_core.data.tokenizer import count_cut
from ganlm_core.errors import DataError, UsageError
from ganlm_core.evaluation.scores import warm_up
from ganlm_core.metrics.formatting import format_value
from ganlm_core.metrics.metric import Conditions
from ganlm_core.plugins.host import Host
from ganlm_core.protocol import UNK
from ganlm_core.training.run_folder import RunFolder

TELLING = 0.1
"""Two texts whose shares of words with some trait differ by more than this are tokenised differently."""

TELLING_SENTENCES = 20_000
"""Sentences of a text that are searched for such traits. Larger texts are subsampled evenly to this size."""


@dataclass(frozen=True)
class Source:
    """A trained ``model``, or the ``texts`` of a file. ``kind`` is ``model``, ``baseline`` or ``samples``.

    ``run`` is the folder of the run that the model is from, if it was named; ``notes`` are about the file.
    """

    kind: str
    title: str
    model: Model | None = None
    texts: Sequence[str] = ()
    run: RunFolder | None = None
    notes: Sequence[str] = ()

    @property
    def is_baseline(self) -> bool:
        """Whether it was named as a baseline, is a warm-up, or was trained by maximum likelihood alone."""
        algorithm = None if self.model is None else self.model.config.components.get("algorithm")
        return self.kind == "baseline" or (algorithm is not None and algorithm.name == "mle")


def open_sources(
    host: Host, names: Sequence[str], baselines: Sequence[str] = (), device: str = "cpu", **reading: Any
) -> list[Source]:
    """Open bundles, runs and samples, then the ``baselines``. Samples are a file, a pipe, or ``-``: standard input.

    If no baseline is named, the baseline of a run is its own maximum likelihood warm-up, if it has one.
    ``reading`` are options of :class:`ganlm_core.data.options.FileOptions`, such as ``column``. Raises DataError, and
    the errors of :func:`ganlm_core.bundle.load.load`.
    """
    every = [*names, *baselines]
    kinds = ["model"] * len(names) + ["baseline"] * len(baselines)
    opened = zip(every, short_names(every), kinds, strict=True)
    sources = [
        _samples(name, title, kind, reading) if _is_text(name) else _model(host, name, title, kind, device)
        for name, title, kind in opened
    ]
    if baselines:
        return sources
    for source in list(sources):
        if source.run is not None and source.run.before.is_dir():
            before = load.load(source.run.before, host, device)
            sources.append(Source("baseline", warm_up(source.title), before, run=source.run))
    return sources


def _is_text(name: str) -> bool:
    path = Path(name)
    return name == STANDARD_INPUT or (path.exists() and not path.is_dir())


def _samples(name: str, title: str, kind: str, reading: Mapping[str, Any]) -> Source:
    read = read_sentences(name, **reading)
    # An empty line is a sample too: the generator wrote nothing. Dropping it would make the file look better.
    texts = [*read.texts, *[""] * read.facts.blank]
    notes = tuple(replace(read.facts, blank=0).notes(name))
    title = "standard input" if name == STANDARD_INPUT else title
    return Source("samples" if kind == "model" else kind, title, texts=texts, notes=notes)


def _model(host: Host, name: str, title: str, kind: str, device: str) -> Source:
    path = Path(name)
    if not path.exists() and ":" not in name:
        raise DataError(f"there is nothing at {name}; give a bundle, a run or a file with one sentence per line")
    return Source(kind, title, load.load(name, host, device), run=run_at(name))


def run_at(name: str) -> RunFolder | None:
    """Return the run at a path, if there is one. Raises WeightsError if it holds links."""
    return RunFolder.open(Path(name)) if is_run(Path(name)) else None


def real_text(host: Host, sources: Sequence[Source], data: str = "", test: str = "", **reading: Any) -> Corpus:
    """Return the corpus ``data``, by name or file, or else the training text of the models.

    The sentences of the file ``test`` replace its test split. With ``test``, all of a ``data`` file is training text;
    without it, the file is split as ``ganlm run`` splits it. ``reading`` is as in :func:`open_sources`. A note says
    which models were trained on another text. Raises UsageError if no text is named, and DataError if it cannot be
    read, if ``test`` has a label that the training text lacks or, unless it is named by ``data``, if it is not the
    training text.
    """
    corpus = _named(host, sources, data, reading, whole=bool(test)) if data else _trained_on(host, sources)
    if not test:
        return corpus
    read = read_sentences(test, **reading)
    if corpus.labels and (strange := set(read.columns.labels) - set(corpus.labels)):
        raise DataError(
            f"{test}: the label '{min(strange)}' is not in the training text, whose labels are "
            f"{', '.join(corpus.labels)}; correct it, or remove its rows"
        )
    return replace(corpus.testing(read.texts, read.columns), notes=(*corpus.notes, *read.notes))


def _named(host: Host, sources: Sequence[Source], data: str, reading: Mapping[str, Any], whole: bool) -> Corpus:
    """Return the corpus that the user named; all of a file is training text if ``whole``."""
    if whole and "file" in data_layer(host, data)["corpus"]:
        read = read_sentences(data, **reading)
        corpus = Corpus(data, read.texts, (), (), notes=read.notes, columns={"train": read.columns})
    else:
        corpus = corpus_from(host, data, **reading)
    return replace(corpus, notes=(*corpus.notes, *_trained_on_others(sources, corpus)))


def _trained_on_others(sources: Sequence[Source], corpus: Corpus) -> Iterator[str]:
    """Yield a note for each model whose bundle says that it was trained on another text than ``corpus``."""
    models = [
        (each.title, each.model.config) for each in sources if each.model is not None and each.model.config.corpus
    ]
    digests = _digests(corpus) if models else {}
    for title, config in models:
        if changed := config.changed_splits(digests):
            yield (
                f"{title} was trained on another text than {corpus.name} ({_differ(changed)}), "
                "so copies of its own training text are not counted"
            )


def _digests(corpus: Corpus) -> Mapping[str, str]:
    """Return the digests that a bundle of a model trained on the corpus has; all of it may be training text here."""
    if corpus.validation:
        return corpus.digests()
    try:
        return split(corpus.name, corpus.train).digests()
    except DataError:
        return {"train": "", "validation": "", "test": ""}


def _differ(splits: Sequence[str]) -> str:
    return f"different {', '.join(splits)} split{'s' * (len(splits) > 1)}"


def _trained_on(host: Host, sources: Sequence[Source]) -> Corpus:
    """Return the training text of the models, which must be the same for all."""
    models = [source for source in sources if source.model is not None]
    if not models:
        raise UsageError("samples are compared with real text; name their training text with --data FILE")
    first, *others = models
    for other in others:
        if not _same_text(host, first, other):
            raise UsageError(
                f"{first.title} and {other.title} were trained on different text; name one for both with --data FILE"
            )
    try:
        corpus = _text_of(host, first)
    except DataError as error:
        raise DataError(f"the training text of {first.title} is not here ({error}); name it with --data FILE") from None
    assert first.model is not None
    if changed := first.model.config.changed_splits(corpus.digests()):
        raise DataError(
            f"{first.title} was trained on another text than {corpus.name} has now ({_differ(changed)}); "
            "name its training text with --data FILE"
        )
    return corpus


def _same_text(host: Host, one: Source, other: Source) -> bool:
    """Compare the training texts of two models by their digests, or by their names in bundles that have no digests.

    Bundles of older versions lack newer options, which are at their defaults.
    """
    assert one.model is not None and other.model is not None
    first, second = one.model.config, other.model.config
    if first.corpus and second.corpus:
        return not first.changed_splits(second.corpus)
    corpora = [each.source for each in (first, second)]
    if corpora[0].name != corpora[1].name:
        return False
    chosen = [_options(host, each.name, each.options) for each in corpora]
    return chosen[0] == chosen[1]


def _text_of(host: Host, source: Source) -> Corpus:
    """Build the corpus of a model, from the path in its run, or from the name in its bundle."""
    assert source.model is not None
    folder = Path(first_of(source.model.source))
    run = source.run or run_at(str(folder)) or (run_at(str(folder.parent)) if folder.is_dir() else None)
    if run is not None:
        choice = run.load_config(host).corpus
        return _build(host, choice.name, choice.options.as_dict())
    corpus = source.model.config.source
    return _build(host, corpus.name, corpus.options)


def _build(host: Host, name: str, options: Mapping[str, object]) -> Corpus:
    corpus: Corpus = host.build("corpus", name, _options(host, name, options))
    return corpus


def _options(host: Host, name: str, options: Mapping[str, object]) -> Options:
    return host.spec("corpus", name).options.of(options, f"corpus '{name}'")


def warnings(sources: Sequence[Source], corpus: Corpus, n: int) -> Iterator[str]:
    """Yield a warning for each problem of the sources. Every row should have ``n`` sentences."""
    if not any(source.is_baseline for source in sources):
        yield (
            "no row was trained by maximum likelihood alone, so the table does not show what a GAN adds to it; "
            "train one (ganlm run --recipe mle) and name it with --baseline RUN"
        )
    conditions, known = Conditions(corpus), lookup(corpus.train)
    if overlap := sum(text in known for text in corpus.test):
        yield f"{overlap:,} of {len(corpus.test):,} test sentences are in the training text too"
    yield from _tokenised_differently("the test split", corpus.test, corpus.train)
    for source in sources:
        yield from source.notes
        if source.model is not None:
            yield from _misread(source.title, source.model, corpus)
        if source.texts:
            yield from _unknown_units(source, conditions)
            yield from _tokenised_differently(source.title, source.texts, corpus.train)
    yield from _other_tokenizers(sources)
    sizes = [("the training split", len(corpus.train)), ("the test split", len(corpus.test))]
    for title, size in [*sizes, *((each.title, len(each.texts)) for each in sources if each.texts)]:
        if size < n:
            yield (
                f"{title} has {size:,} sentences and other rows have {n:,}, so their diversity does not compare; "
                f"-n {size} makes them equal"
            )


def _misread(title: str, model: Model, corpus: Corpus) -> Iterator[str]:
    """Yield a warning of test words that the model does not know, and of test sentences whose ends it does not read."""
    unknown = total = cut = 0
    for tokens in model.tokenizer.chunks(spread(corpus.test, TELLING_SENTENCES), model.shape.length):
        unknown, total = unknown + int((tokens == UNK).sum()), total + int((tokens >= UNK).sum())
        cut += 0 if corpus.fixed_length else count_cut(tokens)
    if cut:
        share = format_value(cut / min(len(corpus.test), TELLING_SENTENCES), share=True)
        yield (
            f"{title}: {share} of the test sentences are longer than its {model.shape.length} tokens, so its "
            "likelihood is of their beginnings and does not compare with others"
        )
    if unknown:
        share = format_value(unknown / total, share=True)
        yield (
            f"{title}: {share} of the tokens of the test split are <unk> to it, so its likelihood is higher than that "
            "of a model that knows them"
        )


def _other_tokenizers(sources: Sequence[Source]) -> Iterator[str]:
    """Yield a warning if models divide text into other tokens."""
    tokenizers = {each.title: each.model.tokenizer.to_json() for each in sources if each.model is not None}
    first = next(iter(tokenizers), "")
    differ = [title for title, tokenizer in tokenizers.items() if tokenizer != tokenizers[first]]
    if differ:
        yield (
            f"{', '.join(differ)} and {first} divide text into other tokens, so held-out NLL and perplexity do not "
            f"compare; the NLL per sentence does (--metrics perplexity). Reference rows have the tokens of {first}"
        )


def _unknown_units(source: Source, conditions: Conditions) -> Iterator[str]:
    """Yield a warning of words, or characters if the metrics count them, that are in no real sentence."""
    found = [unit for text in source.texts for unit in conditions.split(text)]
    strange = set(found)
    for text in itertools.chain(conditions.corpus.train, conditions.corpus.test):
        strange.difference_update(conditions.split(text))
    if unknown := [unit for unit in found if unit in strange]:
        share = format_value(len(unknown) / len(found), share=True)
        counted = f"{len(unknown):,} of {len(found):,} {conditions.unit}s ({share})"
        yield f"{source.title}: {counted} are in no real sentence, the first is '{unknown[0]}'"


_TRAITS: dict[str, Callable[[str], object]] = {
    "have a capital letter": lambda word: word != word.lower(),
    "end in a punctuation mark": re.compile(r"\w[.,;:!?]$").search,
    "are marked as pieces of words": re.compile(r"^(##|\u2581|\u0120)|@@$").search,
}


def _tokenised_differently(title: str, texts: Sequence[str], train: Sequence[str]) -> Iterator[str]:
    for trait, has in _TRAITS.items():
        here, there = (_share(spread(found, TELLING_SENTENCES), has) for found in (texts, train))
        if abs(here - there) > TELLING:
            yield (
                f"{title}: {here:.0%} of the words {trait}, and {there:.0%} in the training text; "
                "if they are tokenised differently, no number below means anything"
            )


def _share(texts: Sequence[str], has: Callable[[str], object]) -> float:
    found = [word for text in texts for word in words(text)]
    return sum(bool(has(word)) for word in found) / max(1, len(found))
