"""``report.html``: a run on one page that opens by double click. Figures are SVG in the page; no script, no network."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from ganlm_core.bundle.model import Model
from ganlm_core.config.run_config import RunConfig
from ganlm_core.data.corpus import Corpus, spread
from ganlm_core.errors import GanlmError
from ganlm_core.evaluation import figures, pages
from ganlm_core.evaluation.captions import caption_of, in_order
from ganlm_core.evaluation.compare import compare
from ganlm_core.evaluation.evaluate import EvaluationSettings, choose_metrics, evaluate
from ganlm_core.evaluation.figures import Curve, Figure
from ganlm_core.evaluation.remarks import legend, problems, remarks
from ganlm_core.evaluation.scores import REFERENCES, Scores, results
from ganlm_core.evaluation.sources import Source, open_sources
from ganlm_core.metrics.interim import title_of
from ganlm_core.metrics.metric import Conditions
from ganlm_core.plugins.host import Host
from ganlm_core.system.files import write_file
from ganlm_core.training.metrics_log import interims_in, steps_in
from ganlm_core.training.run_folder import RunFolder

SHOWN = 8
"""Sentences shown of each evaluation, and compared with the nearest training sentences."""

COMPARED = 50_000
"""Larger training splits are subsampled evenly to this size for that; it takes a few seconds."""

POINTS = 400
"""Points of a curve at most; longer curves are drawn as means of neighbouring points."""

MOST = 40
"""Maximum of the numbers of the steps, and of the metrics, that a page draws: a figure takes a tenth of a second."""

INTERIM_QUALITY, INTERIM_DIVERSITY = "bigram_divergence", "distinct_bigrams"

PATH = "quality_against_diversity"
"""The name of the figure of these two."""

QUALITY, DIVERSITY = "bleu4", "self_bleu4"
"""The measures of the figure of quality against diversity."""

SENTENCES = 1_000
"""Sentences drawn at each temperature at most, if ``ganlm eval`` has not measured the run; this takes a few seconds."""

REAL = 4
"""Real sentences that the discriminator judges beside the samples."""


def write(run: RunFolder, host: Host) -> Path:
    """Write the report of a run, finished or not, into its folder.

    Raises GanlmError when the page cannot be written, or when a file of the run is damaged.
    """
    write_file(run.report, render(run, host).encode())
    return run.report


def render(run: RunFolder, host: Host) -> str:
    """Return the page. The same run gives the same text."""
    config, info = run.load_config(host), run.info()
    evaluation, records = run.results(), run.metrics.read()
    steps, interims = steps_in(records), interims_in(records)
    title, last = run.title(), run.last_samples()[:SHOWN]
    sources = open_sources(host, [str(run.path)]) if run.bundle.is_dir() else []
    corpus = _corpus(config, host, sources)
    kept = _kept(run)
    scores = kept or _drawn(host, sources, corpus)
    comparison = compare({title: [scores]}, QUALITY, DIVERSITY) if scores is not None else None
    judged = _judged(sources[0].model, last, corpus) if sources else {}
    return pages.render(
        "report.html.j2",
        title=f"{title} on {_text_name(config)}",
        config=config,
        info=info,
        command=pages.repeating(run),
        evaluation=evaluation,
        results=results(evaluation),
        remarks=list(remarks(run, evaluation)),
        legend=legend(evaluation),
        problems=[*problems(records, info), *left_out(steps, interims), *_without_text(config, corpus)],
        training=[(each, figures.svg(each)) for each in training_figures(steps)],
        quality=[(each, figures.svg(each)) for each in evaluation_figures(interims, evaluation)],
        comparison=comparison,
        tradeoff=figures.svg(pages.tradeoff(comparison, scores)) if comparison and scores else "",
        scores=scores,
        kept=kept is not None,
        samples=run.samples_by_step(SHOWN),
        pictures=host.pictures(config.to_dict(), last),
        judged=judged,
        full=max((abs(weight) for each in chain(*judged.values()) for _, weight in each.tokens), default=0) or 1.0,
        neighbours=nearest(last, corpus) if corpus is not None else [],
        unit=Conditions(corpus).unit if corpus is not None else "",
        compared=COMPARED,
        toml=run.config(),
    )


def _corpus(config: RunConfig, host: Host, sources: Sequence[Source]) -> Corpus | None:
    """Build the training text; None if it is missing, or is not the text of the training."""
    try:
        corpus: Corpus = host.build("corpus", config.corpus.name, config.corpus.options)
    except GanlmError:
        return None
    models = [source.model for source in sources if source.model is not None and source.model.config.corpus]
    digests = corpus.digests() if models else {}
    return None if any(model.config.changed_splits(digests) for model in models) else corpus


def _text_name(config: RunConfig) -> str:
    """Return the name of the file of the training text, or of its corpus."""
    return pages.text_name(getattr(config.corpus.options, "path", "")) or config.corpus.name


def _kept(run: RunFolder) -> Scores | None:
    """Return the evaluation that ``ganlm eval`` wrote, if it has quality and diversity."""
    scores = Scores.read(run.evaluation) if run.evaluation.exists() else None
    return scores if scores is not None and _has_both(scores) else None


def _drawn(host: Host, sources: Sequence[Source], corpus: Corpus | None) -> Scores | None:
    """Measure quality and diversity of fewer sentences, for a run with a bundle whose training text is still there."""
    if not sources or corpus is None:
        return None
    n = min(SENTENCES, len(corpus.train), len(corpus.test))
    scores = evaluate(
        host, sources, corpus, EvaluationSettings(choose_metrics(host, ["bleu", "self-bleu"]), sentences=n)
    )
    return scores if _has_both(scores) else None


def _has_both(scores: Scores) -> bool:
    """Return whether real text, and so every other row, has both measures; a single sentence has no Self-BLEU."""
    return scores.real is not None and {QUALITY, DIVERSITY} <= scores.real.values.keys()


@dataclass(frozen=True)
class Judged:
    """A sentence, its ``probability`` of being real, and the log-odds that each of its tokens adds."""

    tokens: Sequence[tuple[str, float]]
    probability: float


def _judged(model: Model | None, samples: Sequence[str], corpus: Corpus | None) -> dict[str, list[Judged]]:
    """Return samples and real sentences as the discriminator judges them.

    Empty without a discriminator, if too little text was held out to calibrate it, or if it judges texts with labels.
    """
    if model is None or model.discriminator is None or model.calibration is None or model.labels.names:
        return {}
    texts = {"samples": samples, "held-out sentences": spread(corpus.test, REAL) if corpus is not None else []}
    return {
        title: [Judged(model.explain(text), p) for text, p in zip(found, model.probability(found), strict=True)]
        for title, found in texts.items()
        if found
    }


def _without_text(config: RunConfig, corpus: Corpus | None) -> Iterator[str]:
    if corpus is None:
        yield f"The training text, {_text_name(config)}, is not there or was changed, so nothing is compared with it."


def training_figures(steps: Sequence[Mapping[str, Any]]) -> list[Figure]:
    """Return figures of all losses, of all gradient norms, of all rewards, and of each other number of the steps."""
    groups: dict[str, list[str]] = {}
    for name in _numbers(steps)[:MOST]:
        groups.setdefault(_group(name), []).append(name)
    return [_figure(group, [_curve(steps, name) for name in groups[group]]) for group in in_order(groups)]


def _numbers(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of the numbers of the steps that have a curve."""
    return list(dict.fromkeys(name for record in steps for name in record if name not in ("step", "tokens")))


