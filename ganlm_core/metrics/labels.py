"""Label accuracy: do sentences have the label that they were asked for?

A corpus with an exact process says itself which label a sentence has. For any other text a classifier that was trained
on real text says it; its accuracy on held-out real text is the value of the row of real text.
"""

import math
from collections.abc import Sequence

from ganlm_core.metrics.classifier import MOST
from ganlm_core.metrics.metric import Conditions, Measured, Metric, Subject


class LabelAccuracy(Metric):
    """``label_accuracy``: the share of sentences that have the label they were asked for.

    With an exact process a sentence has a label if the process can write the sentence with it; ``label_nll`` is then
    the mean of -log p(sentence | label) over these sentences, in nats.
    """

    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        if not subject.labels:
            return Measured()
        given = getattr(conditions.corpus.process, "log_prob_given", None)
        if given is not None:
            return _exact(given(subject.unseen, subject.labels))
        found = conditions.classifier(subject.unseen)
        right = sum(one == other for one, other in zip(found, subject.labels, strict=True)) / len(found)
        trained_on = f"{min(MOST, len(conditions.corpus.train)):,} real sentences"
        return Measured({"label_accuracy": right}, f"{len(found):,} sentences; by a classifier of {trained_on}")


def _exact(scores: Sequence[float]) -> Measured:
    fitting = [score for score in scores if score > -math.inf]
    found = {"label_accuracy": len(fitting) / len(scores)}
    if fitting:
        found["label_nll"] = -sum(fitting) / len(fitting)
    return Measured(
        found, f"{len(scores):,} sentences; by the process, as the likelihood of the {len(fitting):,} right ones"
    )
