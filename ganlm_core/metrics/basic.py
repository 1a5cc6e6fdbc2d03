"""The metrics of every run: validity, likelihood, distinct sentences, copies."""

import math

from ganlm_core.data.corpus import spread
from ganlm_core.data.text import identity
from ganlm_core.metrics.formatting import format_value
from ganlm_core.metrics.metric import Conditions, Likelihood, Measured, Metric, Subject, standard_error

LARGEST = 700.0
"""The largest number of nats whose exponential is a finite float."""


class Validity(Metric):
    """``valid``: the share of sentences that the corpus's process can give (for the grammar, the grammatical ones).

    ``process_nll``: the mean of -log p under the process, in nats per sentence, over the valid ones. Sentences with a
    lower value than real text are too likely: the generator writes only frequent sentences.
    """

    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        if conditions.corpus.process is None:
            return Measured()
        scores = conditions.process_log_prob(subject.texts)
        possible = [score for score in scores if score > -math.inf]
        found = {"valid": len(possible) / len(subject.texts)}
        errors = {"valid": standard_error([score > -math.inf for score in scores])}
        if possible:
            found["process_nll"] = -sum(possible) / len(possible)
            errors["process_nll"] = standard_error(possible)
        protocol = f"{len(subject.texts):,} sentences; the likelihood of the {len(possible):,} valid ones"
        entropy = conditions.process_entropy
        if entropy is not None:
            protocol += f"; the process's entropy is {format_value(entropy)} nats"
        return Measured(found, protocol, errors)


class ProcessLikelihood(Metric):
    """``process_nll_token``: ``process_nll`` of :class:`Validity` in nats per word, or character of short texts.

    It is the NLL_oracle of the literature. Words count, whatever the tokenizer; an ``<eos>`` counts as one, except
    in a corpus of fixed length.
    """

    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        if conditions.corpus.process is None:
            return Measured()
        every = zip(subject.texts, conditions.process_log_prob(subject.texts), strict=True)
        possible = [(text, score) for text, score in every if score > -math.inf]
        ends = 0 if conditions.corpus.fixed_length else 1
        sizes = [len(conditions.split(text)) + ends for text, _ in possible]
        if not sum(sizes):
            return Measured()
        scores = [score for _, score in possible]
        protocol = f"{len(possible):,} valid sentences, {sum(sizes):,} {conditions.unit}s"
        return Measured(
            {"process_nll_token": -sum(scores) / sum(sizes)},
            protocol,
            {"process_nll_token": standard_error(scores, sizes)},
        )


class Distinct(Metric):
    """``distinct``: different sentences as a share of all.

    It falls as more sentences are drawn: compare it only for equal numbers of sentences.
    """

    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        different = len(set(map(identity, subject.texts)))
        return Measured({"distinct": different / len(subject.texts)}, f"{len(subject.texts):,} sentences")


class Copies(Metric):
    """``copied``: the share of sentences that are copies, word for word, of a training sentence."""

    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        texts = subject.unseen
        copied = sum(text in conditions.known for text in texts) / len(texts)
        protocol = f"{len(texts):,} sentences, {len(conditions.corpus.train):,} to copy"
        if conditions.corpus.process is None:
            chance = format_value(conditions.copies_by_chance, share=True)
            protocol += f"; {chance} by chance (copies between two halves of the training text)"
        return Measured({"copied": copied}, protocol)


class HeldOutLikelihood(Metric):
    """``test_nll``: the negative log-likelihood of the test split under the subject, in nats per token.

    For a generator with noise it is an upper bound, see :func:`ganlm_core.metrics.judge.nll_bound`. A test split of
    more sentences than the conditions allow is subsampled evenly.
    """

    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        found = _held_out(subject, conditions)
        return Measured({"test_nll": found.nll_per_token}, str(found)) if found is not None else Measured()


class Perplexity(Metric):
    """``perplexity``: e to the power of ``test_nll``. ``test_nll_sentence``: the same likelihood, in nats per sentence.

    Models with different tokenizers can be compared only by ``test_nll_sentence``, and only if both know every word.
    A model that reads a sentence without its end has no ``test_nll_sentence``: it would be too low.
    """

    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        found = _held_out(subject, conditions)
        if found is None:
            return Measured()
        perplexity = {"perplexity": math.exp(found.nll_per_token)} if found.nll_per_token < LARGEST else {}
        sentence = {} if found.cut else {"test_nll_sentence": found.nll_per_sentence}
        return Measured({**perplexity, **sentence}, str(found))


def _held_out(subject: Subject, conditions: Conditions) -> Likelihood | None:
    """Return the likelihood of the test split; None if there is none, or the subject cannot give some of it."""
    if subject.likelihood is None:
        return None
    test = conditions.corpus.test
    found = subject.likelihood(tuple(spread(test, conditions.scored or len(test))))
    return found if math.isfinite(found.nll_per_token) else None
