"""The distance of a generator from an exact process, and the share of it that a discriminator sees.

No classifier tells the process p from the generator q, half of each, with an accuracy above 1/2 + TV(p, q)/2, where TV
is the total variation distance. The best one answers by the sign of log p(x) - log q(x).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from ganlm_core.data.corpus import spread
from ganlm_core.errors import DataError
from ganlm_core.metrics.formatting import format_value
from ganlm_core.metrics.metric import Conditions, Measured, Metric, Subject
from ganlm_core.system.files import shown

Score = Callable[[Sequence[str]], Sequence[float]]
"""The function that gives each text a number: its log-probability in nats, or the logit of a discriminator."""

WIDEST = 0.5
"""The largest standard deviation of numbers between 0 and 1."""

Floats = NDArray[np.float64]
Numbers = Sequence[float] | Floats


@dataclass(frozen=True)
class TotalVariation:
    """An estimate of the total variation distance, with its standard ``error``."""

    value: float
    error: float

    @property
    def best_accuracy(self) -> float:
        """The highest accuracy that any discriminator can have: 1/2 + TV/2 (Devroye et al. 1996, chapter 3)."""
        return (1 + self.value) / 2


def total_variation(log_p: Score, log_q: Score, from_p: Sequence[str], from_q: Sequence[str]) -> TotalVariation:
    """Estimate TV(p, q) from exact log-probabilities and sentences of both.

    TV is the mean of g(x) = |p(x) - q(x)| / (p(x) + q(x)) over sentences of which half are from p and half from q. The
    estimate is the mean of its means over ``from_p`` and over ``from_q``. It has no bias, and its standard error is the
    square root of (var_p / n_p + var_q / n_q) / 4. The mean of the one-sided estimates E_p[max(0, 1 - q/p)] and
    E_q[max(0, 1 - p/q)] needs the same numbers and has a larger variance, because |p - q| / max(p, q) is at least g(x).
    """
    sides = [_apart(np.array(log_p(texts)), np.array(log_q(texts))) for texts in (from_p, from_q)]
    return TotalVariation(fmean([side.mean() for side in sides]), math.hypot(*map(_error, sides)) / 2)


def total_variation_bound(log_p: Score, log_q: Score, from_p: Sequence[str]) -> TotalVariation:
    """Estimate an upper bound on TV(p, q) for a generator that reads noise.

    ``log_q`` is the logarithm of an unbiased estimate of q(x), the mean of q(x | z) over some draws of the noise z. The
    bound is the mean of max(0, 1 - q(x)/p(x)) over sentences of p. This function of q(x) is convex, so errors of the
    estimate make it larger on average (Jensen's inequality). It is tight if the generator ignores its noise.
    """
    missing = np.maximum(0.0, -np.expm1(np.array(log_q(from_p)) - np.array(log_p(from_p))))
    return TotalVariation(float(missing.mean()), _error(missing))


def _apart(log_p: Floats, log_q: Floats) -> Floats:
    """Return |p - q| / (p + q) for log-probabilities (N,); 1 for a sentence that only one of them can give."""
    both, apart = np.isfinite(log_p) & np.isfinite(log_q), np.ones(len(log_p))
    apart[both] = np.abs(np.tanh((log_p[both] - log_q[both]) / 2))
    return apart


def _error(values: Floats) -> float:
    """Return the standard error of the mean of values (N,)."""
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 1.0


def auc(higher: Numbers, lower: Numbers) -> float:
    """Return the share of pairs in which the score from ``higher`` is the higher one; a tie counts one half.

    It is the area under the ROC curve (Mann & Whitney 1947). 1/2 is chance. Raises DataError for scores that are not
    numbers, and for none.
    """
    above, ordered = _scores("higher", higher, least=1), np.sort(_scores("lower", lower, least=1))
    places = [np.searchsorted(ordered, above, side) for side in ("left", "right")]
    return float((places[0] + places[1]).mean() / (2 * len(ordered)))


def accuracy(real: Numbers, generated: Numbers) -> float:
    """Return the accuracy of a discriminator with the scores of N real and M generated sentences, half of each.

    The threshold of each half of the sentences is the best one for the other half. So the accuracy does not depend on
    the origin of the logits, which some losses leave open, and no threshold is chosen on the sentences that it judges.
    Raises DataError for scores that are not numbers, and for fewer than two of a kind.
    """
    real, generated = _scores("real", real, least=2), _scores("generated", generated, least=2)
    found = []
    for own, other in ((0, 1), (1, 0)):
        threshold = _threshold(real[other::2], generated[other::2])
        found.append(_share_right(real[own::2], generated[own::2], threshold).item())
    return fmean(found)


def _scores(name: str, values: Numbers, least: int) -> Floats:
    """Return scores (N,). Raises DataError for values that are not numbers, and for fewer than ``least``."""
    try:
        scores = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{name} is {shown(values)}; wanted a list of scores") from None
    if scores.ndim != 1 or np.isnan(scores).any():
        raise DataError(f"{name} is {shown(values)}; wanted a list of scores without NaN")
    if len(scores) < least:
        raise DataError(f"scores in {name}: {len(scores)}; wanted {least} or more")
    return scores


def _threshold(real: Floats, generated: Floats) -> Floats:
    """Return the threshold (1,) with the highest accuracy, midway between two neighbouring scores."""
    scores = np.unique(np.concatenate([real, generated]))
    thresholds = np.concatenate([scores[:1] - 1, (scores[:-1] + scores[1:]) / 2, scores[-1:]])
    return thresholds[[np.argmax(_share_right(real, generated, thresholds))]]


def _share_right(real: Floats, generated: Floats, thresholds: Floats) -> Floats:
    """Return the share of right answers at each threshold (K,), if real and generated sentences weigh the same."""
    below = [np.searchsorted(np.sort(scores), thresholds, "right") / len(scores) for scores in (real, generated)]
    return (1 - below[0] + below[1]) / 2


class DistanceFromProcess(Metric):
    """``tv``: the total variation distance from the process. ``best_accuracy``: of any discriminator, 1/2 + tv/2.

    See :func:`total_variation`; for a generator that reads noise it is :func:`total_variation_bound`. Fresh sentences
    from the process, as many as the subject has, are compared.
    """

    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        if conditions.corpus.process is None or subject.log_prob is None:
            return Measured()
        log_p, fresh = conditions.process_log_prob, conditions.fresh(len(subject.texts))
        if subject.draws:
            found = total_variation_bound(log_p, subject.log_prob, fresh)
            kind, used = f"upper bound from {subject.draws} draws of the noise", len(fresh)
        else:
            found = total_variation(log_p, subject.log_prob, fresh, subject.texts)
            kind, used = "from both exact likelihoods", len(fresh) + len(subject.texts)
        most = format_value(WIDEST / math.sqrt(used))
        protocol = f"{len(fresh):,} fresh sentences of the process; {kind}; the standard error of TV is at most {most}"
        return Measured({"tv": found.value, "best_accuracy": found.best_accuracy}, protocol)


class Discrimination(Metric):
    """``discriminator_accuracy`` and ``discriminator_auc`` on real against generated sentences.

    See :func:`accuracy` and :func:`auc`. The real sentences are the references. For real text, two halves of the
    held-out sentences are compared with each other: the floor. ``discriminator_valid_auc``: the AUC of the sentences
    that the process can give against those that it cannot; a discriminator that sees errors is above 50%.
    """

    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        real, texts = _pairs(subject)
        if subject.scores is None or min(len(real), len(texts)) < 2:
            return Measured()
        of_real, of_texts = (np.array(subject.scores(each)) for each in (real, texts))
        if not (np.isfinite(of_real).all() and np.isfinite(of_texts).all()):
            return Measured(protocol="the discriminator gives scores that are not finite")
        found = {
            "discriminator_accuracy": accuracy(of_real, of_texts),
            "discriminator_auc": auc(of_real, of_texts),
            **_of_valid(texts, of_texts, conditions),
        }
        kind = "real" if subject.held_out else "generated"
        return Measured(found, f"{len(real):,} real against {len(texts):,} {kind} sentences")


def _pairs(subject: Subject) -> tuple[Sequence[str], Sequence[str]]:
    """Return the real sentences and the texts that a discriminator must tell apart."""
    if subject.held_out:
        return subject.held_out[::2], subject.held_out[1::2]
    return spread(subject.references, len(subject.texts)), subject.texts


def _of_valid(texts: Sequence[str], scores: Floats, conditions: Conditions) -> dict[str, float]:
    """Return the AUC of valid against invalid texts; empty without a process or if all are of one kind."""
    if conditions.corpus.process is None:
        return {}
    valid = np.isfinite(conditions.process_log_prob(texts))
    return {"discriminator_valid_auc": auc(scores[valid], scores[~valid])} if 0 < valid.sum() < len(valid) else {}