def _metrics(interims: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for interim in interims for name in interim["evaluation"] if name != "step"))


def left_out(steps: Sequence[Mapping[str, Any]], interims: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield how many numbers of the steps and metrics of the interim evaluations are more than a page draws."""
    for what, names in (("numbers", _numbers(steps)), ("metrics", _metrics(interims))):
        if len(names) > MOST:
            more = f"{len(names) - MOST} of {len(names)} {what} of the training"
            yield f"{more} have no figure: a page has at most {MOST}."


def _group(name: str) -> str:
    """Return the name of the figure of a number of the steps: its own, or the name of a figure of several numbers."""
    ends = {"_loss": "losses", "_gradient_norm": "gradient_norms", "discriminator_reward": "rewards"}
    own = "rewards" if name.startswith("reward.") else name
    return next((group for end, group in ends.items() if name.endswith(end)), own)


def evaluation_figures(interims: Sequence[Mapping[str, Any]], evaluation: Mapping[str, Any]) -> list[Figure]:
    """Return a figure for each metric during training, with the levels of real text and of the unigram model."""
    points = [{**interim["evaluation"], "step": interim["step"]} for interim in interims]
    drawn = {
        name: _figure(name, [_curve(points, name)], _levels(evaluation, name)) for name in _metrics(interims)[:MOST]
    }
    if {INTERIM_QUALITY, INTERIM_DIVERSITY} <= drawn.keys():
        drawn[PATH] = _path(points)
    return [drawn[name] for name in in_order(drawn)]


def _levels(evaluation: Mapping[str, Any], name: str) -> dict[str, float]:
    """Return the values of real text and of the unigram model by their titles."""
    references = {REFERENCES[kind]: evaluation.get(kind, {}) for kind in ("real", "unigram")}
    return {title: values[name] for title, values in references.items() if values.get(name) is not None}


def _path(points: Sequence[Mapping[str, Any]]) -> Figure:
    """Return the way of the generator through quality and diversity, a point for each evaluation."""
    names = (INTERIM_DIVERSITY, INTERIM_QUALITY)
    whole = [point for point in points if all(point.get(name) is not None for name in names)]
    x, y = ([point[name] for point in whole] for name in names)
    curve = Curve("evaluations", x, y, labels=[str(point["step"]) for point in whole])
    across, up = map(title_of, names)
    return Figure(title_of(PATH), across, up, [curve], caption=caption_of(PATH))


def _figure(name: str, curves: Sequence[Curve], levels: Mapping[str, float] | None = None) -> Figure:
    title = title_of(name)
    return Figure(title, "step", title, curves, levels or {}, caption=caption_of(name))


def _curve(records: Sequence[Mapping[str, Any]], name: str) -> Curve:
    points = [(record["step"], record[name]) for record in records if record.get(name) is not None]
    size = max(1, -(-len(points) // POINTS))
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    x, y = ([sum(point[axis] for point in group) / len(group) for group in groups] for axis in (0, 1))
    return Curve(title_of(name.removesuffix("_loss").removesuffix("_gradient_norm")), x, y)


@dataclass(frozen=True)
class Neighbour:
    """A sample and its nearest training sentence. ``shared`` is 1 if both are equal."""

    sample: str
    training: str
    shared: float


def nearest(samples: Sequence[str], corpus: Corpus) -> list[Neighbour]:
    """Return the nearest training sentence of each sample by Dice's coefficient of units and pairs of units.

    Dice 1945. Units are words or characters, as in metrics. If several sentences are equally near, the first is taken.
    """
    split, training = Conditions(corpus).split, spread(corpus.train, COMPARED)
    own = [_grams(split(sample)) for sample in samples]
    index: dict[str, list[int]] = {}
    for place, grams in enumerate(own):
        for gram in grams:
            index.setdefault(gram, []).append(place)
    found = [Neighbour(sample, "", 0.0) for sample in samples]
    for text in training:
        grams, shared = _grams(split(text)), Counter[int]()
        for gram, count in grams.items():
            for place in index.get(gram, ()):
                shared[place] += min(count, own[place][gram])
        for place, count in shared.items():
            dice = 2 * count / (own[place].total() + grams.total())
            if dice > found[place].shared:
                found[place] = Neighbour(samples[place], text, dice)
    return found


def _grams(words: Sequence[str]) -> Counter[str]:
    return Counter([*words, *map(" ".join, itertools.pairwise(words))])
