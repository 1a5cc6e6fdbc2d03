"""The metrics and sentence encoders that come with the core, as data; ``docs/metrics.md`` defines them."""

from collections.abc import Iterable, Iterator
from typing import Literal

from ganlm_core.components import ComponentSpec, Measure
from ganlm_core.hookspecs import hookimpl
from ganlm_core.metrics.options import HashedNgramsOptions, SentenceTransformersOptions


def _metric(
    name: str,
    target: str,
    summary: str,
    measures: Iterable[Measure],
    source: str = "",
    when: Literal["run", "eval", "asked"] = "eval",
) -> ComponentSpec:
    target = f"ganlm_core.metrics.{target}"
    return ComponentSpec("metric", name, target, summary=summary, source=source, measures=tuple(measures), when=when)


def _by_order(
    name: str, title: str, better: Literal["higher", "lower"], sees: Literal["quality", "diversity"]
) -> Iterable[Measure]:
    """Return the measures of orders 2 to 5, as the literature reports them."""
    return (Measure(f"{name}{n}", f"{title}-{n}", better, sees) for n in (2, 3, 4, 5))


METRICS = (
    _metric(
        "validity",
        "basic:Validity",
        "share of sentences that the corpus's process can give, and their likelihood under it",
        [
            Measure("valid", "valid", "higher", "quality", share=True),
            Measure("process_nll", "process NLL", "lower", "quality"),
        ],
        source="Yu et al. 2017, section 4.1",
        when="run",
    ),
    _metric(
        "distinct",
        "basic:Distinct",
        "different sentences as a share of all",
        [Measure("distinct", "distinct", "higher", "diversity", share=True)],
        when="run",
    ),
    _metric(
        "copies",
        "basic:Copies",
        "share of sentences copied word for word from the training split",
        [Measure("copied", "copied", share=True)],
        when="run",
    ),
    _metric(
        "likelihood",
        "basic:HeldOutLikelihood",
        "negative log-likelihood of held-out text",
        [Measure("test_nll", "held-out NLL", "lower", "both")],
        when="run",
    ),
    _metric(
        "process-likelihood",
        "basic:ProcessLikelihood",
        "likelihood of samples under the corpus's process, per token",
        [Measure("process_nll_token", "process NLL/token", "lower", "quality")],
        source="Yu et al. 2017, section 4",
    ),
    _metric(
        "distance",
        "discrimination:DistanceFromProcess",
        "total variation distance from the corpus's process, and the best accuracy of any discriminator",
        [
            Measure("tv", "TV", "lower", "both"),
            Measure("best_accuracy", "best accuracy", share=True),
        ],
        source="Devroye et al. 1996, chapter 3",
        when="run",
    ),
    _metric(
        "discrimination",
        "discrimination:Discrimination",
        "accuracy and AUC of the discriminator on held-out text against samples, and on valid against invalid samples",
        [
            Measure("discriminator_accuracy", "D accuracy", share=True),
            Measure("discriminator_auc", "D AUC"),
            Measure("discriminator_valid_auc", "D valid AUC"),
        ],
        source="Lopez-Paz & Oquab 2017; Mann & Whitney 1947",
        when="run",
    ),
    _metric(
        "label-accuracy",
        "labels:LabelAccuracy",
        "share of sentences that have the label they were asked for, and their likelihood given it",
        [
            Measure("label_accuracy", "right label", "higher", "quality", share=True),
            Measure("label_nll", "process NLL given label", "lower", "quality"),
        ],
        source="Joulin et al. 2017, section 2",
        when="run",
    ),
    _metric(
        "perplexity",
        "basic:Perplexity",
        "likelihood of held-out text as perplexity and per sentence",
        [
            Measure("perplexity", "perplexity", "lower", "both"),
            Measure("test_nll_sentence", "held-out NLL/sentence", "lower", "both"),
        ],
        source="Jelinek et al. 1977",
    ),
    _metric(
        "bleu",
        "bleu:Bleu",
        "BLEU of each sentence against all references at once",
        _by_order("bleu", "BLEU", "higher", "quality"),
        source="Papineni et al. 2002, section 2.3; Chen & Cherry 2014, method 1",
    ),
    _metric(
        "self-bleu",
        "bleu:SelfBleu",
        "BLEU of each sentence against all others: low means diverse",
        _by_order("self_bleu", "Self-BLEU", "lower", "diversity"),
        source="Zhu et al. 2018",
    ),
    _metric(
        "backward-bleu",
        "bleu:BackwardBleu",
        "BLEU of real sentences against the generated ones: low means that something is left out",
        _by_order("backward_bleu", "backward BLEU", "higher", "diversity"),
        source="Shi et al. 2018",
    ),
    _metric(
        "distinct-n",
        "variety:DistinctNgrams",
        "different n-grams as a share of all",
        (Measure(f"distinct{n}", f"distinct-{n}", "higher", "diversity", share=True) for n in (1, 2, 3, 4)),
        source="after Li et al. 2016",
    ),
    _metric(
        "copied-span",
        "variety:CopiedSpans",
        "longest span of a sentence that is copied from the training split",
        [
            Measure("copied_span", "copied words"),
            Measure("copied_span_share", "copied part", share=True),
        ],
    ),
    _metric(
        "lengths",
        "variety:Lengths",
        "words per sentence, and their distance from real lengths",
        [
            Measure("length", "words"),
            Measure("length_deviation", "deviation"),
            Measure("length_distance", "from real lengths", "lower", "both"),
        ],
        source="Vaserstein 1969",
    ),
    _metric(
        "frechet",
        "distances:Frechet",
        "Frechet distance between the features of samples and real text",
        [Measure("frechet", "Frechet over {encoder}", "lower", "both")],
        source="Heusel et al. 2017; Dowson & Landau 1982, eq. 4",
    ),
    _metric(
        "mauve",
        "distances:Mauve",
        "area under the divergence curve of the features of samples and real text",
        [Measure("mauve", "MAUVE over {encoder}", "higher", "both")],
        source="Pillutla et al. 2021, eq. 1-3",
    ),
    _metric(
        "lm-score",
        "language_model:LanguageModelScores",
        "likelihood of samples under a language model of real text, and the reverse",
        [
            Measure("lm_score", "LM score", "lower", "quality"),
            Measure("reverse_lm_score", "reverse LM score", "lower", "diversity"),
        ],
        source="Caccia et al. 2020, section 2; Kneser & Ney 1995",
        when="asked",
    ),
)

ENCODERS = (
    ComponentSpec(
        "encoder",
        "hashed-ngrams",
        "ganlm_core.metrics.encoders:HashedNgrams",
        HashedNgramsOptions,
        "random projection of the bag of n-grams; no meaning, no download",
        "Weinberger et al. 2009; Johnson & Lindenstrauss 1984",
    ),
    ComponentSpec(
        "encoder",
        "sentence-transformers",
        "ganlm_core.metrics.encoders:SentenceTransformers",
        SentenceTransformersOptions,
        "trained model of the library sentence-transformers; pip install 'ganlm[encoders]'",
        "Reimers & Gurevych 2019",
    ),
)


@hookimpl
def ganlm_components() -> Iterator[ComponentSpec]:
    yield from (*METRICS, *ENCODERS)
