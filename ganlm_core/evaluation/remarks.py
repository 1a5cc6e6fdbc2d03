"""Words about the results of a run, for the terminal and for its report: problems, remarks and a legend."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ganlm_core.evaluation.scores import ERRORS, REFERENCES, SUBJECTS, discriminator_remark_in
from ganlm_core.metrics.formatting import format_value
from ganlm_core.metrics.specs import METRICS
from ganlm_core.training.run_folder import RunFolder

MEANINGS = {
    "real": "sentences of the corpus: as good as a generator can be",
    "process": "fresh sentences from the exact process: as good as a generator can be, and how far chance goes",
    "shuffled": "real sentences with their words in random order: what the right words alone give",
    "unigram": "words drawn by their frequency: what frequencies alone give",
}
"""The reference rows, for readers of a page."""


def remarks(run: RunFolder, evaluation: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the table of a finished run does not show: whose weights they are, and the part of chance."""
    if run.is_warm_up:
        yield (
            f"these are the weights of the warm-up (step {evaluation['weights_step']}): no evaluation of adversarial "
            "training was better, so the results before and after it are equal; --keep last keeps the last weights"
        )
    if (chance := evaluation.get("copies_by_chance")) is not None and evaluation["after"].get("copied"):
        yield (
            f"copied: {format_value(chance, share=True)} of the sentences are expected by chance, because frequent "
            "sentences recur; held-out sentences have no copies, because equal sentences are in one split"
        )
    if told := discriminator_remark_in(evaluation):
        yield told
    yield from _reversed(evaluation)


def _reversed(evaluation: Mapping[str, Any]) -> Iterator[str]:
    """Yield a remark on a discriminator that orders sentences backwards, by more than ERRORS errors of chance.

    The standard error of an AUC by chance is that of Mann & Whitney 1947.
    """
    auc, generated = evaluation.get("after", {}).get("discriminator_auc"), evaluation.get("samples", 1)
    real = min(generated, evaluation.get("test_sentences", generated))
    if auc is not None and auc < 0.5 - ERRORS * math.sqrt((generated + real + 1) / (12 * generated * real)):
        yield (
            f"the discriminator's verdicts are reversed: it prefers the sample in {1 - auc:.1%} of the pairs of a "
            "sample and a held-out sentence, more than chance explains"
        )


def legend(evaluation: Mapping[str, Any]) -> dict[str, str]:
    """Return the meaning of each column and reference row of a run's results, by its title."""
    values = {name for key in SUBJECTS for name in evaluation.get(key, {})}
    columns = {
        ", ".join(each.title for each in metric.measures if each.name in values): metric.summary
        for metric in METRICS
        if not values.isdisjoint(each.name for each in metric.measures)
    }
    return columns | {title: MEANINGS[key] for key, title in REFERENCES.items() if key in evaluation}


def problems(records: Sequence[Mapping[str, Any]], info: Mapping[str, Any]) -> Iterator[str]:
    """Yield the problems in the records of a run's metrics.jsonl, and why it ended if that was before its last step."""
    if memorised := [record for record in records if "memorised" in record]:
        yield f"The generator shows signs of memorising from step {memorised[0]['step']}: {memorised[0]['memorised']}."
    for record in records:
        if "collapse" in record:
            yield f"The generator had collapsed at step {record['step']}: {record['collapse']}."
        if "rollback" in record:
            yield f"Back to step {record['step']}: {record['reason']}."
    if reason := info.get("stopped"):
        yield f"Stopped: {reason}."
