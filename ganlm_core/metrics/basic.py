"""The numbers that every run ends with: validity, likelihoods, variety, copying."""

import math

from ganlm_core.data.corpus import spread
from ganlm_core.data.mapped_lines import lookup
from ganlm_core.metrics.metric import Conditions, Likelihood, Measured, Metric, Subject

MOST = 1_000
"""Sentences of the test part whose likelihood is computed, evenly spaced."""

LARGEST = 700.0
"""The largest number of nats whose exponential is a number."""


class Validity(Metric):
    """``valid``: the share of sentences that the corpus's process can give (for the grammar, the grammatical ones).

    ``process_nll``: the mean of -log p under the process, in nats per sentence, over the valid ones. Below the value
    of real text, the sentences are too likely: the generator keeps to the frequent ones.
    """

    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        process = conditions.corpus.process
        if process is None:
            return Measured()
        possible = [score for score in process.log_prob(subject.texts) if score > -math.inf]
        found = {"valid": len(possible) / len(subject.texts)}
        if possible:
            found["process_nll"] = -sum(possible) / len(possible)
        protocol = f"{len(subject.texts):,} sentences; the likelihood of the {len(possible):,} valid ones"
        entropy = conditions.process_entropy
        return Measured(
            found, protocol if entropy is None else f"{protocol}; the process's entropy is {entropy:.2f} nats"
        )


class Distinct(Metric):
    """``distinct``: different sentences as a share of all. It falls as more are drawn; compare equal numbers."""

    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        return Measured({"distinct": len(set(subject.texts)) / len(subject.texts)}, f"{len(subject.texts):,} sentences")


class Copies(Metric):
    """``copied``: the share of sentences that stand word for word in the training part."""

    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        known = lookup(conditions.corpus.train)
        texts = subject.unseen
        copied = sum(text in known for text in texts) / len(texts)
        return Measured({"copied": copied}, f"{len(texts):,} sentences, {len(conditions.corpus.train):,} to copy")


class HeldOutLikelihood(Metric):
    """``test_nll``: the negative log-likelihood that the subject gives to the test part, in nats per token.

    For a generator that is driven by noise it is an upper bound, see :func:`ganlm_core.metrics.judge.nll_bound`. Of a
    large test part, MOST sentences stand for all.
    """

    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        found = _held_out(subject, conditions)
        return Measured({"test_nll": found.nll_per_token}, str(found)) if found is not None else Measured()


class Perplexity(Metric):
    """``perplexity``, e to the power of ``test_nll``, and ``test_nll_sentence``, the same likelihood by sentence.

    Between models of different tokenizers only the latter can be compared, and that where both know every word.
    """

    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        found = _held_out(subject, conditions)
        if found is None:
            return Measured()
        perplexity = math.exp(min(found.nll_per_token, LARGEST))
        return Measured({"perplexity": perplexity, "test_nll_sentence": found.nll_per_sentence}, str(found))


def _held_out(subject: Subject, conditions: Conditions) -> Likelihood | None:
    return subject.likelihood(tuple(spread(conditions.corpus.test, MOST))) if subject.likelihood is not None else None
