"""What the evaluations of a run say of it: which was best, how long ago that was, whether the generator collapsed.

Pure functions of a history: what each glance found (:mod:`ganlm_core.telemetry`), with its ``step``, oldest first.
``docs/watching.md`` states the criteria. Nothing here imports torch.
"""

import math
from collections.abc import Mapping, Sequence

History = Sequence[Mapping[str, float]]

REPEATING = 0.2
"""A generator has collapsed when its samples have less than this share of the variety of real text."""

VARIETY = {"distinct": "{:.1%} distinct", "distinct_bigrams": "{:.0f} different bigrams"}
"""What is compared, and how it reads."""


def score(glance: Mapping[str, float]) -> float:
    """What the best weights have least of: held-out NLL, or the divergence from held-out text without a likelihood."""
    found = glance.get("validation_nll", glance["bigram_divergence"])
    return math.inf if math.isnan(found) else found


def best(history: History) -> Mapping[str, float]:
    """The glance of the lowest score, the first of equal ones."""
    return min(history, key=score)


def since_best(history: History) -> int:
    """How many glances there were after the best."""
    scores = [score(glance) for glance in history]
    return len(scores) - 1 - scores.index(min(scores))


def collapse(history: History, real: Mapping[str, float]) -> str:
    """What the last glance shows of a collapse, in words; nothing where there is none.

    ``real``: the same of as many real sentences, because what repeats in the data may repeat in samples.
    """
    if not history:
        return ""
    now = history[-1]
    shown = [
        f"{form.format(now[name])} (real text: {form.format(real[name]).split()[0]})"
        for name, form in VARIETY.items()
        if now[name] < REPEATING * real[name]
    ]
    if not shown:
        return ""
    before = max(glance["entropy"] for glance in history)
    fell = f"entropy fell from {before:.1f} to {now['entropy']:.1f} nats; " if now["entropy"] < before / 2 else ""
    return f"{fell}samples repeat: {', '.join(shown)}"
