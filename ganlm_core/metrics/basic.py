"""The numbers that every run ends with: validity, likelihoods, variety, copying."""

import math
from collections.abc import Mapping

from ganlm_core.corpora import Corpus
from ganlm_core.metrics import Metric, Subject


class Validity(Metric):
    """``valid``: the share of sentences that the corpus's process can give (for the grammar, the grammatical ones).

    ``process_nll``: the mean of -log p under the process, in nats per sentence, over the valid ones. Below the value
    of real text, the sentences are too likely: the generator keeps to the frequent ones.
    """

    def __call__(self, subject: Subject, corpus: Corpus) -> Mapping[str, float]:
        if corpus.process is None:
            return {}
        possible = [score for score in corpus.process.log_prob(subject.texts) if score > -math.inf]
        found = {"valid": len(possible) / len(subject.texts)}
        return found | ({"process_nll": -sum(possible) / len(possible)} if possible else {})


class Distinct(Metric):
    """``distinct``: different sentences as a share of all. It falls as more are drawn; compare equal numbers."""

    def __call__(self, subject: Subject, corpus: Corpus) -> Mapping[str, float]:
        return {"distinct": len(set(subject.texts)) / len(subject.texts)}


class Copies(Metric):
    """``copied``: the share of sentences that stand word for word in the training part."""

    def __call__(self, subject: Subject, corpus: Corpus) -> Mapping[str, float]:
        known = set(corpus.train)
        return {"copied": sum(text in known for text in subject.texts) / len(subject.texts)}


class HeldOutLikelihood(Metric):
    """``test_nll``: the negative log-likelihood that the subject gives to the test part, in nats per token.

    For a generator that is driven by noise it is an upper bound, see :func:`ganlm_core.evaluation.nll_bound`.
    """

    def __call__(self, subject: Subject, corpus: Corpus) -> Mapping[str, float]:
        return {"test_nll": subject.nll_per_token(corpus.test)} if subject.nll_per_token is not None else {}
