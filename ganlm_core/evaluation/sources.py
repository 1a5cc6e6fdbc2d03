"""What ``ganlm eval`` is given: models, files of samples from anywhere, real text; and what may be wrong with them."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ganlm_core.bundle import load
from ganlm_core.bundle.model import Model
from ganlm_core.config.run_config import data_layer
from ganlm_core.data.corpus import Corpus, spread
from ganlm_core.data.mapped_lines import lookup
from ganlm_core.data.text_files import read_sentences
from ganlm_core.errors import DataError, UsageError
from ganlm_core.evaluation.scores import warm_up
from ganlm_core.metrics.metric import Conditions
from ganlm_core.plugins.host import Host
from ganlm_core.training.run_folder import RunFolder

TELLING = 0.1
"""A share of words that differs by as much between two texts tells of another tokenisation."""

TELLING_SENTENCES = 20_000
"""Sentences of a text that are looked at for that, evenly spaced."""


@dataclass(frozen=True)
class Source:
    """A trained ``model``, or the ``texts`` of a file. ``kind`` is ``model``, ``baseline`` or ``samples``."""

    kind: str
    title: str
    model: Model | None = None
    texts: Sequence[str] = ()

    @property
    def is_baseline(self) -> bool:
        """Whether it was named as one, is a warm-up, or was trained by maximum likelihood and nothing else."""
        return self.kind == "baseline" or (
            self.model is not None and self.model.config.components["algorithm"].name == "mle"
        )


def open_sources(host: Host, names: Sequence[str], baselines: Sequence[str] = (), device: str = "cpu") -> list[Source]:
    """Bundles, runs and files of samples, the ``baselines`` after the others.

    A run that was trained by maximum likelihood before its adversarial training is its own baseline, if no other is
    named. Raises DataError, and as :func:`ganlm_core.bundle.load`.
    """
    titles = _titles([*names, *baselines])
    kinds = ["model"] * len(names) + ["baseline"] * len(baselines)
    opened = zip([*names, *baselines], titles, kinds, strict=True)
    sources = [_open(host, name, title, kind, device) for name, title, kind in opened]
    if baselines:
        return sources
    for name, source in zip(names, list(sources), strict=True):
        before = RunFolder(Path(name)).before
        if before.is_dir():
            sources.append(Source("baseline", warm_up(source.title), load.load(before, host, device)))
    return sources


def _titles(names: Sequence[str]) -> list[str]:
    """The last part of each path; all of the path where two share that, and numbered where it is given again."""
    last = [Path(name).name or Path(name).resolve().name for name in names]
    found = [short if last.count(short) == 1 else name for short, name in zip(last, names, strict=True)]
    again = [found[:place].count(title) for place, title in enumerate(found)]
    return [f"{title} ({times + 1})" if times else title for title, times in zip(found, again, strict=True)]


def _open(host: Host, name: str, title: str, kind: str, device: str) -> Source:
    path = Path(name)
    if path.is_file():
        return Source("samples" if kind == "model" else kind, title, texts=read_sentences(name)[0])
    if not path.exists() and ":" not in name:
        raise DataError(f"there is nothing at {name}; give a bundle, a run or a file with a sentence a line")
    return Source(kind, title, load.load(name, host, device))


def real_text(host: Host, sources: Sequence[Source], data: str = "", test: str = "") -> Corpus:
    """The corpus ``data`` by name or file, or else what the models were trained on; ``test`` replaces its test part.

    Beside a ``test`` file, a ``data`` file is training text from its first to its last line; alone it is split as
    ``ganlm run`` splits it. Raises UsageError where no text is named and DataError where it cannot be read.
    """
    if data:
        ((name, options),) = data_layer(host, data)["corpus"].items()
        whole = name == "file" and test
        corpus = Corpus(data, read_sentences(data)[0], (), ()) if whole else _build(host, name, options)
    else:
        corpus = _trained_on(host, sources)
    return replace(corpus, test=read_sentences(test)[0]) if test else corpus


def _trained_on(host: Host, sources: Sequence[Source]) -> Corpus:
    chosen = [(each.title, each.model.config.components["corpus"]) for each in sources if each.model is not None]
    if not chosen:
        raise UsageError("samples are scored beside real text; name the text of their training with --data FILE")
    (first, corpus), *others = chosen
    for other, found in others:
        if (found.name, found.options) != (corpus.name, corpus.options):
            raise UsageError(f"{first} and {other} were trained on different text; name one for both with --data FILE")
    try:
        return _build(host, corpus.name, corpus.options)
    except DataError as error:
        raise DataError(f"what {first} was trained on is not here ({error}); name it with --data FILE") from None


def _build(host: Host, name: str, options: Mapping[str, object]) -> Corpus:
    chosen = host.spec("corpus", name).options.of(options, f"corpus '{name}'")
    corpus: Corpus = host.build("corpus", name, chosen)
    return corpus


def warnings(sources: Sequence[Source], corpus: Corpus, n: int) -> Iterator[str]:
    """What a reader of the table must know: a line each. ``n`` sentences are wanted of every subject."""
    if not any(source.is_baseline for source in sources):
        yield (
            "no row was trained by maximum likelihood alone, without whose curve nobody knows what a GAN adds; "
            "train one (ganlm run --recipe mle) and name it with --baseline RUN"
        )
    conditions, known = Conditions(corpus), lookup(corpus.train)
    if overlap := sum(text in known for text in corpus.test):
        yield f"{overlap:,} of {len(corpus.test):,} test sentences are in the training text too"
    yield from _tokenised_differently("the test part", corpus.test, corpus.train)
    for source in sources:
        if source.texts:
            yield from _unknown_units(source, conditions)
            yield from _tokenised_differently(source.title, source.texts, corpus.train)
    sizes = [("the training part", len(corpus.train)), ("the test part", len(corpus.test))]
    for title, size in [*sizes, *((each.title, len(each.texts)) for each in sources if each.texts)]:
        if size < n:
            yield (
                f"{title} has {size:,} sentences and other rows have {n:,}, so their diversity does not compare; "
                f"-n {size} makes them equal"
            )


def _unknown_units(source: Source, conditions: Conditions) -> Iterator[str]:
    """Words or characters, whichever the metrics count."""
    found = [unit for text in source.texts for unit in conditions.split(text)]
    strange = set(found)
    for text in itertools.chain(conditions.corpus.train, conditions.corpus.test):
        strange.difference_update(conditions.split(text))
    if unknown := [unit for unit in found if unit in strange]:
        share = f"{len(unknown):,} of {len(found):,} {conditions.unit}s ({len(unknown) / len(found):.1%})"
        yield f"{source.title}: {share} are in no real sentence, the first is '{unknown[0]}'"


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
                "if they are tokenised in different ways, no number below means anything"
            )


def _share(texts: Sequence[str], has: Callable[[str], object]) -> float:
    words = [word for text in texts for word in text.split()]
    return sum(bool(has(word)) for word in words) / max(1, len(words))
